"""Checks that need more than one file: plans against each other, and against the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.loading.config import WITHOUT_FILE, LoadedConfig
from runner.loading.findings import did_you_mean
from runner.loading.plan import Loaded
from runner.model.plan import Plan
from runner.model.problem import Problem


def across(loaded: Iterable[Loaded], config: LoadedConfig, beside: Iterable[Loaded] = ()) -> list[Problem]:
    """Plans of the same name, and targets and sources that the configuration does not have (errors only where there is
    one). `beside` are further plans of the repository: only their names count.
    """
    plans = [one for one in loaded if one.plan is not None]
    sources = [problem for one in plans for problem in unknown_sources(one, config)]
    return [*_same_names(plans, beside), *_unknown_targets(plans, config), *sources]


def unknown_sources(one: Loaded, config: LoadedConfig) -> list[Problem]:
    """The gates of a plan that ask what the configuration does not have, each at its place."""
    return [one.place(problem) for problem in _unknown_sources(one, config)]


def _unknown_sources(one: Loaded, config: LoadedConfig) -> Iterator[Problem]:
    known = config.config.sources
    for n, gate in enumerate(one.plan.asking if one.plan and config.is_valid else ()):
        if gate.kind == "alarms" or (gate.source in known and known[gate.source].kind == gate.kind):
            continue
        fitting = sorted(name for name, source in known.items() if source.kind == gate.kind)
        hint = did_you_mean(gate.source, fitting) or f"{gate.kind} sources: {', '.join(fitting) or 'none'}"
        path = ("gates", n, gate.kind, "source")
        if config.path is None:
            message, hint = f'there is no configuration, so no source "{gate.source}"', "write reboot-runner.yaml"
            yield Problem("UnknownSource", message, hint=hint, severity="warning", path=path)
        else:
            message = f'the configuration has no {gate.kind} source "{gate.source}"'
            yield Problem("UnknownSource", message, hint=hint, path=path)


def _same_names(plans: Iterable[Loaded], beside: Iterable[Loaded]) -> Iterator[Problem]:
    first = {one.plan.name: one.name for one in beside if one.plan}
    for one in plans:
        name = one.plan.name if one.plan else ""
        if name in first:
            message = f'the name "{name}" is also that of {first[name]}'
            hint = "runs, cycles and reports go by the name"
            yield one.place(Problem("SamePlanName", message, hint=hint, severity="warning", path=("name",)))
        first.setdefault(name, one.name)


def _unknown_targets(plans: Iterable[Loaded], config: LoadedConfig) -> Iterator[Problem]:
    known = {**WITHOUT_FILE.targets, **config.config.targets}
    if not config.is_valid:
        return
    for one in plans:
        for target, path in _targets(one.plan) if one.plan else ():
            if target in known:
                continue
            hint = did_you_mean(target, known) or "targets: " + ", ".join(sorted(known))
            message = f'the configuration has no target "{target}"'
            if config.path is not None:
                yield one.place(Problem("UnknownTarget", message, hint=hint, path=path))
                continue
            message, hint = f'there is no configuration, so no target "{target}"', "write reboot-runner.yaml"
            yield one.place(Problem("UnknownTarget", message, hint=hint, severity="warning", path=path))


def _targets(plan: Plan) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every target that a plan names, with its place."""
    if plan.target is not None:
        yield plan.target, ("target",)
    for n, group in enumerate(plan.groups):
        if group.target is not None:
            yield group.target, ("groups", n, "target")
