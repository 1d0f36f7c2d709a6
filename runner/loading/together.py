"""Checks that need more than one file: plans against each other, and against the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.loading.config import WITHOUT_FILE, LoadedConfig
from runner.loading.findings import did_you_mean
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, locate
from runner.loading.plan import Loaded
from runner.model.problem import Problem

Path = tuple[str | int, ...]


def across(
    loaded: Iterable[Loaded], config: LoadedConfig, beside: Iterable[Loaded] = ()
) -> list[Problem]:
    """Plans of the same name, and targets and sources that the configuration does not have
    (errors only where there is one). `beside` are further plans of the repository: only
    their names count.
    """
    files = list(loaded)
    sources = [problem for one in files for problem in unknown_sources(one, config)]
    return [*same_names(files, beside), *_unknown_targets(files, config), *sources]


def unknown_sources(one: Loaded, config: LoadedConfig) -> list[Problem]:
    """The gates of a plan that ask what the configuration does not have, each at its place."""
    return [one.place(problem) for problem in _unknown_sources(one, config)]


def _unknown_sources(one: Loaded, config: LoadedConfig) -> Iterator[Problem]:
    known = config.config.sources
    for kind, source, path in _sources(one.tree) if config.is_valid else ():
        if source in known and known[source].kind == kind:
            continue
        fitting = sorted(name for name, found in known.items() if found.kind == kind)
        hint = did_you_mean(source, fitting) or f"{kind} sources: {', '.join(fitting) or 'none'}"
        if config.path is None:
            message, hint = (
                f'there is no configuration, so no source "{source}"',
                "write reboot-runner.yaml",
            )
            yield Problem("UnknownSource", message, hint=hint, severity="warning", path=path)
        else:
            message = f'the configuration has no {kind} source "{source}"'
            yield Problem("UnknownSource", message, hint=hint, path=path)


def same_names(plans: Iterable[Loaded], beside: Iterable[Loaded] = ()) -> Iterator[Problem]:
    """Yield a warning for each plan that has the name of an earlier one, or of one
    `beside` them.
    """
    first = {one.plan.name: one.name for one in beside if one.plan}
    for one in plans:
        if one.plan is None:
            continue
        name = one.plan.name
        if name in first:
            message = f'the name "{name}" is also that of {first[name]}'
            hint = "runs, cycles and reports go by the name"
            yield one.place(
                Problem("SamePlanName", message, hint=hint, severity="warning", path=("name",))
            )
        first.setdefault(name, one.name)


def _unknown_targets(plans: Iterable[Loaded], config: LoadedConfig) -> Iterator[Problem]:
    known = {**WITHOUT_FILE.targets, **config.config.targets}
    if not config.is_valid:
        return
    for one in plans:
        for target, path in _targets(one.tree):
            if target in known:
                continue
            hint = did_you_mean(target, known) or "targets: " + ", ".join(sorted(known))
            message = f'the configuration has no target "{target}"'
            if config.path is not None:
                yield one.place(Problem("UnknownTarget", message, hint=hint, path=path))
                continue
            message, hint = (
                f'there is no configuration, so no target "{target}"',
                "write reboot-runner.yaml",
            )
            yield one.place(
                Problem("UnknownTarget", message, hint=hint, severity="warning", path=path)
            )


def _targets(tree: Node | None) -> Iterator[tuple[str, Path]]:
    """Every target that a plan names, with its place; also of a plan that is not valid for
    another reason.
    """
    yield from _text_at(tree, ("target",))
    for n in range(_length_at(tree, "groups")):
        yield from _text_at(tree, ("groups", n, "target"))


def _sources(tree: Node | None) -> Iterator[tuple[str, str, Path]]:
    """The kind and name of every source that a gate asks, with its place."""
    for n in range(_length_at(tree, "gates")):
        for kind in ("prometheus", "http"):
            for source, path in _text_at(tree, ("gates", n, kind, "source")):
                yield kind, source, path


def _length_at(tree: Node | None, key: str) -> int:
    node = tree.get(key) if isinstance(tree, MapNode) else None
    return len(node.items) if isinstance(node, ListNode) else 0


def _text_at(tree: Node | None, path: Path) -> Iterator[tuple[str, Path]]:
    """The text at a path, if there is one."""
    place = None if tree is None else locate(tree, path)
    node = place.node if place is not None and place.exact else None
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value and not node.broken:
        yield node.value, path
