"""Writes a file as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from runner.errors import RunnerError


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever reads half of it: through a link, and into a pipe or a
    device as it is.

    Raises RunnerError when it cannot be written.
    """
    try:
        place = path.resolve() if path.is_symlink() else path
        if place.exists() and not place.is_file():
            place.write_text(
                text, encoding="utf-8", newline=""
            )  # a pipe or a device cannot be replaced
            return
        part = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            part.write_text(text, encoding="utf-8", newline="")
            part.replace(place)
        except OSError:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunnerError(f"cannot write {path}: {error.strerror}") from None
