"""Which files a command means: files as they are named, folders searched for plans."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from runner.loading.config import FILE_NAME
from runner.model.problem import Location, Problem

_SUFFIXES = (".yaml", ".yml")


def find_plans(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """The plan files of these paths, each once, and a problem for each folder that holds none.

    Folders are searched in sorted order, without hidden folders, without links to folders, and without a
    configuration. A file that is named is taken whatever it is called.
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
            problems.append(Problem("NoPlans", "the folder holds no plan", Location(path.as_posix()), hint))
    return list(found), problems


def _in_folder(folder: Path) -> list[Path]:
    plans = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        plans += [Path(parent) / name for name in sorted(names) if is_plan(name)]
    return plans


def is_plan(name: str) -> bool:
    """Whether a file of this name, met in a folder, is taken for a plan."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".") and name != FILE_NAME


def is_plan_below(relative: str) -> bool:
    """The same for a path below the folder that is searched (with `/`): hidden folders hold no plans."""
    *folders, name = relative.split("/")
    return is_plan(name) and not any(folder.startswith(".") for folder in folders)
