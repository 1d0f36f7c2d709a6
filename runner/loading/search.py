"""Which files a command means: files as they are named, folders searched for plans."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from runner.loading.config import FILE_NAME
from runner.model.problem import Location, Problem

_SUFFIXES = (".yaml", ".yml")
_ALMOST = re.compile(
    r"\..*\.ya?ml|.*\.json|.*\.ya?ml\.(?!bak|orig|rej|off|disabled|tmp|sw.$)[a-z0-9]+",
    re.IGNORECASE,
)
"""Names that are no plans' in a folder, although a person may think so."""
_KEYS = tuple(
    re.compile(rb"""(?:^|[{,])[ \t]*+["']?%s["']?[ \t]*+:""" % key, re.MULTILINE)
    for key in (b"version", b"name", b"groups")
)
_LOOKED_INTO = 65_536
"""Bytes of a file that are searched for the keys of a plan."""


def find_plans(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """Return the plan files of these paths, each once, and what is wrong with the folders.

    A folder without a plan is an error. A file that looks like a plan but has the name of
    none is a warning.

    Folders are searched in sorted order, without hidden folders, without links to folders,
    and without a configuration. A file that is named is taken whatever it is called.
    """
    found: dict[Path, None] = {}
    problems = []
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = _in_folder(path)
        found.update(dict.fromkeys(inside))
        if not inside:
            hint = "name a file, or a folder with .yaml or .yml files"
            problems.append(
                Problem("NoPlans", "the folder holds no plan", Location(path.as_posix()), hint)
            )
        problems += [_passed_over(name) for name in _almost_plans(path)]
    return list(found), problems


def _in_folder(folder: Path) -> list[Path]:
    return [path for path in _files_in(folder) if is_plan(path.name)]


def _files_in(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent) / name for name in sorted(names))


def _almost_plans(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that hold the keys of a plan, but whose names are not
    those of plans.
    """
    for path in _files_in(folder):
        if _ALMOST.fullmatch(path.name) and path.is_file():
            with suppress(OSError), path.open("rb") as file:
                text = file.read(_LOOKED_INTO)
                if all(key.search(text) for key in _KEYS):
                    yield path


def _passed_over(path: Path) -> Problem:
    said = (
        "this file looks like a plan, but in a folder only visible files ending in .yaml or "
        ".yml are plans"
    )
    hint = "rename it, name it in the command, or move it to another folder"
    return Problem("PassedOver", said, Location(path.as_posix()), hint, severity="warning")


def is_plan(name: str) -> bool:
    """Whether a file of this name, met in a folder, is taken for a plan."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".") and name != FILE_NAME


def is_plan_below(relative: str) -> bool:
    """The same for a path below the folder that is searched (with `/`): hidden folders hold
    no plans.
    """
    *folders, name = relative.split("/")
    return is_plan(name) and not any(folder.startswith(".") for folder in folders)
