"""`--changed`: the plans that differ between two commits, instead of all plans.

What is selected is decided by the commits alone. The plans themselves are read from the working tree afterwards, so
they must be there as they are at the range's end; what is not committed yet is reported.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import RunnerError, UsageProblem
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.app.app import App
    from runner.git.changes import Change
    from runner.git.ranges import Range
    from runner.git.repository import Repository
    from runner.loading.named import NamedFiles

DEFAULT_FOLDER = "plans"
"""Where plans are looked for if none are named: below the repository's root and below the working directory."""
_MOST_LINKS = 40
_MOST_LOOKED_INTO = 200
"""So many changed files outside of the searched folder are looked into, whether they are plans."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What changed, in the paths that the caller named. Paths are as the caller would write them.

    `files` are the plans to look at, those in `renamed` (new to old) included; `deleted` no longer exist at `head`.
    `unchanged` are the other plans. `dirty` files differ from what is committed. `base` and `head` are full ids.
    `outside` changed and look like plans, but nothing searched for them.
    """

    files: list[Path]
    deleted: list[str]
    renamed: dict[str, str]
    unchanged: list[Path]
    base: str
    head: str
    dirty: list[str]
    outside: list[str]


def select(
    paths: Sequence[Path], written: str, environ: Mapping[str, str], cwd: Path, *, shared: Sequence[Path] = ()
) -> Selection:
    """Return the plans of `paths` (files or folders) that changed in the range `written`.

    Without `paths` the folder `plans` of the repository's root is searched, and that of `cwd`. If there is none, or if
    no plan changed there and one did elsewhere, nothing can be concluded: UsageProblem. Where folders are named, plans
    that changed elsewhere are in `outside`: another job may have its own folders. A plan has changed when its
    file did, or a file that it names; where templates make names, when any file did that is no plan. `shared` files
    (`--vars-file`) belong to every plan. Raises UsageProblem when the range does not exist, or when the working tree
    holds other plans than its end; GitError when Git cannot be asked.
    """
    from runner.git.repository import Repository

    repository = Repository.find(cwd, environ)
    span = _range(written, environ, repository)
    tree = _Tree(repository, span)
    scope = _Scope.of(paths, tree, cwd)
    common = {name for path in shared for name in _spellings(cwd / path, repository)}
    plans = [_Plan.read(path, tree, common) for path in scope.plans(tree.at_head)]
    chosen = [plan for plan in plans if tree.touches(plan, tree.changed, scope)]
    for plan in chosen:
        _demand_checked_out(plan, tree, scope)
    deleted = _deleted(tree, scope)
    names_folders = any((cwd / path).is_dir() for path in paths)
    outside = _plans_outside(tree, scope, plans) if names_folders or not paths else []
    if outside and not (paths or chosen or deleted):
        raise UsageProblem(
            f"no plan changed in {DEFAULT_FOLDER}/, and {plain(outside[0])} changed, which looks like a plan",
            hint=f"name the folders to search: {plain(posixpath.dirname(outside[0]) or '.')}/, {DEFAULT_FOLDER}/",
        )
    renamed = {c.path: c.old_path for c in tree.changes if c.old_path is not None}
    return Selection(
        files=[Path(scope.shown(plan.path)) for plan in chosen],
        deleted=[scope.shown(path) for path in deleted],
        renamed={scope.shown(p.path): scope.shown(renamed[p.path]) for p in chosen if p.path in renamed},
        unchanged=[Path(scope.shown(plan.path)) for plan in plans if plan not in chosen],
        base=span.base,
        head=span.head,
        dirty=_dirty(chosen, tree, scope),
        outside=[scope.shown(path) for path in outside],
    )


def _default_folders(tree: _Tree, cwd: Path) -> list[Path]:
    """Return the folders that are searched where no plans are named, as they are written from `cwd`.

    Raises UsageProblem if there is none: an empty result would look like a search.
    """
    root, here = tree.repository.root, cwd.resolve()
    known = {*tree.at_head, *tree.changed}
    found = {}
    for place in (root / DEFAULT_FOLDER, here / DEFAULT_FOLDER):
        name = tree.repository.path_of(place.resolve() if place.is_dir() else place)
        if name is not None and any(file.startswith(f"{name}/") for file in known):
            found[name] = Path(posixpath.relpath(place.as_posix(), here.as_posix()))
    if not found:
        raise UsageProblem(
            f"the repository {root} has no folder {DEFAULT_FOLDER}, where plans are looked for",
            hint="name the folder that holds the plans; if there are none yet, create this one",
        )
    return list(found.values())


def _range(written: str, environ: Mapping[str, str], repository: Repository) -> Range:
    from runner.git.ranges import parse_range
    from runner.github.event import range_of, read_event

    if written:
        return parse_range(written, repository)
    event = read_event(environ)
    if event is None:
        raise UsageProblem(
            "--changed without a range takes that of a GitHub event, and there is none",
            hint="write --changed BASE..HEAD, for example --changed main..HEAD",
        )
    return range_of(event, repository)


class _Tree:
    """The range, and how far the working tree is from its end. Paths are the repository's."""

    def __init__(self, repository: Repository, span: Range) -> None:
        self.repository = repository
        self.span = span
        self.changes: list[Change] = repository.changes(span.base, span.head)
        self.changed = _paths(self.changes)
        self.uncommitted = repository.uncommitted()
        here = repository.resolve("HEAD")
        self.elsewhere = set() if here == span.head else _paths(repository.changes(span.head, here))
        self.here = here
        self.at_head = repository.files(span.head)

    def touches(self, plan: _Plan, changed: set[str], scope: _Scope) -> bool:
        """Whether a plan, or what it names, is among these files (or below one: a link, a submodule)."""
        if any(part in changed for path in plan.files for part in _with_parents(path)):
            return True
        return plan.open and any(not scope.is_plan(path) for path in changed)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A plan file at the range's end: its path, and all files that decide what it does.

    `open`: it may name others, too, so every file that is no plan counts.
    """

    path: str
    files: frozenset[str]
    open: bool

    @classmethod
    def read(cls, path: str, tree: _Tree, common: set[str]) -> _Plan:
        """From disk; where the working tree is not at the range's end, from the range's end, too: rather too much."""
        place = tree.repository.root / path
        named = [_named_on_disk(place, path, tree.repository.root)]
        if path in tree.uncommitted | tree.elsewhere:
            named.append(_named_at_head(path, tree))
        files = {name for written in _all_names(named) for name in _spellings(place.parent / written, tree.repository)}
        return cls(path, frozenset(files | common | _spellings(place, tree.repository)), any(n.open for n in named))


class _Scope:
    """The paths of the caller: which files of the repository they mean, and how the caller writes those."""

    def __init__(self, roots: Mapping[str, tuple[Path, bool]], repository: Repository, cwd: Path) -> None:
        self._roots = roots
        self._repository = repository
        self._cwd = cwd

    @classmethod
    def of(cls, paths: Sequence[Path], tree: _Tree, cwd: Path) -> _Scope:
        """Raises UsageProblem for a path outside of the repository, or one that neither is nor was there."""
        repository = tree.repository
        known = {*tree.at_head, *tree.changed}
        roots: dict[str, tuple[Path, bool]] = {}
        for path in paths or _default_folders(tree, cwd):
            place = cwd / path
            is_folder = place.is_dir()
            name = repository.path_of(place.resolve() if is_folder else place)
            if name is None:
                raise UsageProblem(f"{path} is not in the repository {repository.root}")
            is_file = not is_folder and (place.exists() or name in known)
            was_folder = is_folder or any(file.startswith(f"{name}/") for file in known)
            if not is_file and not was_folder:
                raise UsageProblem(f"there is no file or folder {path}", hint="name plan files, or folders with plans")
            roots.setdefault("" if name == "." else name, (path, is_file))
        return cls(roots, repository, cwd)

    def plans(self, files: Iterable[str]) -> list[str]:
        return [path for path in files if self.is_plan(path)]

    def is_plan(self, path: str) -> bool:
        return self._written(path) is not None

    def shown(self, path: str) -> str:
        """The path as the caller would write it."""
        written = self._written(path)
        if written is not None:
            return written.as_posix()
        return posixpath.relpath((self._repository.root / path).as_posix(), self._cwd.resolve().as_posix())

    def _written(self, path: str) -> Path | None:
        from runner.loading.search import is_plan_below

        for root, (written, is_file) in self._roots.items():
            if is_file and path == root:
                return written
            below = path if not root else path.removeprefix(root + "/")
            if not is_file and (not root or below != path) and is_plan_below(below):
                return written / below
        return None


def _deleted(tree: _Tree, scope: _Scope) -> list[str]:
    """Plans of the range's beginning that have no file at its end, nor one under another name where plans are."""
    gone = [c.path for c in tree.changes if c.status == "deleted"]
    gone += [c.old_path for c in tree.changes if c.old_path is not None and not scope.is_plan(c.path)]
    return sorted(scope.plans(gone))


def _plans_outside(tree: _Tree, scope: _Scope, plans: Iterable[_Plan]) -> list[str]:
    """Changed files at the range's end that look like plans and lie where nothing searches, nor leads to."""
    from runner.loading.search import is_plan_below

    seen = set().union(*(plan.files for plan in plans))
    changed = sorted((tree.changed & set(tree.at_head)) - seen)
    likely = [path for path in changed if is_plan_below(path) and not scope.is_plan(path)]
    return [path for path in likely[:_MOST_LOOKED_INTO] if _looks_like_plan(path, tree)]


def _looks_like_plan(path: str, tree: _Tree) -> bool:
    from runner.loading.findings import Findings
    from runner.loading.nodes import MapNode
    from runner.loading.source import decode
    from runner.loading.yaml_reader import parse

    try:
        data = tree.repository.read(tree.span.head, path)
    except RunnerError:
        return False
    if not data or b"groups" not in data:
        return False
    source, _ = decode(data, path)
    root = None if source is None else parse(source, Findings(source))
    return isinstance(root, MapNode) and {"version", "name", "groups"} <= {key.text for key, _ in root.entries}


def _demand_checked_out(plan: _Plan, tree: _Tree, scope: _Scope) -> None:
    if tree.touches(plan, tree.elsewhere, scope):
        raise UsageProblem(
            f"the range ends at {tree.span.head[:12]}, but {tree.here[:12]} is checked out, where"
            f" {scope.shown(plan.path)} or a file it names is different",
            hint=f"check out {tree.span.head[:12]}, or write a range that ends at HEAD",
        )


def _dirty(chosen: Iterable[_Plan], tree: _Tree, scope: _Scope) -> list[str]:
    """Files that are not as they are committed: plans, and what selected plans name."""
    files = {path for plan in chosen for path in plan.files}
    return sorted(scope.shown(path) for path in tree.uncommitted if path in files or scope.is_plan(path))


def _named_on_disk(place: Path, name: str, root: Path) -> NamedFiles:
    from runner.loading.files import check_inside
    from runner.loading.named import NamedFiles, named_files
    from runner.loading.source import Unreadable, read_source

    try:
        check_inside(place, root)
    except Unreadable:
        return NamedFiles()
    source, _ = read_source(place, name)
    return NamedFiles() if source is None else named_files(source)


def _named_at_head(path: str, tree: _Tree) -> NamedFiles:
    from runner.loading.named import NamedFiles, named_files
    from runner.loading.source import decode

    try:
        data = tree.repository.read(tree.span.head, path)
    except RunnerError:  # a link: what it leads to at that commit is unknown
        return NamedFiles(open=True)
    source, _ = decode(data or b"", path)
    return NamedFiles() if source is None else named_files(source)


def _all_names(named: Iterable[NamedFiles]) -> set[str]:
    return {name for one in named for name in one.names if name and "\0" not in name and not name.startswith("/")}


def _spellings(path: Path, repository: Repository) -> set[str]:
    """What the repository calls a file: as it is named, and every link on the way to where it really is."""
    lexical = Path(posixpath.normpath(path.absolute().as_posix()))
    found = {lexical.relative_to(repository.root).as_posix()} if lexical.is_relative_to(repository.root) else set()
    for _ in range(_MOST_LINKS):
        name = repository.path_of(path)
        if name is None:
            break
        found.add(name)
        try:
            path = path.parent.resolve() / path.readlink()
        except (OSError, RuntimeError, ValueError):  # no link
            break
    return found


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _paths(changes: Iterable[Change]) -> set[str]:
    """All paths of changes; of a rename both."""
    return {path for c in changes for path in (c.path, c.old_path) if path is not None}


def tell_selection(app: App, selection: Selection) -> None:
    """On stderr: what of the range is not among the files, and that there is nothing where there is nothing."""
    for path in selection.deleted:
        app.talk(f"{plain(path)} was deleted: no run of it begins")
    for new, old in selection.renamed.items():
        app.talk(f"{plain(new)} was {plain(old)} before: a plan goes by its name, not by its file's")
    for path in selection.outside:
        app.talk(
            f"warning: {plain(path)} changed and looks like a plan, but is in no folder that is searched:"
            " name its folder too"
        )
    for path in selection.dirty:
        app.talk(f"warning: {plain(path)} is not as it is committed")
    if not (selection.files or selection.deleted):
        app.talk(f"no plan changed between {selection.base[:12]} and {selection.head[:12]}")
