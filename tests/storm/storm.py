"""Kill storms: plans are run against the simulated cloud and the runner is killed, again and
again; the cloud's own log is the judge.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from runner.execution.journal import read_run
from runner.model.events import Outcome
from runner.model.run import NO_TRACE, Run, ServerState
from runner.planning.again import retry_name
from runner.simulator.faults import Error, JobFail, Reset, Rule, Throttle
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Switches
from runner.store.open import open_store
from runner.store.sql import SqlStore
from tests.storm.worker import LABELS, Order, work

WAVES = "[2, 5, 9, 14]"
SERVERS = 30
MOST_PROCESSES = 60
"""A run that needs more processes than this does not end."""
MOST_RETRIES = 3
"""How often a cycle goes on with `retry`."""
LEASE_S = 8.0
"""Shorter than the program's: a rival of a killed process waits for it."""

CONFIG = """
version: 1
targets:
  storm:
    cloud: simulator
    region: {region}
    project_id: {project}
    endpoints: {{ecs: "{url}", iam: "{url}"}}
    rate: {{poll_every: 100ms, settle: 500ms}}
"""

PLAN = """
version: 1
name: {name}
target: storm
limits: {{servers: 1000, percent: 100}}
max_failures: 100%
on_unknown: {on_unknown}
groups:
  - name: all
    servers: {{all: true}}
    waves: {waves}
    ready: {{timeout: 30s}}
"""


@dataclass
class Tally:
    """What a storm did, and what the judge found."""

    store: str
    mode: str
    runs: int = 0
    retries: int = 0
    again: int = 0
    kills: int = 0
    processes: int = 0
    rivals: int = 0
    requests: int = 0
    twice: int = 0
    lost: int = 0
    lies: int = 0
    unended: int = 0
    lagged: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.store:<10} {self.mode:<6} {self.runs:>5} {self.retries:>7} {self.kills:>6}"
            f" {self.processes - self.runs:>8} {self.rivals:>7} {self.requests:>9} {self.twice:>6}"
            f" {self.lost:>5} {self.lies:>5} {self.unended:>8} {self.lagged:>7} {self.again:>6}"
            f" {self.outcomes['unknown']:>8} {self.outcomes['failed']:>7} "
            f"{self.outcomes['ready']:>6}"
            f" {self.seconds:>6.0f}s"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.twice or self.lost or self.lies or self.unended)


HEADER = (
    "store      mode    runs retries  kills  resumes  rivals  requests  twice  lost  lies  "
    "unended  lagged"
    "  again  unknown  failed  ready   time\n"
    "           (retries: runs that go on with a cycle by `retry`;\n"
    "            twice: servers rebooted twice in a cycle; lost: rebooted, but the journal "
    "says not;\n"
    "            lies: ready in the journal, never rebooted; unended: runs or servers "
    "without an outcome;\n"
    "            rivals: a second process at the same run at the same time;\n"
    "            lagged: the same as twice and lost, where a throttled request took effect "
    "and the state of\n"
    "            its servers showed it later than the back-off: no failure, see "
    "docs/never-twice.md;\n"
    "            again: servers that `resolve --as reboot-again` allowed a second reboot)"
)

TROUBLES: tuple[Rule, ...] = (
    Reset(on="reboot", do="reset", when="after", probability=0.15, times="all"),
    Reset(on="reboot", do="reset", when="before", probability=0.04, times="all"),
    Error(
        on="reboot", do="error", status=502, body="html", effect=True, probability=0.12, times="all"
    ),
    Throttle(
        on="reboot", do="throttle", retry_after=timedelta(seconds=1), probability=0.05, times="all"
    ),
    Throttle(on="reboot", do="throttle", effect=True, probability=0.1, times="all"),
    Error(on="job", do="error", status=503, body="html", probability=0.05, times="all"),
    JobFail(do="job_fail", probability=0.03, times="all"),
    JobFail(do="job_fail", goes_down=False, probability=0.03, times="all"),
)

REFUSED = Error(
    on="actions", do="error", status=403, code="Ecs.0015", message="no permission", times="all"
)
LAG = timedelta(seconds=5)
"""Longer than `settle` with its second reading, and than the first back-off after a
throttled answer.
"""


@dataclass(frozen=True)
class Weather:
    """What one cycle of a storm meets besides TROUBLES."""

    rules: tuple[Rule, ...] = ()
    switches: Switches = field(default_factory=Switches)
    state_lags: bool = False


WEATHERS = (
    Weather(),
    Weather(rules=(REFUSED,)),
    Weather(switches=Switches(history_lag=LAG)),
    Weather(switches=Switches(state_lag=LAG), state_lags=True),
)
"""Taken in turn: no further trouble, history refused, history late, state late."""


@dataclass
class Cycle:
    """One plan, its cloud, and the runs that repeat it."""

    state: State
    weather: Weather
    folder: Path
    store: str
    environment: dict[str, str]
    tally: Tally
    rng: random.Random
    kills: int
    context: Any
    output: str
    allowed: Counter[str] = field(default_factory=Counter)
    """Second reboots that `resolve --as reboot-again` allows, by server id."""

    def order(self, *arguments: str, naive: bool = False) -> Order:
        return Order(
            arguments,
            str(self.folder),
            self.environment,
            naive=naive,
            output=self.output,
            lease_s=LEASE_S,
        )

    def command(self, *arguments: str) -> int:
        """Run one command to its end in a process of its own; returns its exit code."""
        process = self.context.Process(target=work, args=(self.order(*arguments),))
        process.start()
        process.join(120)
        code = process.exitcode
        process.close()
        return -1 if code is None else code


@contextmanager
def cloud(seed: int, weather: Weather) -> Iterator[tuple[State, str]]:
    """A simulated cloud with quick reboots and all the troubles, and its URL."""
    options = CloudOptions(
        fleet=FleetOptions(servers=SERVERS, seed=seed, reboot_seconds=0.4),
        rules=(*TROUBLES, *weather.rules),
        switches=weather.switches,
        scenario="storm",
    )
    state = State(options)
    try:
        with serve_in_thread(state) as running:
            yield state, running.url
    finally:
        state.close()


def storm(
    folder: Path,
    *,
    store: str,
    name: str,
    mode: str,
    kills: int,
    seed: int = 1,
    retries: int = MOST_RETRIES,
    tell: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Run plans and kill their runners until `kills` have died. `mode`: hold, retry, or naive
    (repeat in doubt).

    Each cycle has a fleet of its own, so that the history of one never explains another.
    Most cycles go on with `retry` after a simulated person has looked at the cloud's log
    and said `resolve`.
    """
    rng = random.Random(seed)
    tally = Tally(name, mode)
    began = time.monotonic()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storm.worker"])
    number = 0
    while tally.kills < kills:
        number += 1
        weather = WEATHERS[(seed + number) % len(WEATHERS)] if mode != "naive" else WEATHERS[0]
        with cloud(seed * 1000 + number, weather) as (state, url):
            plan = f"storm-{mode}-{number}"
            options = state.fleet.options
            config = CONFIG.format(region=options.region, project=state.fleet.project_id, url=url)
            (folder / "reboot-runner.yaml").write_text(config)
            environment = {
                "HUAWEICLOUD_SDK_AK": state.credentials.ak,
                "HUAWEICLOUD_SDK_SK": state.credentials.sk,
                "REBOOT_RUNNER_STORE": store,
                "CI": "",
            }
            file = folder / f"{plan}.yaml"
            on_unknown = "hold" if mode == "hold" else "retry"
            file.write_text(PLAN.format(name=plan, on_unknown=on_unknown, waves=WAVES))
            cycle = Cycle(
                state, weather, folder, store, environment, tally, rng, kills, context,
                str(folder / f"{plan}.log"),
            )  # fmt: skip
            _one_cycle(cycle, plan, file, 0 if mode == "naive" else retries)
            tally.requests += len(state.requests())
        tally.seconds = time.monotonic() - began
        tell(tally.row())
    return tally


def _one_cycle(cycle: Cycle, plan: str, file: Path, retries: int) -> None:
    """A run, and those that repeat what it left undone, until nothing is left or enough
    was tried.
    """
    tally, state = cycle.tally, cycle.state
    for attempt in range(retries + 1):
        before = len(state.accepted_reboots())
        naive = tally.mode == "naive"
        _one_run(cycle, cycle.order("run", str(file), "--yes", "--no-wait", naive=naive), plan)
        tally.runs += 1
        tally.retries += attempt > 0
        fresh = Counter(r.server_id for r in state.accepted_reboots()[before:])
        run = _judge_run(cycle, plan, fresh)
        if naive or run.is_open:
            break
        _resolve(cycle, run)
        if attempt == retries:
            break
        plan, again = retry_name(plan), cycle.folder / f"{plan}-{attempt + 1}-retry.yaml"
        code = cycle.command("retry", run.id, "--out", str(again))
        if code:
            raise AssertionError(f"retry ended with {code}:\n{_last_words(cycle)}")
        if not again.exists():
            break
        file = again
    _judge_cycle(cycle)


def _one_run(cycle: Cycle, order: Order, plan: str) -> None:
    """Processes one after the other, most of them killed, until the run is closed."""
    tally, rng, context = cycle.tally, cycle.rng, cycle.context
    for attempt in range(MOST_PROCESSES):
        deaths = rng.random() < 0.8 and attempt < 8 and tally.kills < cycle.kills
        label = rng.choice([*LABELS, None, None, None, None]) if deaths else None
        todo = replace(order, die_at=label, nth=rng.choice((1, 1, 1, 2, 3)))
        process = context.Process(target=work, args=(todo,))
        process.start()
        tally.processes += 1
        rival = context.Process(target=work, args=(order,)) if rng.random() < 0.12 else None
        if rival is not None:
            tally.rivals += 1
            rival.start()
        process.join(rng.uniform(0.05, 2.5) if deaths and label is None else 60)
        if process.is_alive():
            process.kill()
            process.join()
        code, killed = process.exitcode, process.exitcode == -9
        process.close()
        if rival is not None:
            rival.join(120)
            rival.close()
        if killed:
            tally.kills += 1
        elif code in (0, 4, 5):
            return
        elif code not in (75, 7):
            raise AssertionError(f"a process ended with {code}:\n{_last_words(cycle)}")
        elif code == 75:
            cycle.command("approve", plan, "--reason", "storm")
    tally.unended += 1


def _last_words(cycle: Cycle) -> str:
    return Path(cycle.output).read_text()[-2000:]


def _judge_run(cycle: Cycle, plan: str, rebooted: Mapping[str, int]) -> Run:
    """Hold the journal of a run against the cloud's log of its time."""
    tally, store = cycle.tally, _opened(cycle)
    try:
        run = read_run(store, store.find(plan).id)
    finally:
        store.close()
    lagged = _throttled_after_effect(cycle)
    for server_id, server in run.servers.items():
        if server.outcome is None:
            tally.unended += 1
            continue
        tally.outcomes[server.outcome.value] += 1
        went_down = rebooted.get(server_id, 0) > 0
        if server.outcome is Outcome.READY and not went_down:
            tally.lies += 1
        if went_down and server.outcome in (Outcome.SKIPPED, Outcome.NOT_STARTED):
            tally.lagged += server_id in lagged
            tally.lost += server_id not in lagged
    return run


def _opened(cycle: Cycle) -> SqlStore:
    return open_store(cycle.store, cycle.folder)


def _judge_cycle(cycle: Cycle) -> None:
    """Count the servers that went down more often than once, and than a person allowed."""
    lagged = _throttled_after_effect(cycle)
    for server_id, times in cycle.state.reboot_counts().items():
        if times > 1 + cycle.allowed[server_id]:
            cycle.tally.lagged += server_id in lagged
            cycle.tally.twice += server_id not in lagged


def _throttled_after_effect(cycle: Cycle) -> frozenset[str]:
    """The servers of accepted requests that were answered with a throttle, where the state
    lags behind that.
    """
    if not cycle.weather.state_lags:
        return frozenset()
    throttled = {
        c.request_id for c in cycle.state.requests() if c.call == "reboot" and c.status == 429
    }
    return frozenset(
        r.server_id for r in cycle.state.accepted_reboots() if r.request_id in throttled
    )


def _resolve(cycle: Cycle, run: Run) -> None:
    """Say what a person would say who has read the cloud's log, with the command that such
    a person uses.
    """
    rebooted = cycle.state.reboot_counts()
    unknown = [s for s in run.servers.values() if s.outcome is Outcome.UNKNOWN]
    quiet = {s.batch for s in unknown if s.reason == NO_TRACE and not rebooted[s.ref.id]}
    for batch in sorted(filter(None, quiet)):
        if not any(rebooted[s.ref.id] for s in unknown if s.batch == batch):
            _say(cycle, run, "not-rebooted", ("--batch", str(batch)))
            unknown = [s for s in unknown if s.batch != batch]
    _say_of(cycle, run, "rebooted", (s for s in unknown if rebooted[s.ref.id]))
    _say_of(cycle, run, "not-rebooted", (s for s in unknown if not rebooted[s.ref.id]))
    failed = [s for s in run.servers.values() if s.outcome is Outcome.FAILED]
    chosen = [s for s in failed if rebooted[s.ref.id] and cycle.rng.random() < 0.3]
    _say_of(cycle, run, "reboot-again", chosen)
    cycle.allowed.update(s.ref.id for s in chosen)
    cycle.tally.again += len(chosen)


def _say_of(cycle: Cycle, run: Run, word: str, servers: Iterable[ServerState]) -> None:
    named = [part for s in servers for part in ("--server", s.ref.id)]
    if named:
        _say(cycle, run, word, named)


def _say(cycle: Cycle, run: Run, word: str, named: Iterable[str]) -> None:
    code = cycle.command("resolve", run.id, *named, "--as", word, "--reason", "the cloud's log")
    if code:
        raise AssertionError(f"resolve --as {word} ended with {code}:\n{_last_words(cycle)}")
