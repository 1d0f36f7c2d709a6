"""A real Git host for the tests: `git http-backend` behind an HTTP server of this process,
with troubles on demand.

Answers to pushes can be cut off after the repository took them, pushes before it saw them;
logins can be demanded and refused. What each request brought along is kept, to see which
host was told which secret.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def bare(path: Path) -> str:
    """An empty bare repository; its URL as a store."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--template=", str(path)], check=True)
    return f"git+file://{path}"


@dataclass
class GitServer:
    """The server, and what it is to do.

    `cut` and `lose`: how probable it is that a push's answer is lost, and that the push
    itself is; `cuts` and `losses`: so many of the next ones for certain. `answer`: a status
    given to every push instead of taking it. `login`: what `Authorization` must be.
    `delay_s`: before each answer.
    """

    root: Path
    url: str = ""
    cut: float = 0.0
    lose: float = 0.0
    cuts: int = 0
    losses: int = 0
    answer: int | None = None
    login: str | None = None
    delay_s: float = 0.0
    redirect: str | None = None
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def make(self, name: str) -> str:
        """An empty repository on this host; its URL as a store."""
        bare(self.root / name)
        config = ["git", "-C", str(self.root / name), "config", "http.receivepack", "true"]
        subprocess.run(config, check=True)
        return f"git+{self.url}/{name}"


@contextmanager
def serve(root: Path, **troubles: float) -> Iterator[GitServer]:
    """A host of the repositories below `root`, on a free port."""
    root.mkdir(parents=True, exist_ok=True)
    host = GitServer(root)
    for name, value in troubles.items():
        setattr(host, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    host: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _serve(self, body: bytes) -> None:
        host, login = self.host, self.headers.get("Authorization")
        host.seen.append((self.path, login))
        time.sleep(host.delay_s)
        if host.redirect is not None:
            return self._plain(301, {"Location": host.redirect + self.path})
        if host.login is not None and login != host.login:
            return self._plain(401, {"WWW-Authenticate": 'Basic realm="here"'})
        is_push = self.path.endswith("/git-receive-pack") and len(body) > 4
        if host.answer is not None and "git-receive-pack" in self.path:
            return self._plain(host.answer, {})
        if is_push and self._happens("losses", host.lose):
            return self._hang_up()
        answer = self._backend(body)
        if is_push and self._happens("cuts", host.cut):
            return self._hang_up()
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((int(v.split()[0]) for k, v in lines if k == "Status"), 200)
        return self._plain(status, {k: v for k, v in lines if k != "Status"}, rest)

    def _happens(self, counted: str, probability: float) -> bool:
        left = getattr(self.host, counted)
        if left > 0:
            setattr(self.host, counted, left - 1)
            return True
        return self.host.chance.random() < probability

    def _backend(self, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        return subprocess.run(
            ["git", "http-backend"], input=body, env=environ, stdout=subprocess.PIPE, check=True
        ).stdout

    def _plain(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
