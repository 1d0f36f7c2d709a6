"""A few pages over plain HTTP for probes and scrapers: GET and HEAD only, nothing is read
but the request line.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runner.errors import UsageProblem
from runner.net.hosts import in_url

MOST_AT_ONCE = 32
"""Connections served at a time; more are closed unread, so that nobody can make threads
without end.
"""
PATIENCE_S = 5.0
"""How long a client may take for its request."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: the HTTP status and a text."""

    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


@contextmanager
def served(host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> Iterator[str]:
    """Serve these paths in a thread until the block ends; gives the URL. Port 0 takes a free one.

    The pages are called in threads of the server. Raises UsageProblem where one cannot
    listen there.
    """

    class PageHandler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S
        server_version = "reboot-runner"
        sys_version = ""
        error_message_format = "%(code)d\n"  # nothing of the request comes back
        error_content_type = "text/plain; charset=utf-8"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            make = pages.get(self.path.partition("?")[0])
            page = make() if make else Page(404, "not found\n")
            body = page.text.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Probes come every few seconds: nobody wants to read of them."""

    try:
        server = _PageServer((host, port), PageHandler)
    except OSError as error:
        raise UsageProblem(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="give another --listen HOST:PORT; port 0 takes a free one",
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="pages", daemon=True)
    thread.start()
    try:
        yield f"http://{in_url(host)}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _PageServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As the base of the base: `HTTPServer` would ask the resolver for our own name here."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = (
            str(self.server_address[0]),
            int(self.server_address[1]),
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or sent what is no HTTP, is nobody's concern."""
