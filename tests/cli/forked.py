"""Command lines in real processes, without paying for the imports each time.

One interpreter has the program's modules loaded and forks for every command line: a process
of its own with its own pid, session, working directory, environment and streams, that runs
`runner.cli.main.main` and exits as it says. What start-up costs and imports is tested
elsewhere, with interpreters of their own.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
"""After so long a test fails instead of waiting on."""

# --- in the forking interpreter -----------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork for each request until the other end is closed. The forked process does not
    return from here.
    """
    _preload()
    gc.freeze()  # what is loaded stays shared with the forked processes
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            _keep(json.loads(data), fds)
        for fd in fds:
            os.close(fd)


def _preload() -> None:
    import importlib

    import click

    from runner.cli.main import COMMANDS, cli

    late = (
        "anyio._backends._asyncio",
        "httpcore",
        "runner.app.decide",
        "runner.app.doctor.diagnose",
        "runner.app.execute_run",
        "runner.app.reconcile",
        "runner.app.resolve",
        "runner.app.resume_run",
        "runner.app.retry",
        "runner.app.run_plans",
        "runner.app.show_diff",
        "runner.app.show_status",
        "runner.app.validate",
        "runner.app.worker",
        "runner.app.write_report",
        "runner.cli.progress_live",
        "runner.app.start_run",
        "runner.cloud.huawei.ecs",
        "runner.loading.together",
        "runner.planning.schedule",
        "runner.report.diff_sections",
        "runner.report.run_text",
        "runner.simulator.server",
        "runner.store.sqlite",
    )
    for name in COMMANDS:
        cli.get_command(click.Context(cli), name)
    for name in late:
        importlib.import_module(name)


def _keep(request: Mapping[str, object], fds: Sequence[int]) -> NoReturn:
    """Fork once more: this process waits for that one and tells its pid and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        _become(request, fds)
    for fd in fds[:3]:
        os.close(fd)
    os.write(fds[3], f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(fds[3], f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, object], fds: Sequence[int]) -> NoReturn:
    os.setsid()
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.closerange(3, 256)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]  # JSON that this module has written
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115 - the process's own streams
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False
    )
    from runner.cli.main import main

    try:
        main(request["argv"])  # type: ignore[arg-type]  # as above
    except SystemExit as end:
        _exit(end.code)
    _exit(None)


def _exit(code: object) -> NoReturn:
    """End as an interpreter does, but without taking all the loaded modules apart, which
    costs the most of it.
    """
    assert code is None or isinstance(code, int)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120  # as in `Py_FinalizeEx`
    atexit._run_exitfuncs()
    os._exit(code or 0)


# --- in the test --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """A command line that has ended. A negative `code` is the signal that ended it."""

    code: int
    out: str
    err: str


@dataclass
class Stream:
    """What a process writes, read as it comes."""

    file: IO[bytes]
    text: str = ""
    is_closed: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        raw = b""
        while True:
            try:
                piece = os.read(self.file.fileno(), 65536)
            except OSError:  # a terminal whose other end is closed
                piece = b""
            with self.changed:
                raw += piece
                self.text = raw.decode(errors="replace")
                self.is_closed = not piece
                self.changed.notify_all()
            if not piece:
                return

    def wait_for(self, text: str, times: int = 1) -> str:
        """All that was written, as soon as it holds `text`. Fails when the stream ends before."""
        with self.changed:
            found = self.changed.wait_for(
                lambda: self.text.count(text) >= times or self.is_closed, PATIENCE_S
            )
            assert found, f"no {text!r} within {PATIENCE_S} s:\n{self.text}"
            assert self.text.count(text) >= times, f"ended without {text!r}:\n{self.text}"
            return self.text

    def close(self) -> None:
        self.thread.join(PATIENCE_S)
        self.file.close()


@dataclass
class Child:
    """A command line that is running."""

    pid: int
    out: Stream
    err: Stream
    reply: IO[str]
    stdin: int | None = None
    code: int | None = None

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def type(self, text: str) -> None:
        """What a person types at its terminal."""
        assert self.stdin is not None
        os.write(self.stdin, text.encode())

    def wait(self) -> Done:
        """Wait for its end. Fails (and ends it) when it takes longer than the patience."""
        if self.code is None:
            timer = threading.Timer(PATIENCE_S, self._overdue)
            timer.start()
            try:
                self.code = int(self.reply.readline())
            finally:
                timer.cancel()
        self.out.close()
        if self.err is not self.out:
            self.err.close()
        self.reply.close()
        return Done(self.code, self.out.text, self.err.text)

    def _overdue(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def dispose(self) -> None:
        """Whatever a test has left running ends with it."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


@dataclass
class Forker:
    """Starts command lines."""

    control: socket.socket

    def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        terminal: bool = False,
        stdout: int | None = None,
    ) -> Child:
        """`terminal`: all three streams are a pseudo-terminal. `stdout`: a file descriptor
        instead of a pipe.
        """
        mine, theirs, stdin = _terminal() if terminal else _pipes(stdout)
        reply, other = socket.socketpair()
        request = json.dumps({"argv": list(argv), "cwd": str(cwd), "env": dict(env)}).encode()
        socket.send_fds(self.control, [request], [*theirs, other.fileno()])
        for fd in {*theirs} - {stdout}:
            os.close(fd)
        other.close()
        answers = reply.makefile(encoding="ascii")
        reply.close()
        pid = int(answers.readline())
        streams = {fd: Stream(os.fdopen(fd, "rb", buffering=0)) for fd in mine}
        return Child(pid, streams[mine[0]], streams[mine[-1]], answers, stdin)


def _pipes(stdout: int | None) -> tuple[list[int], list[int], int | None]:
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    if stdout is not None:
        os.close(out_write)
        out_write = stdout
    return [out_read, err_read], [nothing, out_write, err_write], None


def _terminal() -> tuple[list[int], list[int], int | None]:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (40, 120))
    return [master], [slave, slave, slave], master


@contextmanager
def forker() -> Iterator[Forker]:
    """The interpreter that forks, until the block ends."""
    control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.cli.forked", str(other.fileno())]
    process = subprocess.Popen(command, cwd=ROOT, pass_fds=[other.fileno()])
    other.close()
    try:
        yield Forker(control)
    finally:
        control.close()
        assert process.wait(PATIENCE_S) == 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
