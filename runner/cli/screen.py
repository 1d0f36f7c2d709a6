"""A picture on a terminal that is drawn anew in its place, with lines above it that stay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import IO

from runner.report.fitting import cells


class Screen:
    """Draws on `file`, which is a terminal. The cursor stands behind the picture's last line."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._picture: Sequence[str] = ()
        self._drawn: list[int] = []
        """How wide each line of the picture on the terminal is."""

    def draw(self, picture: Sequence[str]) -> None:
        """Draw a picture of lines that are narrower than the terminal."""
        self._picture = picture
        self._show(())

    def write(self, lines: Sequence[str]) -> None:
        """Write lines above the picture."""
        self._show(lines)

    def clear(self) -> None:
        """Take the picture away."""
        self.draw(())

    def _show(self, above: Sequence[str]) -> None:
        staying = "".join(f"{line}\x1b[K\n" for line in above)
        drawn = "\x1b[K\n".join(self._picture)
        self.file.write(self._back(size_of(self.file)[0]) + staying + drawn + "\x1b[J")
        self.file.flush()
        self._drawn = [cells(line) for line in self._picture]

    def _back(self, width: int) -> str:
        """Return to where the picture on the terminal begins.

        A terminal that has become narrower has broken its lines into several rows.
        """
        rows = sum(max(1, -(-taken // width)) for taken in self._drawn)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")


def size_of(file: IO[str]) -> tuple[int, int]:
    """Return columns and lines of a terminal, at least 1 each; 80 and 24 where they cannot be read."""
    try:
        size = os.get_terminal_size(file.fileno())
    except (OSError, ValueError):
        size = shutil.get_terminal_size()
    return size.columns or 80, size.lines or 24
