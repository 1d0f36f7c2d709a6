"""Plans and configurations as they are in another revision of the repository.

A revision is given as a function from a path (relative to the Git root, with `/`) to what
the file holds there, or None where there is none. It may raise our errors, which become
problems. The same rules hold as on disk.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from runner.errors import RunnerError
from runner.loading.config import FILE_NAME, LoadedConfig, load_config_text, without_file
from runner.loading.files import MAX_ID_BYTES, FileReader
from runner.loading.findings import Findings
from runner.loading.nodes import MapNode, Scalar
from runner.loading.plan import NO_OPTIONS, Loaded, LoadOptions, load_text
from runner.loading.search import is_plan
from runner.loading.source import MAX_BYTES, Unreadable, decode
from runner.loading.yaml_reader import parse
from runner.model.problem import Location, Problem

RevisionReader: TypeAlias = Callable[[str], bytes | None]
"""Gives what a file of a revision holds, or None. Raises RunnerError for what is no readable file.
"""


def load_plan_at(
    read: RevisionReader, path: str, options: LoadOptions = NO_OPTIONS, *, name: str | None = None
) -> Loaded:
    """The plan that a revision has at `path`. `name` is what messages call it; files it names
    are of that revision.

    Never raises for what is in it, or because it cannot be read: those are problems.
    """
    shown = name or path
    try:
        data = _bytes_at(read, path, MAX_BYTES)
    except Unreadable as error:
        return Loaded(shown, None, (_unreadable(error, shown),))
    return load_text(data, shown, replace(options, files=reader_at(read, posixpath.dirname(path))))


def load_config_at(
    read: RevisionReader,
    env: Mapping[str, str],
    *,
    root: Path,
    start: str = "",
    path: str | None = None,
) -> LoadedConfig:
    """The configuration that a revision has at `path`, else the nearest from the folder
    `start` upwards.

    `root` is the Git root on disk: what the configuration names (a local store) is beside
    it there. Without a configuration in the revision its defaults hold, whatever stands in
    the working tree.
    """
    found = path if path is not None else _nearest(read, start)
    if found is None:
        return without_file(env)
    try:
        data = _bytes_at(read, found, MAX_BYTES)
    except Unreadable as error:
        failed = without_file(env)
        return replace(
            failed, path=root / found, problems=(_unreadable(error, found), *failed.problems)
        )
    return load_config_text(data, found, env, path=root / found)


def find_at(
    read: RevisionReader,
    files: Iterable[str],
    path: str,
    plan_name: str | None = None,
    *,
    renamed: Mapping[str, str] | None = None,
    options: LoadOptions = NO_OPTIONS,
) -> str | None:
    """Where a revision has the plan that is now at `path`; None when it is new.

    At the same path; else at the path it was renamed from (`renamed`: new to old); else in
    the same folder under the same plan name, among `files`, the paths of the revision.
    """
    listed = set(files)
    if path in listed:
        return path
    old = (renamed or {}).get(path)
    if old is not None and old in listed:
        return old
    folder = posixpath.dirname(path)
    beside = [
        f
        for f in sorted(listed)
        if posixpath.dirname(f) == folder and is_plan(posixpath.basename(f))
    ]
    return next(
        (f for f in beside if plan_name is not None and _name_at(read, f, options) == plan_name),
        None,
    )


def reader_at(read: RevisionReader, folder: str) -> FileReader:
    """Reads files that a plan in `folder` names, as they are in the revision: relative,
    inside, not in `.git`.
    """

    def read_named(name: str) -> bytes:
        if name.startswith("/") or "\0" in name:
            raise Unreadable(
                "OutsideRepository", "must be relative to this file", "keep it beside the plan"
            )
        path = posixpath.normpath(posixpath.join(folder, name))
        if path.split("/")[0] == ".." or ".git" in path.split("/"):
            raise Unreadable(
                "OutsideRepository",
                "is outside the repository (or in .git)",
                "keep it beside the plan",
            )
        return _bytes_at(read, path, MAX_ID_BYTES)

    return read_named


def _bytes_at(read: RevisionReader, path: str, limit: int) -> bytes:
    try:
        data = read(path)
    except RunnerError as error:
        raise Unreadable("Unreadable", f"cannot be read: {error.message}", error.hint) from None
    if data is None:
        raise Unreadable("Unreadable", "cannot be read: it does not exist in that revision")
    if len(data) > limit:
        raise Unreadable("TooLarge", f"is larger than {limit >> 20} MiB")
    return data


def _nearest(read: RevisionReader, start: str) -> str | None:
    """The nearest configuration from a folder upwards. One that is there but cannot be read
    is found, too.
    """
    folder = start
    while True:
        path = posixpath.join(folder, FILE_NAME)
        try:
            if read(path) is not None:
                return path
        except RunnerError:
            return path
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def _name_at(read: RevisionReader, path: str, options: LoadOptions) -> str | None:
    """A plan's name, also where the rest of it has errors; None where nobody can tell."""
    try:
        source, _ = decode(_bytes_at(read, path, MAX_BYTES), path)
    except Unreadable:
        return None
    root = parse(source, Findings(source)) if source else None
    node = root.get("name") if isinstance(root, MapNode) else None
    if isinstance(node, Scalar) and "{{" not in node.raw:
        return str(node.value)
    plan = load_plan_at(read, path, options).plan
    return plan.name if plan else None


def _unreadable(error: Unreadable, name: str) -> Problem:
    return Problem(error.code, f"the file {error.message}", Location(name), error.hint)
