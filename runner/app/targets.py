"""The targets of a configuration: which there are, and which of them a plan uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import InvalidInput
from runner.loading.config import WITHOUT_FILE, LoadedConfig
from runner.loading.files import git_root
from runner.model.config import TargetConfig
from runner.model.plan import Plan
from runner.model.problem import Problem


def base_folder(loaded: LoadedConfig) -> Path:
    """What relative paths of the configuration start from: its folder, else the Git root,
    else where we are.
    """
    if loaded.path is not None:
        return loaded.path.absolute().parent
    return git_root(Path.cwd()) or Path.cwd()


def choose_target(loaded: LoadedConfig, *names: str | None) -> str:
    """The first name given (`--target`, then the plan's), else the only target there is.

    Raises RunnerError for an unknown name, and where there are several to choose from.
    """
    known = sorted(loaded.config.targets)
    name = next((n for n in names if n), None)
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise _no_target("the plan names no target, and the configuration has several", known)
    if name not in all_targets(loaded):
        raise _no_target(f"there is no target {name!r} in the configuration", known)
    return name


def all_targets(loaded: LoadedConfig) -> Mapping[str, TargetConfig]:
    """The configured targets; `simulator` is always there, so that the examples run in
    every repository.
    """
    return {**WITHOUT_FILE.targets, **loaded.config.targets}


def _no_target(message: str, known: list[str]) -> InvalidInput:
    listed = ", ".join(known) or "none"
    return InvalidInput(
        [Problem("UnknownTarget", message, hint=f"targets: {listed}; give one with --target")]
    )


def is_embedded(config: TargetConfig) -> bool:
    """Whether a target is the simulated cloud inside this process."""
    return config.cloud == "simulator" and config.endpoints.ecs is None


@dataclass(frozen=True, slots=True)
class WantedTargets:
    """Which targets a plan uses: what its groups name, in their order, None where neither
    group nor plan names one.

    `default`: of groups that name none, as the plan writes it. `groups_name`: some group
    names its own.
    """

    names: tuple[str | None, ...]
    default: str | None = None
    groups_name: bool = False

    @classmethod
    def of(cls, plan: Plan) -> WantedTargets:
        names = tuple(dict.fromkeys(g.target or plan.target for g in plan.groups))
        return cls(names, plan.target, any(g.target for g in plan.groups))


def choose_targets(
    loaded: LoadedConfig, override: str | None, wanted: WantedTargets
) -> tuple[tuple[str, ...], str]:
    """The names of a plan's targets, each once, and the default among them. `override`: what
    `--target` says.

    Raises InvalidInput for a name that is not configured, where there are several to choose
    from, for `--target` with a plan whose groups name their own, and where simulated and
    other targets would share one clock.
    """
    if override is not None and wanted.groups_name:
        message = (
            "groups of the plan name targets of their own, and --target would send all of "
            "them to one"
        )
        raise InvalidInput(
            [Problem("TargetOverride", message, hint="leave --target out, or change the plan")]
        )
    names = tuple(dict.fromkeys(choose_target(loaded, override, name) for name in wanted.names))
    default = override or wanted.default
    chosen = choose_target(loaded, default) if default or None in wanted.names else names[0]
    known = all_targets(loaded)
    embedded = [n for n in names if is_embedded(known[n])]
    if embedded and len(embedded) < len(names):
        message = (
            f"target {embedded[0]} is simulated in a time of its own, the others of the "
            f"plan are not"
        )
        hint = "serve it with `reboot-runner simulator` and give the target its endpoints"
        raise InvalidInput([Problem("TargetsApart", message, hint=hint)])
    return names, chosen
