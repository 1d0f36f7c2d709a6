"""`--changed`: the plans that differ between two commits, instead of all plans.

What is selected is decided by the commits alone. The plans themselves are read from the
working tree afterwards, so they must be there as they are at the range's end; what is not
committed yet is reported.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.app.app import App
from runner.errors import RunnerError, UsageProblem
from runner.git.changes import Change
from runner.git.ranges import Range, parse_range
from runner.git.repository import Repository
from runner.github.event import range_of, read_event
from runner.loading.files import check_inside
from runner.loading.findings import Findings
from runner.loading.named import NamedFiles, named_files
from runner.loading.nodes import MapNode
from runner.loading.search import is_plan_below
from runner.loading.source import Unreadable, decode, read_source
from runner.loading.yaml_reader import parse
from runner.report.safe import plain

DEFAULT_FOLDER = "plans"
"""Where plans are looked for if none are named: below the repository's root and below the
working directory.
"""
_MOST_LINKS = 40
_MOST_LOOKED_INTO = 200
"""So many changed files outside of the searched folder are looked into, whether they are plans."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What changed, in the paths that the caller named. Paths are as the caller would write them.

    `files` are the plans to look at, those in `renamed` (new to old) included; `deleted` no
    longer exist at `head`. `unchanged` are the other plans. `dirty` files differ from what
    is committed. `base` and `head` are full ids. `outside` changed and look like plans, but
    nothing searched for them.
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
    paths: Sequence[Path],
    written: str,
    environ: Mapping[str, str],
    cwd: Path,
    *,
    shared: Sequence[Path] = (),
) -> Selection:
    repository = Repository.find(cwd, environ)
    tree = _Tree(repository, _range(written, environ, repository), cwd, paths)
    common = {name for path in shared for name in _spellings(cwd / path, repository)}
    plans = [_Plan.read(path, tree, common) for path in tree.at_head if tree.is_plan(path)]
    chosen = [plan for plan in plans if plan.is_touched(tree, tree.changed)]
    for plan in chosen:
        if plan.is_touched(tree, tree.elsewhere):
            raise UsageProblem(
                f"the range ends at {tree.span.head[:12]}, but {tree.here[:12]} is checked out, "
                f"where"
                f" {tree.shown(plan.path)} or a file it names is different",
                hint=f"check out {tree.span.head[:12]}, or write a range that ends at HEAD",
            )
    gone = [c.path for c in tree.changes if c.status == "deleted"]
    gone += [
        c.old_path for c in tree.changes if c.old_path is not None and not tree.is_plan(c.path)
    ]
    deleted = sorted(path for path in gone if tree.is_plan(path))
    names_folders = any((cwd / path).is_dir() for path in paths)
    outside = tree.plans_outside(plans) if names_folders or not paths else []
    if outside and not (paths or chosen or deleted):
        raise UsageProblem(
            f"no plan changed in {DEFAULT_FOLDER}/, and {plain(outside[0])} changed, which looks "
            f"like a plan",
            hint=(
                f"name the folders to search: {plain(posixpath.dirname(outside[0]) or '.')}/, "
                f"{DEFAULT_FOLDER}/"
            ),
        )
    renamed = {c.path: c.old_path for c in tree.changes if c.old_path is not None}
    named = {path for plan in chosen for path in plan.files}
    return Selection(
        files=[Path(tree.shown(plan.path)) for plan in chosen],
        deleted=[tree.shown(path) for path in deleted],
        renamed={
            tree.shown(p.path): tree.shown(renamed[p.path]) for p in chosen if p.path in renamed
        },
        unchanged=[Path(tree.shown(plan.path)) for plan in plans if plan not in chosen],
        base=tree.span.base,
        head=tree.span.head,
        dirty=sorted(
            tree.shown(path) for path in tree.uncommitted if path in named or tree.is_plan(path)
        ),
        outside=[tree.shown(path) for path in outside],
    )


def _range(written: str, environ: Mapping[str, str], repository: Repository) -> Range:
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
    """The range, how far the working tree is from its end, and what the caller's paths mean.
    Paths are the repository's; `shown` gives them as the caller would write them.

    Raises UsageProblem for a path outside of the repository, or one that neither is nor was there.
    """

    def __init__(
        self, repository: Repository, span: Range, cwd: Path, paths: Sequence[Path]
    ) -> None:
        self.repository = repository
        self.span = span
        self.cwd = cwd
        self.changes = repository.changes(span.base, span.head)
        self.changed = _paths(self.changes)
        self.uncommitted = repository.uncommitted()
        self.here = repository.resolve("HEAD")
        self.elsewhere = (
            set() if self.here == span.head else _paths(repository.changes(span.head, self.here))
        )
        self.at_head = repository.files(span.head)
        self.roots: dict[str, tuple[Path, bool]] = {}
        """Path of the repository -> as the caller writes it, and whether it is a file."""
        known = {*self.at_head, *self.changed}
        for path in paths or self._default_folders(known):
            place = cwd / path
            is_folder = place.is_dir()
            name = repository.path_of(place.resolve() if is_folder else place)
            if name is None:
                raise UsageProblem(f"{path} is not in the repository {repository.root}")
            is_file = not is_folder and (place.exists() or name in known)
            if not is_file and not is_folder and not _holds(name, known):
                raise UsageProblem(
                    f"there is no file or folder {path}",
                    hint="name plan files, or folders with plans",
                )
            self.roots.setdefault("" if name == "." else name, (path, is_file))

    def _default_folders(self, known: Iterable[str]) -> list[Path]:
        """Return the folders that are searched where no plans are named. An empty result
        would look like a search.
        """
        root, here = self.repository.root, self.cwd.resolve()
        found = {}
        for place in (root / DEFAULT_FOLDER, here / DEFAULT_FOLDER):
            name = self.repository.path_of(place.resolve() if place.is_dir() else place)
            if name is not None and _holds(name, known):
                found[name] = Path(posixpath.relpath(place.as_posix(), here.as_posix()))
        if not found:
            raise UsageProblem(
                f"the repository {root} has no folder {DEFAULT_FOLDER}, where plans are looked for",
                hint="name the folder that holds the plans; if there are none yet, create this one",
            )
        return list(found.values())

    def is_plan(self, path: str) -> bool:
        return self._written(path) is not None

    def shown(self, path: str) -> str:
        if (written := self._written(path)) is not None:
            return written.as_posix()
        return posixpath.relpath(
            (self.repository.root / path).as_posix(), self.cwd.resolve().as_posix()
        )

    def _written(self, path: str) -> Path | None:
        for root, (written, is_file) in self.roots.items():
            if is_file and path == root:
                return written
            below = path if not root else path.removeprefix(root + "/")
            if not is_file and (not root or below != path) and is_plan_below(below):
                return written / below
        return None

    def plans_outside(self, plans: Iterable[_Plan]) -> list[str]:
        """Return changed files at the range's end that look like plans and lie where
        nothing searches or leads to.
        """
        seen = set().union(*(plan.files for plan in plans))
        changed = sorted((self.changed & set(self.at_head)) - seen)
        likely = [path for path in changed if is_plan_below(path) and not self.is_plan(path)]
        return [path for path in likely[:_MOST_LOOKED_INTO] if self._looks_like_plan(path)]

    def _looks_like_plan(self, path: str) -> bool:
        try:
            data = self.repository.read(self.span.head, path)
        except RunnerError:
            return False
        source, _ = decode(data, path) if data and b"groups" in data else (None, ())
        root = None if source is None else parse(source, Findings(source))
        return isinstance(root, MapNode) and {"version", "name", "groups"} <= {
            key.text for key, _ in root.entries
        }


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
        """From disk; where the working tree is not at the range's end, from the range's
        end, too: rather too much.
        """
        repository = tree.repository
        place = repository.root / path
        named = []
        try:
            check_inside(place, repository.root)
            sources = [read_source(place, path)[0]]
        except Unreadable:
            sources = []
        if path in tree.uncommitted | tree.elsewhere:
            try:
                sources.append(decode(repository.read(tree.span.head, path) or b"", path)[0])
            except RunnerError:  # a link: what it leads to at that commit is unknown
                named.append(NamedFiles(open=True))
        named += [named_files(source) for source in sources if source is not None]
        names = {
            name
            for one in named
            for name in one.names
            if name and "\0" not in name and not name.startswith("/")
        }
        files = {
            spelled for name in names for spelled in _spellings(place.parent / name, repository)
        }
        return cls(
            path,
            frozenset(files | common | _spellings(place, repository)),
            any(n.open for n in named),
        )

    def is_touched(self, tree: _Tree, changed: set[str]) -> bool:
        """Return whether the plan, or what it names, is among these files (or below one: a
        link, a submodule).
        """
        for path in self.files:
            if path in changed or any(
                parent.as_posix() in changed for parent in Path(path).parents
            ):
                return True
        return self.open and any(not tree.is_plan(path) for path in changed)


def _spellings(path: Path, repository: Repository) -> set[str]:
    """What the repository calls a file: as it is named, and every link on the way to where
    it really is.
    """
    lexical = Path(posixpath.normpath(path.absolute().as_posix()))
    found = (
        {lexical.relative_to(repository.root).as_posix()}
        if lexical.is_relative_to(repository.root)
        else set()
    )
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


def _holds(folder: str, files: Iterable[str]) -> bool:
    return any(file.startswith(f"{folder}/") for file in files)


def _paths(changes: Iterable[Change]) -> set[str]:
    """All paths of changes; of a rename both."""
    return {path for c in changes for path in (c.path, c.old_path) if path is not None}


def tell_selection(app: App, selection: Selection) -> None:
    """On stderr: what of the range is not among the files, and that there is nothing where
    there is nothing.
    """
    for path in selection.deleted:
        app.talk(f"{plain(path)} was deleted: no run of it begins")
    for new, old in selection.renamed.items():
        app.talk(
            f"{plain(new)} was {plain(old)} before: a plan goes by its name, not by its file's"
        )
    for path in selection.outside:
        app.talk(
            f"warning: {plain(path)} changed and looks like a plan, but is in no folder that is "
            f"searched:"
            " name its folder too"
        )
    for path in selection.dirty:
        app.talk(f"warning: {plain(path)} is not as it is committed")
    if not (selection.files or selection.deleted):
        app.talk(f"no plan changed between {selection.base[:12]} and {selection.head[:12]}")
