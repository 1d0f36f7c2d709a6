"""`doctor` on what is here: the program, the configuration with its policy, sources and
plans, and the store.
"""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import __version__
from runner.app.app import App, in_ci
from runner.app.doctor.questions import CheckRow, ok, skipped, warning
from runner.app.gates import sources_of
from runner.app.policy import Police
from runner.app.stores import store_url
from runner.app.targets import base_folder
from runner.errors import StoreError
from runner.loading.config import LoadedConfig, template_env
from runner.loading.origins import origin_of
from runner.loading.plan import LoadOptions, load_plan
from runner.loading.search import find_plans
from runner.model.plan import Plan
from runner.model.quantity import counted
from runner.model.schedule import Schedule
from runner.net.origin import VAIN_HINT, vain_hosts
from runner.net.reach import aside, way_to
from runner.net.trust import trust
from runner.net.wire import Unreachable
from runner.report.doctor import CheckResult, listed
from runner.report.run_report import FORMAT_VERSION as REPORT_FORMAT
from runner.store.inspect import NEWEST, StoreFacts, look_at
from runner.store.open import dies_with_the_disk, is_local_file, shown

PLANS = "plans"
"""The folder beside the configuration that `init` makes for plans."""
FAR_S = 60.0
"""Leases and rate budgets live by the store's clock; signatures and reports by ours. A
minute apart is told.
"""


@dataclass(slots=True)
class Here:
    """What is looked at. `within_s`: of each question. `facts`: of the store, once it
    was opened.
    """

    app: App
    loaded: LoadedConfig
    police: Police
    within_s: float
    plans: Sequence[Plan | None] = ()
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
        origin = (
            "--store" if self.app.store else str(origin_of(self.loaded, ("store",), os.environ))
        )
        return f"store {shown(self.url)} ({origin})"


def plans_of(loaded: LoadedConfig, police: Police, named: Sequence[Path]) -> list[Plan | None]:
    """Return the plans that are named, else those of the folder `plans` beside the configuration.

    None stands for a file that holds no plan as it is.
    """
    folder = base_folder(loaded) / PLANS
    files, _ = find_plans(named or ([folder] if folder.is_dir() else []))
    options = LoadOptions(env=template_env(loaded.config, os.environ))
    return [load_plan(path, options).plan for path in police.plans_among(files)]


def asks_alarms(plans: Sequence[Plan | None]) -> bool:
    """Return whether a gate of these plans asks Cloud Eye."""
    return any(gate.kind == "alarms" for plan in plans if plan is not None for gate in plan.asking)


# --- the program --------------------------------------------------------------


def _authorities(_: Here) -> CheckResult | None:
    """Said even where no target speaks https yet; one that does fails at its own step."""
    if os.environ.get("REBOOT_RUNNER_CA_FILE"):
        try:
            trust()
        except Unreachable as error:
            return warning(f"{error.message}; nothing can be asked by https", error.hint or "")
    return None


def _allowed_hosts(_: Here) -> CheckResult | None:
    return warning(said) if (said := vain_hosts(os.environ)) is not None else None


_FORMATS = f"plan 1, schedule {Schedule.format_version}, report {REPORT_FORMAT}, store {NEWEST}"
PROGRAM: tuple[CheckRow[Here], ...] = (
    CheckRow("version", lambda _: ok(f"{__version__}; formats: {_FORMATS}")),
    CheckRow("python", lambda _: ok(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}")),
    CheckRow("authorities", _authorities),
    CheckRow("allowed hosts", _allowed_hosts, hint=VAIN_HINT),
)


# --- the configuration --------------------------------------------------------


def _unusable(path: Path | None) -> CheckResult:
    return CheckResult(
        "", "failed", f"{path or 'the environment'} cannot be used", "the problems above say how"
    )


def _file(here: Here) -> CheckResult | None:
    loaded = here.loaded
    if not here.is_valid:
        return None if loaded.is_valid else _unusable(loaded.path)
    names = sorted(loaded.config.targets)
    said = f"{counted(len(names), 'target')}: {listed(names)}" if names else "no target of its own"
    told = [p.message for p in loaded.problems]
    if loaded.path is None:
        return ok("no reboot-runner.yaml from here up to the Git root: the defaults hold; " + said)
    if told:
        many = counted(len(told), "warning")
        return warning(f"{loaded.name} is valid, with {many}", "the warnings above say how", told)
    return ok(f"{loaded.name} is valid; {said}")


def _policy(here: Here) -> CheckResult | None:
    if not here.is_valid:
        return None if here.police.loaded.is_valid else _unusable(here.police.loaded.path)
    name = here.loaded.config.policy
    return ok(
        f"{name} is valid"
        if name
        else "none is configured; docs/policy.md says what one is good for"
    )


async def _sources(here: Here) -> list[CheckResult]:
    sources = sources_of(here.loaded.config, os.environ)
    origins = ("/".join(source.url.split("/", 3)[:3]) for source in sources.values())
    ways = await asyncio.gather(*(way_to(origin, here.within_s) for origin in origins))
    checks = []
    for (name, source), way in zip(sources.items(), ways, strict=True):
        about = f"source {name}"
        if source.lacks:
            said, hint = f"{source.lacks}: its gates stay closed", "set it where runs are made"
            checks.append(CheckResult(about, "failed", said, hint, denied=True))
        elif way.failed is not None:
            said = f"{way.failed.name}: {way.failed.said}: its gates stay closed"
            checks.append(CheckResult(about, "failed", said, way.failed.hint))
        else:
            answers = f"{source.kind} at {source.url} answers" + (
                ", with a token" if source.token else ""
            )
            checks.append(CheckResult(about, "ok", answers))
    return checks


def _template_env(here: Here) -> CheckResult | None:
    unset = [name for name in here.loaded.config.template_env if name not in os.environ]
    return (
        warning(f"templates may read {listed(unset)}, which the environment does not hold")
        if unset
        else None
    )


def _plans(here: Here) -> CheckResult:
    plans = here.plans
    if not plans:
        return skipped(
            f"none looked at: there is no folder {PLANS} beside the configuration; --plans names one"  # noqa: E501
        )
    asked = [
        *dict.fromkeys(gate.source for plan in plans if plan for gate in plan.asking if gate.source)
    ]
    asked += ["Cloud Eye's alarms"] if asks_alarms(plans) else []
    said = counted(len(plans), "plan") + (f"; gates ask {listed(asked)}" if asked else "")
    unusable = plans.count(None)
    return warning(f"{said}; {unusable} cannot be used as they are") if unusable else ok(said)


CONFIGURATION = (
    CheckRow("file", _file),
    CheckRow("policy", _policy),
    CheckRow("source", _sources),
    CheckRow("template_env", _template_env, hint="set them, or take them out of template_env"),
    CheckRow(
        "plans",
        _plans,
        hint="`reboot-runner validate` says why; those with variables need --var there",
    ),
)
UNUSABLE: tuple[CheckRow[Here], ...] = (
    *CONFIGURATION[:2],
    CheckRow("targets", lambda _: skipped("not looked at: nothing runs with this configuration")),
)
"""The same where the configuration or the policy cannot be used: the problems themselves
are told elsewhere.
"""


# --- the store ----------------------------------------------------------------


async def _open(here: Here) -> CheckResult:
    within_s = 3 * here.within_s
    try:
        here.facts = await aside(
            lambda: look_at(here.url, base_folder(here.loaded), here.within_s), within_s
        )
    except TimeoutError:
        late = f"no answer within {within_s:g} s"
        raise StoreError(late, hint="check the host of the store and the network") from None
    kind = (
        "Git"
        if here.url.startswith("git+")
        else "SQLite"
        if is_local_file(here.url)
        else "PostgreSQL"
    )
    version = here.facts.version
    if version is None:
        return ok(f"{kind}; there is no file yet, and the first run can make it")
    if version < 0:
        return ok(f"{kind}, empty and writable; the first command makes its tables")
    said = f"{kind}, writable; schema version {version}"
    if version < NEWEST:
        return warning(
            f"{said}, the next command brings it to {NEWEST}",
            "end the runners of older versions first",
        )
    return ok(said)


def _clock(here: Here) -> CheckResult | None:
    if here.facts is None or here.facts.version is None:
        return None
    if here.url.startswith("git+"):
        return ok(
            "a store in Git needs no common clock: leases run by the clock of who watches them"
        )
    ahead_s = here.facts.ahead_s
    if abs(ahead_s) < FAR_S:
        return ok("the store's clock and this machine's agree")
    direction = "ahead of" if ahead_s > 0 else "behind"
    return warning(f"the store's clock is {abs(ahead_s):.0f} s {direction} this machine's")


def _runs(here: Here) -> CheckResult | None:
    if (facts := here.facts) is None or facts.version != NEWEST:
        return None
    if not facts.runs:
        return ok("no run is open")
    held = [
        f"{run.id} is held by {run.owner} for {run.lease_until - facts.now:.0f} s more"
        for run in facts.runs
        if run.owner is not None and run.lease_until > facts.now
    ]
    rows = listed([f"{run.word} {run.id}" for run in facts.runs])
    return ok(f"{counted(len(facts.runs), 'run')} open: {rows}; leases held: {len(held)}", held[:5])


def _halt(here: Here) -> CheckResult | None:
    if (facts := here.facts) is None or facts.version != NEWEST:
        return None
    if (halt := facts.halt) is None:
        return ok("not halted")
    since = f"{halt.at:%Y-%m-%d %H:%M}Z"
    return warning(
        f"halted by {halt.by} since {since}: {halt.reason}; no run of this store begins a batch"
    )


def _persistent(here: Here) -> CheckResult | None:
    if not in_ci() or not dies_with_the_disk(here.url):
        return None
    said = (
        "in CI a store on the local disk is lost with the job, and with it what was asked of "
        "the cloud"
    )
    return warning(said) if here.is_real else ok(f"{said}; no target has real servers")


STORE = (
    CheckRow("open", _open),
    CheckRow(
        "clock",
        _clock,
        {"open": ""},
        "set both clocks by NTP: leases live by the store's, signatures by this machine's",
    ),
    CheckRow("runs", _runs, {"open": ""}),
    CheckRow("halt", _halt, {"open": ""}, "when the reason is gone: `reboot-runner unhalt`"),
    CheckRow(
        "persistent",
        _persistent,
        hint="set REBOOT_RUNNER_STORE to git+https://… or postgresql://…; `run` needs "
        "--store-is-persistent for this"
        " one",
    ),
)
