"""`doctor` on the configuration, the policy and the sources that it names, the plans beside it, and the program."""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import __version__
from runner.app.doctor.making import counted, ok, skipped, warning
from runner.app.gates import sources_of
from runner.app.policy import Police
from runner.app.targets import base_folder
from runner.checks.gatekeeper import Source
from runner.loading.config import LoadedConfig, template_env
from runner.loading.plan import LoadOptions, load_plan
from runner.loading.search import find_plans
from runner.net.origin import VAIN_HINT, vain_hosts
from runner.net.reach import Way, way_to
from runner.net.trust import trust
from runner.net.wire import Unreachable
from runner.planning.digest import FORMAT_VERSION as SCHEDULE
from runner.report.doctor import Check, Section, listed
from runner.report.run_report import FORMAT_VERSION as REPORT
from runner.store.inspect import NEWEST

PLANS = "plans"
"""The folder beside the configuration that `init` makes for plans."""


@dataclass(frozen=True, slots=True)
class PlansFound:
    """The plans that were looked at, and what their gates ask. `unusable`: files that hold no plan as they are."""

    files: int = 0
    unusable: int = 0
    sources: tuple[str, ...] = ()
    alarms: bool = False


def look_at_plans(loaded: LoadedConfig, police: Police, named: Sequence[Path]) -> PlansFound:
    """Those that are named, else those of the folder `plans` beside the configuration."""
    folder = base_folder(loaded) / PLANS
    paths = named or ([folder] if folder.is_dir() else [])
    files, _ = find_plans(paths)
    options = LoadOptions(env=template_env(loaded.config, os.environ))
    plans = [load_plan(path, options).plan for path in police.plans_among(files)]
    gates = [gate for plan in plans if plan is not None for gate in plan.asking]
    return PlansFound(
        len(plans),
        sum(plan is None for plan in plans),
        tuple(dict.fromkeys(gate.source for gate in gates if gate.source)),
        any(gate.kind == "alarms" for gate in gates),
    )


async def configuration(loaded: LoadedConfig, police: Police, plans: PlansFound, within_s: float) -> Section:
    """What was found where, and whether the sources of gates can be asked."""
    checks = [_file(loaded), _policy(loaded, police)]
    checks += await _sources(sources_of(loaded.config, os.environ), within_s)
    checks += _names(loaded)
    checks.append(_plans(plans))
    return Section("configuration", "configuration", tuple(checks))


def unusable(loaded: LoadedConfig, police: Police) -> Section:
    """The same where the configuration or the policy cannot be used: the problems themselves are told elsewhere."""
    checks = []
    for name, bad, path in (
        ("file", not loaded.is_valid, loaded.path),
        ("policy", not police.loaded.is_valid, police.loaded.path),
    ):
        if bad:
            hint = "the problems above say how"
            checks.append(Check(name, "failed", f"{path or 'the environment'} cannot be used", hint))
    checks.append(skipped("targets", "not looked at: nothing runs with this configuration"))
    return Section("configuration", "configuration", tuple(checks))


def _file(loaded: LoadedConfig) -> Check:
    names = sorted(loaded.config.targets)
    said = f"{counted(len(names), 'target')}: {listed(names)}" if names else "no target of its own"
    if loaded.path is None:
        return ok("file", "no reboot-runner.yaml from here up to the Git root: the defaults hold; " + said)
    told = tuple(p.message for p in loaded.problems)
    if told:
        return warning(
            "file",
            f"{loaded.name} is valid, with {counted(len(told), 'warning')}",
            "the warnings above say how",
            details=told,
        )
    return ok("file", f"{loaded.name} is valid; {said}")


def _policy(loaded: LoadedConfig, police: Police) -> Check:
    if loaded.config.policy is None:
        return ok("policy", "none is configured; docs/policy.md says what one is good for")
    return ok("policy", f"{loaded.config.policy} is valid")


async def _sources(sources: dict[str, Source], within_s: float) -> list[Check]:
    names = list(sources)
    ways = await asyncio.gather(*(way_to(_origin(sources[name].url), within_s) for name in names))
    return [_source(name, sources[name], way) for name, way in zip(names, ways, strict=True)]


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _source(name: str, source: Source, way: Way) -> Check:
    about = f"source {name}"
    if source.lacks:
        return Check(
            about, "failed", f"{source.lacks}: its gates stay closed", "set it where runs are made", denied=True
        )
    if way.failed is not None:
        said = f"{way.failed.name}: {way.failed.said}: its gates stay closed"
        return Check(about, "failed", said, way.failed.hint)
    return ok(about, f"{source.kind} at {source.url} answers" + (", with a token" if source.token else ""))


def _names(loaded: LoadedConfig) -> Iterable[Check]:
    unset = [name for name in loaded.config.template_env if name not in os.environ]
    if unset:
        said = f"templates may read {listed(unset)}, which the environment does not hold"
        yield warning("template_env", said, "set them, or take them out of template_env")


def _plans(plans: PlansFound) -> Check:
    if not plans.files:
        return skipped(
            "plans", f"none looked at: there is no folder {PLANS} beside the configuration; --plans names one"
        )
    asked = [*plans.sources, *(["Cloud Eye's alarms"] if plans.alarms else [])]
    said = f"{counted(plans.files, 'plan')}; gates ask {listed(asked)}" if asked else counted(plans.files, "plan")
    if plans.unusable:
        hint = "`reboot-runner validate` says why; those with variables need --var there"
        return warning("plans", f"{said}; {plans.unusable} cannot be used as they are", hint)
    return ok("plans", said)


def program() -> Section:
    """The versions of what runs here, and of the formats that it writes."""
    formats = f"plan 1, schedule {SCHEDULE}, report {REPORT}, store {NEWEST}"
    checks = [
        ok("version", f"{__version__}; formats: {formats}"),
        ok("python", f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"),
        *_authorities(),
        *_allowed_hosts(),
    ]
    return Section("program", "program", tuple(checks))


def _authorities() -> Iterable[Check]:
    """Said even where no target speaks https yet; one that does fails at its own step."""
    if not os.environ.get("REBOOT_RUNNER_CA_FILE"):
        return
    try:
        trust()
    except Unreachable as error:
        yield warning("authorities", f"{error.message}; nothing can be asked by https", error.hint or "")


def _allowed_hosts() -> Iterable[Check]:
    if (said := vain_hosts(os.environ)) is not None:
        yield warning("allowed hosts", said, VAIN_HINT)
