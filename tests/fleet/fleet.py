"""Many runs, several workers on one store, and somebody who kills them; the cloud's own log
is the judge.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.execution.journal import read_run
from runner.model.events import Outcome
from runner.model.run import Run
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.store.open import open_store
from runner.store.sql import SqlStore
from tests.storm.storm import TROUBLES
from tests.storm.worker import LABELS, Order, work

PRELOADED = [
    *(
        "tests.fleet.fleet",
        "runner.app.worker",
        "runner.app.start_run",
        "runner.cloud.huawei.ecs",
        "runner.planning.schedule",
    ),
    *(
        "runner.loading.together",
        "runner.report.diff_sections",
        "runner.store.postgres",
        "anyio._backends._asyncio",
    ),
]
"""What the program imports late is loaded once, before the forks."""

CONFIG = """
version: 1
targets:
  fleet:
    cloud: simulator
    region: {region}
    project_id: {project}
    endpoints: {{ecs: "{url}", iam: "{url}"}}
    rate: {{poll_every: 250ms, settle: 500ms, servers_per_minute: {rate}, servers_per_request: {rate}}}
"""  # noqa: E501

PLAN = """
version: 1
name: {name}
target: fleet
limits: {{servers: 1000, percent: 100}}
max_failures: 100%
on_unknown: hold
groups:
  - name: all
    servers: {{ids: [{ids}]}}
    waves: {waves}
    pause: {pause}
    ready: {{timeout: 30s}}
"""


OUTAGE_S = 60.0
"""For so long after the store went away a worker may have found it so when it began."""


@dataclass(frozen=True)
class Shape:
    """The size of a fleet test. `rate`: servers in a minute of `minute_s` seconds, shared
    by all runs.

    `margin_s` of that minute is the program's, for requests that are slow on their way:
    the judge's minute is shorter.
    """

    runs: int
    servers: int
    workers: int
    kills: int
    rate: int
    minute_s: float = 61.0
    margin_s: float = 1.0
    waves: str = "[1, 3]"
    pause: str = "1s"
    kill_every_s: tuple[float, float] = (0.5, 4.0)
    patience_s: float = 1200.0
    outages: int = 0
    """How often the store goes away for a moment, if there is a way to make it."""
    most_spread: float = 2.0
    """No run may take longer than so many times what the others take (`Tally.spread`)."""


@dataclass
class Tally:
    """What a fleet did, and what the judge found."""

    engine: str
    store: str
    shape: Shape
    kills: int = 0
    outages: int = 0
    workers: int = 0
    requests: int = 0
    twice: int = 0
    lost: int = 0
    lies: int = 0
    unended: int = 0
    worst_minute: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ended_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def spread(self) -> float:
        """The slowest run beside the median one; where that took less than a minute of the
        rate, beside a minute.

        A run that finds the minute full just before its end waits for the next: that is the
        rate, and no starving.
        """
        if not self.ended_s:
            return 0.0
        return max(self.ended_s) / max(statistics.median(self.ended_s), self.shape.minute_s)

    @property
    def findings(self) -> list[str]:
        """What must not be, in words; empty when all is well."""
        found = {
            f"{self.twice} servers rebooted twice": self.twice,
            f"{self.lost} rebooted that the journal calls untouched": self.lost,
            f"{self.lies} ready that were never rebooted": self.lies,
            f"{self.unended} runs or servers without an end": self.unended,
            f"{self.worst_minute} servers in a minute of {self.shape.rate}": self.worst_minute
            > self.shape.rate,
            f"the slowest run took {self.spread:.1f} times what others took": self.spread
            > self.shape.most_spread,
        }
        return [text for text, is_so in found.items() if is_so]

    def row(self) -> str:
        """One line of the table."""
        ended = self.ended_s or [0.0]
        return (
            f"{self.engine:<9} {self.store:<9} {self.shape.runs:>5} {self.kills:>6} "
            f"{self.requests:>9}"
            f" {self.twice:>6} {self.lost:>5} {self.lies:>5} {self.unended:>8} "
            f"{self.outcomes['unknown']:>8}"
            f" {self.outcomes['ready']:>6} {self.worst_minute:>6}/{self.shape.rate:<4}"
            f" {min(ended):>5.0f} {statistics.median(ended):>6.0f} {max(ended):>5.0f} "
            f"{self.seconds:>6.0f}s"
        )


HEADER = (
    "driver    store      runs  kills  requests  twice  lost  lies  unended  unknown  "
    "ready  minute/most"
    "  first median  last   time\n"
    "           (twice: servers rebooted twice; lost: rebooted, but the journal says not; "
    "lies: ready, but never so;\n"
    "            unended: runs or servers without an end; minute: most servers in any 60 s "
    "by the cloud's log;\n"
    "            first, median, last: when runs ended, in seconds)"
)


def most_in_a_minute(times: Iterable[datetime], minute_s: float) -> int:
    """The most instants in any half-open stretch of so many seconds."""
    seconds = sorted(t.timestamp() for t in times)
    first, most = 0, 0
    for last, at in enumerate(seconds):
        while at - seconds[first] >= minute_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def fleet(
    folder: Path,
    *,
    store: str,
    name: str,
    shape: Shape,
    engine: str = "store",
    more: Sequence[str] = (),
    outage: Callable[[], None] | None = None,
    seed: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Begin all runs, let workers at them and kill workers until all runs have ended.

    `more`: options of `worker`. `outage`: takes the store away and brings it back.
    """
    rng = random.Random(seed)
    tally = Tally(engine, name, shape)
    options = CloudOptions(
        fleet=FleetOptions(servers=shape.runs * shape.servers, seed=seed, reboot_seconds=0.4),
        rules=TROUBLES,
    )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    state = State(options)
    try:
        with serve_in_thread(state) as running:
            config = CONFIG.format(
                region=running.region, project=running.project_id, url=running.url, rate=shape.rate
            )
            (folder / "reboot-runner.yaml").write_text(config)
            environment = {
                "HUAWEICLOUD_SDK_AK": state.credentials.ak,
                "HUAWEICLOUD_SDK_SK": state.credentials.sk,
                "REBOOT_RUNNER_STORE": store,
                "CI": "",
            }
            opened = open_store(store, folder)
            try:
                place = Place(
                    context, folder, environment, opened, shape, tuple(more), outage, rng, tally
                )
                place.begin(_plans(folder, state, shape))
                began = time.monotonic()
                place.live(began, tell)
                tally.seconds = time.monotonic() - began
                _judge(opened, state, tally)
            finally:
                opened.close()
    finally:
        state.close()
    return tally


def _plans(folder: Path, state: State, shape: Shape) -> list[Path]:
    ids = sorted(s.id for s in state.fleet.servers)
    files = []
    for n in range(shape.runs):
        mine = ids[n * shape.servers : (n + 1) * shape.servers]
        file = folder / f"fleet-{n + 1}.yaml"
        text = PLAN.format(
            name=file.stem,
            ids=", ".join(f'"{i}"' for i in mine),
            waves=shape.waves,
            pause=shape.pause,
        )
        file.write_text(text)
        files.append(file)
    return files


def begin(order: Order, plans: Sequence[Path]) -> None:
    """In a process of its own: create the runs, and leave them before anything is sent."""
    for plan in plans:
        work_on = Order(
            ("run", str(plan), "--yes", "--deadline", "1ms"), order.folder, order.environment
        )
        child = multiprocessing.get_context("fork").Process(target=work, args=(work_on,))
        child.start()
        child.join(60)
        assert child.exitcode in (0, 75), f"{plan}: {child.exitcode}"


@dataclass
class Place:
    """The processes of a fleet."""

    context: Any
    folder: Path
    environment: dict[str, str]
    store: SqlStore
    shape: Shape
    more: tuple[str, ...]
    outage: Callable[[], None] | None
    rng: random.Random
    tally: Tally
    processes: list[Any] = field(default_factory=list)
    away: float = float("-inf")
    """When the store went away last (monotonic)."""

    def order(self, *arguments: str, log: str) -> Order:
        minute = self.shape.minute_s
        return Order(
            arguments,
            str(self.folder),
            self.environment,
            output=str(self.folder / log),
            minute_s=minute,
        )

    def begin(self, plans: Sequence[Path]) -> None:
        process = self.context.Process(target=begin, args=(self.order(log="begin.log"), plans))
        process.start()
        process.join(600)
        assert process.exitcode == 0
        assert len(self.store.runs(open_only=True, limit=1000)) == self.shape.runs

    def start(self) -> None:
        """One more worker; half of them die by themselves at a chosen line."""
        words = ("worker", "--listen", "127.0.0.1:0", "--runs", "8", *self.more)
        order = self.order(*words, log=f"worker-{self.tally.workers}.log")
        if self.tally.kills < self.shape.kills and self.rng.random() < 0.5:
            order = Order(
                order.arguments, order.folder, order.environment, self.rng.choice(LABELS), self.rng.randint(1, 6),  # noqa: E501
                output=order.output, minute_s=order.minute_s,
            )  # fmt: skip
        process = self.context.Process(target=work, args=(order,), name=order.output)
        process.start()
        self.processes.append(process)
        self.tally.workers += 1

    def live(self, began: float, tell: Callable[[str], None]) -> None:
        """Workers come and go until every run has ended."""
        ended: dict[str, float] = {}
        next_kill = began + self.rng.uniform(*self.shape.kill_every_s)
        for _ in range(self.shape.workers):
            self.start()
        try:
            while len(ended) < self.shape.runs and time.monotonic() - began < self.shape.patience_s:
                time.sleep(0.05)
                if time.monotonic() >= next_kill and self.tally.kills < self.shape.kills:
                    self.rng.choice(self.processes).kill()
                    next_kill = time.monotonic() + self.rng.uniform(*self.shape.kill_every_s)
                self._bury()
                if (
                    self.outage
                    and self.tally.outages < self.shape.outages
                    and len(ended) > self.tally.outages
                ):
                    self.away = time.monotonic()
                    self.outage()
                    self.tally.outages += 1
                for row in self.store.runs(limit=1000):
                    if not row.is_open and row.id not in ended:
                        ended[row.id] = time.monotonic() - began
                        tell(
                            f"{time.monotonic() - began:6.1f} s: {len(ended)} ended, "
                            f"{self.tally.kills} kills"
                        )
                    elif row.is_open and row.word == "waiting":
                        self._approve(row.id)
        finally:
            self._end()
        self.tally.ended_s = sorted(ended.values())
        self.tally.unended += self.shape.runs - len(ended)

    def _bury(self) -> None:
        """Whoever has ended is replaced, as Kubernetes would: killed, or begun while the
        store was away.
        """
        for process in [p for p in self.processes if not p.is_alive()]:
            self.processes.remove(process)
            log = Path(process.name).read_text()
            is_killed = process.exitcode == -9
            found_no_store = (
                process.exitcode == 1
                and "PostgreSQL" in log
                and time.monotonic() - self.away < OUTAGE_S
            )
            assert is_killed or found_no_store, (
                f"a worker ended with {process.exitcode}:\n{log[-3000:]}"
            )
            process.close()
            self.tally.kills += is_killed
            self.start()

    def _approve(self, run_id: str) -> None:
        """What a person does about a wave that has proven nothing: the run asks, and goes on."""
        run = read_run(self.store, run_id)
        if run.question is not None:
            process = self.context.Process(
                target=work,
                args=(self.order("approve", run_id, "--reason", "fleet", log="approve.log"),),
            )
            process.start()
            process.join(60)
            process.close()

    def _end(self) -> None:
        """SIGTERM: each ends in order, by itself."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join(40)
            code, log = process.exitcode, Path(process.name).read_text()
            process.kill()
            assert code in (143, -9), f"told to end, a worker ended with {code}:\n{log[-3000:]}"


def _judge(store: SqlStore, state: State, tally: Tally) -> None:
    """Hold every journal against the cloud's log."""
    shape = tally.shape
    accepted = state.accepted_reboots()
    rebooted = Counter(r.server_id for r in accepted)
    tally.requests = len(state.requests())
    tally.twice = sum(1 for n in rebooted.values() if n > 1)
    tally.worst_minute = most_in_a_minute((r.at for r in accepted), shape.minute_s - shape.margin_s)
    for row in store.runs(limit=1000):
        run: Run = read_run(store, row.id)
        for server_id, server in run.servers.items():
            if server.outcome is None:
                tally.unended += 1
                continue
            tally.outcomes[server.outcome.value] += 1
            if server.outcome is Outcome.READY and not rebooted[server_id]:
                tally.lies += 1
            if rebooted[server_id] and server.outcome in (Outcome.SKIPPED, Outcome.NOT_STARTED):
                tally.lost += 1
