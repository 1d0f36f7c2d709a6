"""Files into a folder: first everything is looked at, then all of it is written, or nothing."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.errors import RunnerError, UsageProblem
from runner.starter.files import StarterFile

Action = Literal["write", "overwrite", "same", "keep"]


@dataclass(frozen=True, slots=True)
class FileStep:
    """What is done with one file: `same` holds the text already, `keep` holds another one."""

    file: StarterFile
    action: Action

    @property
    def is_written(self) -> bool:
        return self.action in ("write", "overwrite")


def survey(folder: Path, files: Iterable[StarterFile], *, force: bool) -> tuple[FileStep, ...]:
    """What would be done with each file; touches nothing.

    Raises UsageProblem where a file cannot be: in place of a folder, below a file, or
    through a link. A link could lead out of the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageProblem(f"{folder} is not a folder")
    return tuple(FileStep(file, _action(folder, file, force=force)) for file in files)


def write(folder: Path, steps: Sequence[FileStep]) -> None:
    """Write what is to be written, all or nothing. Raises RunnerError when it cannot be; then
    all is as it was.

    Every text lies complete on the same disk before the first file takes its place.
    """
    wanted = [step.file for step in steps if step.is_written]
    made: list[Path] = []
    try:
        _make_folder(folder, made)
        with tempfile.TemporaryDirectory(prefix=".reboot-runner-init-", dir=folder) as stage:
            _place(folder, Path(stage), wanted, made)
    except OSError as error:
        for path in reversed(made):
            path.rmdir()
        reason = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        raise RunnerError(f"nothing was written: {reason}") from None


def _action(folder: Path, file: StarterFile, *, force: bool) -> Action:
    place = folder
    *parents, last = Path(file.path).parts
    for part in parents:
        place /= part
        mode = _mode(place)
        if mode is None:
            return "write"
        if not stat.S_ISDIR(mode):
            raise UsageProblem(f"{place} is no folder, {file.path} cannot be written below it")
    place /= last
    mode = _mode(place)
    if mode is None:
        return "write"
    if not stat.S_ISREG(mode):
        raise UsageProblem(
            f"{place} is there and is no regular file", hint="move it away, then call init again"
        )
    text = file.text.encode()
    with place.open("rb") as found:
        if found.read(len(text) + 1) == text:
            return "same"
    return "overwrite" if force else "keep"


def _mode(path: Path) -> int | None:
    """What a path is, links not followed; None where there is nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None


def _make_folder(path: Path, made: list[Path]) -> None:
    """Make a folder with those above it; those that are new are added to `made`."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _place(folder: Path, stage: Path, files: Sequence[StarterFile], made: list[Path]) -> None:
    """Move each text from the stage to its place; after an error those that were moved are
    taken back.
    """
    for number, file in enumerate(files):
        (stage / str(number)).write_text(file.text, encoding="utf-8", newline="\n")
    placed: list[tuple[Path, Path]] = []
    try:
        for number, file in enumerate(files):
            place, before = folder / file.path, stage / f"{number}.before"
            _make_folder(place.parent, made)
            if place.exists():
                shutil.copy2(place, before)
            (stage / str(number)).replace(place)
            placed.append((place, before))
    except OSError:
        for place, before in reversed(placed):
            if before.exists():
                before.replace(place)
            else:
                place.unlink()
        raise
