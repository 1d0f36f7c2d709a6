"""`doctor` on what is here: the program, the configuration with its policy, sources and plans, and the store."""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import __version__
from runner.app.app import App, in_ci
from runner.app.doctor.questions import Question, ok, skipped, warning
from runner.app.gates import sources_of
from runner.app.policy import Police
from runner.app.stores import store_url
from runner.app.targets import base_folder
from runner.errors import StoreError
from runner.loading.config import LoadedConfig, template_env
from runner.loading.origins import origin_of
from runner.loading.plan import LoadOptions, load_plan
from runner.loading.search import find_plans
from runner.model.quantity import counted
from runner.net.origin import VAIN_HINT, vain_hosts
from runner.net.reach import aside, way_to
from runner.net.trust import trust
from runner.net.wire import Unreachable
from runner.planning.digest import FORMAT_VERSION as SCHEDULE_FORMAT
from runner.report.doctor import Check, listed
from runner.report.run_report import FORMAT_VERSION as REPORT_FORMAT
from runner.store.inspect import NEWEST, StoreFacts, look_at
from runner.store.open import dies_with_the_disk, is_local_file, shown

PLANS = "plans"
"""The folder beside the configuration that `init` makes for plans."""
FAR_S = 60.0
"""Leases and rate budgets live by the store's clock; signatures and reports by ours. A minute apart is told."""


@dataclass(slots=True)
class Here:
    """What is looked at. `named`: plans that the caller names. `within_s`: of each question. `facts`: of the store."""

    app: App
    loaded: LoadedConfig
    police: Police
    named: Sequence[Path]
    within_s: float
    is_real: bool = False
    facts: StoreFacts | None = None

    @property
    def is_valid(self) -> bool:
        return self.loaded.is_valid and self.police.loaded.is_valid

    @property
    def url(self) -> str:
        return store_url(self.app, self.loaded)

    @property
    def store_title(self) -> str:
        origin = "--store" if self.app.store else str(origin_of(self.loaded, ("store",), os.environ))
        return f"store {shown(self.url)} ({origin})"


@dataclass(frozen=True, slots=True)
class PlansFound:
    """The plans that were looked at, and what their gates ask. `unusable`: files that hold no plan as they are."""

    files: int = 0
    unusable: int = 0
    sources: tuple[str, ...] = ()
    alarms: bool = False


def look_at_plans(loaded: LoadedConfig, police: Police, named: Sequence[Path]) -> PlansFound:
    """Return what is said by the plans that are named, else by those of the folder `plans` beside the configuration."""
    folder = base_folder(loaded) / PLANS
    files, _ = find_plans(named or ([folder] if folder.is_dir() else []))
    options = LoadOptions(env=template_env(loaded.config, os.environ))
    plans = [load_plan(path, options).plan for path in police.plans_among(files)]
    gates = [gate for plan in plans if plan is not None for gate in plan.asking]
    return PlansFound(
        len(plans),
        sum(plan is None for plan in plans),
        tuple(dict.fromkeys(gate.source for gate in gates if gate.source)),
        any(gate.kind == "alarms" for gate in gates),
    )


# --- the program ---------------------------------------------------------------------------------------------------


def _version(_: Here) -> Iterator[Check]:
    formats = f"plan 1, schedule {SCHEDULE_FORMAT}, report {REPORT_FORMAT}, store {NEWEST}"
    yield ok(f"{__version__}; formats: {formats}")


def _python(_: Here) -> Iterator[Check]:
    yield ok(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}")


def _authorities(_: Here) -> Iterator[Check]:
    """Said even where no target speaks https yet; one that does fails at its own step."""
    if os.environ.get("REBOOT_RUNNER_CA_FILE"):
        try:
            trust()
        except Unreachable as error:
            yield warning(f"{error.message}; nothing can be asked by https", error.hint or "")


def _allowed_hosts(_: Here) -> Iterator[Check]:
    if (said := vain_hosts(os.environ)) is not None:
        yield warning(said)


PROGRAM = (
    Question("version", _version),
    Question("python", _python),
    Question("authorities", _authorities),
    Question("allowed hosts", _allowed_hosts, hint=VAIN_HINT),
)


# --- the configuration ---------------------------------------------------------------------------------------------


def _file(here: Here) -> Iterator[Check]:
    loaded = here.loaded
    if not loaded.is_valid:
        yield Check("", "failed", f"{loaded.path or 'the environment'} cannot be used")
    if not here.is_valid:
        return
    names = sorted(loaded.config.targets)
    said = f"{counted(len(names), 'target')}: {listed(names)}" if names else "no target of its own"
    told = [p.message for p in loaded.problems]
    if loaded.path is None:
        yield ok("no reboot-runner.yaml from here up to the Git root: the defaults hold; " + said)
    elif told:
        yield warning(
            f"{loaded.name} is valid, with {counted(len(told), 'warning')}", "the warnings above say how", told
        )
    else:
        yield ok(f"{loaded.name} is valid; {said}")


def _policy(here: Here) -> Iterator[Check]:
    policy = here.police.loaded
    if not policy.is_valid:
        yield Check("", "failed", f"{policy.path or 'the environment'} cannot be used")
    elif here.loaded.is_valid:
        name = here.loaded.config.policy
        yield ok(f"{name} is valid" if name else "none is configured; docs/policy.md says what one is good for")


async def _sources(here: Here) -> list[Check]:
    sources = sources_of(here.loaded.config, os.environ)
    origins = ("/".join(source.url.split("/", 3)[:3]) for source in sources.values())
    ways = await asyncio.gather(*(way_to(origin, here.within_s) for origin in origins))
    checks = []
    for (name, source), way in zip(sources.items(), ways, strict=True):
        about = f"source {name}"
        if source.lacks:
            said, hint = f"{source.lacks}: its gates stay closed", "set it where runs are made"
            checks.append(Check(about, "failed", said, hint, denied=True))
        elif way.failed is not None:
            said = f"{way.failed.name}: {way.failed.said}: its gates stay closed"
            checks.append(Check(about, "failed", said, way.failed.hint))
        else:
            answers = f"{source.kind} at {source.url} answers" + (", with a token" if source.token else "")
            checks.append(Check(about, "ok", answers))
    return checks


def _template_env(here: Here) -> Iterator[Check]:
    if unset := [name for name in here.loaded.config.template_env if name not in os.environ]:
        yield warning(f"templates may read {listed(unset)}, which the environment does not hold")


def _plans(here: Here) -> Iterator[Check]:
    plans = look_at_plans(here.loaded, here.police, here.named)
    asked = [*plans.sources, *(["Cloud Eye's alarms"] if plans.alarms else [])]
    said = counted(plans.files, "plan") + (f"; gates ask {listed(asked)}" if asked else "")
    if not plans.files:
        yield skipped(f"none looked at: there is no folder {PLANS} beside the configuration; --plans names one")
    elif plans.unusable:
        yield warning(f"{said}; {plans.unusable} cannot be used as they are")
    else:
        yield ok(said)


def _targets(_: Here) -> Iterator[Check]:
    yield skipped("not looked at: nothing runs with this configuration")


CONFIGURATION = (
    Question("file", _file, hint="the problems above say how"),
    Question("policy", _policy, hint="the problems above say how"),
    Question("source", _sources),
    Question("template_env", _template_env, hint="set them, or take them out of template_env"),
    Question("plans", _plans, hint="`reboot-runner validate` says why; those with variables need --var there"),
)
UNUSABLE = (*CONFIGURATION[:2], Question("targets", _targets))
"""The same where the configuration or the policy cannot be used: the problems themselves are told elsewhere."""


# --- the store -----------------------------------------------------------------------------------------------------


async def _open(here: Here) -> list[Check]:
    within_s = 3 * here.within_s
    try:
        facts = here.facts = await aside(lambda: look_at(here.url, base_folder(here.loaded), here.within_s), within_s)
    except TimeoutError:
        late = f"no answer within {within_s:g} s"
        raise StoreError(late, hint="check the host of the store and the network") from None
    kind = "Git" if here.url.startswith("git+") else "SQLite" if is_local_file(here.url) else "PostgreSQL"
    if facts.version is None:
        return [ok(f"{kind}; there is no file yet, and the first run can make it")]
    if facts.version < 0:
        return [ok(f"{kind}, empty and writable; the first command makes its tables")]
    said = f"{kind}, writable; schema version {facts.version}"
    if facts.version < NEWEST:
        return [warning(f"{said}, the next command brings it to {NEWEST}", "end the runners of older versions first")]
    return [ok(said)]


def _clock(here: Here) -> Iterator[Check]:
    facts = here.facts
    if facts is None or facts.version is None:
        return
    if here.url.startswith("git+"):
        yield ok("a store in Git needs no common clock: leases run by the clock of who watches them")
    elif abs(facts.ahead_s) < FAR_S:
        yield ok("the store's clock and this machine's agree")
    else:
        direction = "ahead of" if facts.ahead_s > 0 else "behind"
        yield warning(f"the store's clock is {abs(facts.ahead_s):.0f} s {direction} this machine's")


def _runs(here: Here) -> Iterator[Check]:
    facts = here.facts
    if facts is None or facts.version != NEWEST:
        return
    held = [
        f"{run.id} is held by {run.owner} for {run.lease_until - facts.now:.0f} s more"
        for run in facts.runs
        if run.owner is not None and run.lease_until > facts.now
    ]
    rows = listed([f"{run.word} {run.id}" for run in facts.runs])
    said = f"{counted(len(facts.runs), 'run')} open: {rows}; leases held: {len(held)}"
    yield ok(said, held[:5]) if facts.runs else ok("no run is open")


def _halt(here: Here) -> Iterator[Check]:
    facts = here.facts
    if facts is None or facts.version != NEWEST:
        return
    if (halt := facts.halt) is None:
        yield ok("not halted")
    else:
        since = f"{halt.at:%Y-%m-%d %H:%M}Z"
        yield warning(f"halted by {halt.by} since {since}: {halt.reason}; no run of this store begins a batch")


def _persistent(here: Here) -> Iterator[Check]:
    if in_ci() and dies_with_the_disk(here.url):
        said = "in CI a store on the local disk is lost with the job, and with it what was asked of the cloud"
        yield warning(said) if here.is_real else ok(f"{said}; no target has real servers")


STORE = (
    Question("open", _open),
    Question(
        "clock",
        _clock,
        {"open": ""},
        "set both clocks by NTP: leases live by the store's, signatures by this machine's",
    ),
    Question("runs", _runs, {"open": ""}),
    Question("halt", _halt, {"open": ""}, "when the reason is gone: `reboot-runner unhalt`"),
    Question(
        "persistent",
        _persistent,
        hint="set REBOOT_RUNNER_STORE to git+https://… or postgresql://…; `run` needs --store-is-persistent for this"
        " one",
    ),
)
