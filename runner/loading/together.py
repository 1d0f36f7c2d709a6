"""Checks that need more than one file: plans against each other, and against the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.loading.config import WITHOUT_FILE, LoadedConfig
from runner.loading.findings import did_you_mean
from runner.loading.plan import Loaded
from runner.model.problem import Problem


def across(loaded: Iterable[Loaded], config: LoadedConfig) -> list[Problem]:
    """Plans of the same name, and targets that the configuration does not have (an error only where there is one)."""
    plans = [one for one in loaded if one.plan is not None]
    return [*_same_names(plans), *_unknown_targets(plans, config)]


def _same_names(plans: Iterable[Loaded]) -> Iterator[Problem]:
    first: dict[str, str] = {}
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
        target = one.plan.target if one.plan else None
        if target is None or target in known:
            continue
        hint = did_you_mean(target, known) or "targets: " + ", ".join(sorted(known))
        message = f'the configuration has no target "{target}"'
        if config.path is not None:
            yield one.place(Problem("UnknownTarget", message, hint=hint, path=("target",)))
            continue
        message, hint = f'there is no configuration, so no target "{target}"', "write reboot-runner.yaml"
        yield one.place(Problem("UnknownTarget", message, hint=hint, severity="warning", path=("target",)))
