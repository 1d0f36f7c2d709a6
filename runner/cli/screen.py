"""A picture on a terminal that is drawn anew in its place, with lines above it that stay."""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from runner.report.fitting import cells

KEPT = 200
"""How many of the lines that stay can be written again when the terminal has changed its size."""


class Screen:
    """Draws on `file`, which is a terminal. The cursor stands behind the picture's last line."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._picture: Sequence[str] = ()
        self._above: deque[str] = deque(maxlen=KEPT)
        self._size: tuple[int, int] | None = None
        """Columns and lines of the terminal when it was drawn last."""

    def draw(self, picture: Sequence[str]) -> None:
        """Draw a picture of lines that are narrower than the terminal."""
        self._show((), picture)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines above the picture."""
        self._show(lines, self._picture)

    def invalidate(self) -> None:
        """Draw everything anew the next time: the terminal's size may have changed while a
        picture was made.
        """
        if self._size is not None:
            self._size = (0, 0)

    def clear(self) -> None:
        """Take the picture away."""
        self.draw(())

    def _show(self, above: Sequence[str], picture: Sequence[str]) -> None:
        size = size_of(self.file)
        back = f"\x1b[{len(self._picture) - 1}A" if len(self._picture) > 1 else ""
        self._above.extend(above)
        if self._size not in (
            None,
            size,
        ):  # the terminal may have broken or cut any line: where they are is not known
            back, above = "\x1b[H\x1b[2J", self._fitting(*size, len(picture))
        staying = "".join(f"{line}\x1b[K\n" for line in above)
        self.file.write(f"\r{back}{staying}" + "\x1b[K\n".join(picture) + "\x1b[J")
        self.file.flush()
        self._picture, self._size = picture, size

    def _fitting(self, width: int, height: int, taken: int) -> list[str]:
        """Return the last lines that stay and find room above a picture."""
        room, found = height - taken, list[str]()
        for line in reversed(self._above):
            room -= max(1, -(-cells(line) // width))
            if room < 0:
                break
            found.append(line)
        return found[::-1]


class TerminalPicture:
    """The picture of a command that only shows: it follows the terminal's size while it waits."""

    def __init__(self, file: IO[str]) -> None:
        self.screen = Screen(file)

    def size(self) -> tuple[int, int]:
        """Return columns and lines."""
        return size_of(self.screen.file)

    def draw(self, lines: Sequence[str]) -> None:
        """Draw lines that are narrower than the terminal."""
        self.screen.draw(lines)

    def __enter__(self) -> None:
        self._reader, self._writer = (
            os.pipe()
        )  # a handler may take no lock: it would wait for what it interrupts
        os.set_blocking(self._writer, False)
        self._before = signal.signal(signal.SIGWINCH, self._resized)

    def _resized(self, *_: object) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the terminal has another size."""
        if select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 4096)
            self.screen.invalidate()

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, self._before)
        os.close(self._reader)
        os.close(self._writer)
        self.screen.clear()


def size_of(file: IO[str]) -> tuple[int, int]:
    """Return columns and lines of a terminal, at least 1 each; 80 and 24 where they
    cannot be read.
    """
    try:
        size = os.get_terminal_size(file.fileno())
    except (OSError, ValueError):
        size = shutil.get_terminal_size()
    return size.columns or 80, size.lines or 24
