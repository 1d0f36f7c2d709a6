"""A terminal for tests: a pseudo-terminal whose size can change, and a screen that shows
what is written to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from runner.report.fitting import cells

ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")
_OF_TERMINALS = frozenset({"CI", "TERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"})
PATIENCE_S = 30.0


class Screen:
    """What a terminal shows. Rows that a wrap continues are joined again by `resize`, as
    most terminals do.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines: list[list[str]] = [[]]
        """The cells of each row; the second cell of a wide character is empty."""
        self.continued: set[int] = set()
        """Rows that go on in the next one."""
        self.row = self.column = self.top = 0
        """The cursor, and the first row that has not been scrolled away."""
        self.styles: set[str] = set()
        self.is_settled = False
        """What came last ends a picture."""
        self._left = ""

    def feed(self, data: bytes) -> None:
        text, at = self._left + data.decode(errors="replace"), 0
        self._left = ""
        self.is_settled = text.endswith("\x1b[J")
        while at < len(text):
            if text[at] == "\x1b":
                code = _CODE.match(text, at)
                if code is None:
                    self._left = text[at:]
                    return
                self._obey(code[1], code[2])
                at = code.end()
                continue
            self._put(text[at])
            at += 1

    def resize(self, width: int, height: int) -> None:
        """Break the lines anew, as tmux, VTE, kitty and others do; the cursor stays at its
        character.
        """
        old, self.lines = self.lines, [[]]
        continued, self.continued = self.continued, set()
        row, column = self.row, self.column
        self.width, self.height = width, height
        for n, line in enumerate(old):
            for place, cell in enumerate([*line, None]):
                if (n, place) == (row, column):
                    self.row, self.column = len(self.lines) - 1, len(self.lines[-1])
                if cell is None:
                    break
                if len(self.lines[-1]) == width:
                    self.continued.add(len(self.lines) - 1)
                    self.lines.append([])
                self.lines[-1].append(cell)
            if n not in continued and n < len(old) - 1:
                self.lines.append([])
        self.top = max(0, self.row + 1 - height)

    def shown(self) -> list[str]:
        """Return the rows that are on the screen, without blanks at their ends."""
        return ["".join(line).rstrip() for line in self.lines[self.top :]]

    def everything(self) -> str:
        """Return what was ever written and not erased, rows that a wrap broke joined."""
        return "".join(
            "".join(line) + ("" if n in self.continued else "\n")
            for n, line in enumerate(self.lines)
        )

    def _obey(self, numbers: str, letter: str) -> None:
        if letter == "A":
            self.row = max(self.top, self.row - int(numbers or 1))
        elif letter == "K":
            self.lines[self.row][self.column :] = []
            self.continued.discard(self.row)
        elif letter == "H":
            self.row, self.column = self.top, 0
        elif letter == "J":
            if numbers == "2":
                self.row, self.column = self.top, 0
            self.lines[self.row][self.column :] = []
            self.lines[self.row + 1 :] = []
            self.continued = {n for n in self.continued if n < self.row}
        elif letter == "m":
            self.styles.update(numbers.split(";"))
        elif not numbers.startswith("?"):
            raise AssertionError(f"unexpected escape sequence {numbers}{letter}")

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        else:
            size = cells(char)
            if self.column + size > self.width:
                self.continued.add(self.row)
                self._down()
                self.column = 0
            line = self.lines[self.row]
            line += " " * (self.column - len(line))
            line[self.column : self.column + size] = [char, *[""] * (size - 1)]
            self.column += size

    def _down(self) -> None:
        self.row += 1
        self.top = max(self.top, self.row + 1 - self.height)
        if self.row == len(self.lines):
            self.lines.append([])


class Program:
    """A Python program on a pseudo-terminal: stdin, stdout and stderr."""

    def __init__(self, code: str, width: int, height: int, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.screen = Screen(width, height)
        self._set_size(width, height)
        inherited = {k: v for k, v in os.environ.items() if k not in _OF_TERMINALS}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**inherited, "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait_for(self, is_there: Callable[[Screen], bool]) -> Screen:
        """Read until the screen shows it."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_there(self.screen):
            assert time.monotonic() < deadline, "\n".join(self.screen.shown())
            assert self._read(), "\n".join(self.screen.shown())
        return self.screen

    def resize(self, width: int, height: int) -> None:
        self._set_size(width, height)
        self.screen.resize(width, height)
        os.kill(self.process.pid, signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE_S)
        if not ready:
            return False
        with contextlib.suppress(OSError):  # Linux tells the end of a terminal so
            data = os.read(self._ours, 65536)
            self.screen.feed(data)
            return bool(data)
        return False

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
