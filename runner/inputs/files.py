"""Files from outside, opened so that a pipe, a device or an endless file can neither hang
nor flood us.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegular(OSError):
    """The path is a folder, a pipe, a socket or a device. `strerror` is the sentence."""


class TooLarge(OSError):
    """The file is larger than its bound. `strerror` is the sentence."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, without waiting for a writer. Raises OSError,
    NotRegular among them.
    """
    try:
        # Windows has neither flag, and no pipe that a path can name by accident.
        flags = (
            os.O_RDONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_BINARY", 0)
        )
        fd = os.open(path, flags | getattr(os, "O_NOCTTY", 0))
    except ValueError:
        raise OSError(0, "bad path") from None
    except OSError:
        if stat.S_ISSOCK(_mode(path)):
            raise NotRegular(0, "is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotRegular(0, "is not a regular file")
    return os.fdopen(fd, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises OSError, among them NotRegular and TooLarge.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(0, f"is larger than {_written(limit)}")
    return data


def describe(error: OSError) -> str:
    """Return what went wrong as the end of "the file …"."""
    if isinstance(error, NotRegular | TooLarge):
        return str(error.strerror)
    return f"cannot be read: {(error.strerror or 'unknown reason').lower()}"


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _written(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
