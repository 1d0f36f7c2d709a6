"""Kill storms: plans are run against the simulated cloud and the runner is killed, again and again; the cloud's own log
is the judge."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from runner.execution.journal import read_run
from runner.model.run import Outcome, Run
from runner.simulator.faults import Error, Reset, Throttle
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.store.open import open_store
from runner.store.sql import SqlStore
from tests.storm.worker import LABELS, Order, work

WAVES = "[2, 5, 9, 14]"
SERVERS = 30
MOST_PROCESSES = 60
"""A run that needs more processes than this does not end."""

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
    kills: int = 0
    processes: int = 0
    rivals: int = 0
    requests: int = 0
    twice: int = 0
    lost: int = 0
    lies: int = 0
    unended: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.store:<10} {self.mode:<6} {self.runs:>5} {self.kills:>6} {self.processes - self.runs:>8}"
            f" {self.rivals:>7} {self.requests:>9} {self.twice:>6} {self.lost:>5} {self.lies:>5} {self.unended:>8}"
            f" {self.outcomes['unknown']:>8} {self.outcomes['ready']:>6} {self.seconds:>6.0f}s"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.twice or self.lost or self.lies or self.unended)


HEADER = (
    "store      mode    runs  kills  resumes  rivals  requests  twice  lost  lies  unended  unknown  ready   time\n"
    "           (twice: servers rebooted twice in a cycle; lost: rebooted, but the journal says not;\n"
    "            lies: ready in the journal, never rebooted; unended: runs or servers without an outcome;\n"
    "            rivals: a second process at the same run at the same time)"
)

TROUBLES = (
    Reset(on="reboot", do="reset", when="after", probability=0.15, times="all"),
    Reset(on="reboot", do="reset", when="before", probability=0.04, times="all"),
    Error(on="reboot", do="error", status=502, body="html", effect=True, probability=0.12, times="all"),
    Throttle(on="reboot", do="throttle", status=429, retry_after=timedelta(seconds=1), probability=0.05, times="all"),
    Error(on="job", do="error", status=503, body="html", probability=0.05, times="all"),
)


@contextmanager
def cloud(seed: int) -> Iterator[tuple[State, str]]:
    """A simulated cloud with quick reboots and all the troubles, and its URL."""
    options = CloudOptions(
        fleet=FleetOptions(servers=SERVERS, seed=seed, reboot_seconds=0.4), rules=TROUBLES, scenario="storm"
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
    tell: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Run plans and kill their runners until `kills` have died. `mode`: hold, retry, or naive (repeat in doubt)."""
    rng = random.Random(seed)
    tally = Tally(name, mode)
    began = time.monotonic()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storm.worker"])
    with cloud(seed) as (state, url):
        (folder / "reboot-runner.yaml").write_text(
            CONFIG.format(region=state.fleet.options.region, project=state.fleet.project_id, url=url)
        )
        environment = {
            "HUAWEICLOUD_SDK_AK": state.credentials.ak,
            "HUAWEICLOUD_SDK_SK": state.credentials.sk,
            "REBOOT_RUNNER_STORE": store,
            "CI": "",
        }
        while tally.kills < kills:
            plan = f"storm-{mode}-{tally.runs + 1}"
            on_unknown = "hold" if mode == "hold" else "retry"
            file = folder / f"{plan}.yaml"
            file.write_text(PLAN.format(name=plan, on_unknown=on_unknown, waves=WAVES))
            before = len(state.accepted_reboots())
            order = Order(
                ("run", str(file), "--yes", "--no-wait"), str(folder), environment,
                naive=mode == "naive", output=str(folder / f"{plan}.log"),
            )  # fmt: skip
            _one_run(context, order, plan, rng, tally, kills)
            _judge(folder, store, plan, Counter(r.server_id for r in state.accepted_reboots()[before:]), tally)
            tally.runs += 1
            tally.requests = len(state.requests())
            tell(tally.row())
    tally.seconds = time.monotonic() - began
    return tally


def _one_run(context, order: Order, plan: str, rng: random.Random, tally: Tally, kills: int) -> None:  # type: ignore[no-untyped-def]
    """Processes one after the other, most of them killed, until the run is closed."""
    for attempt in range(MOST_PROCESSES):
        deaths = rng.random() < 0.8 and attempt < 8 and tally.kills < kills
        label = rng.choice([*LABELS, None, None, None, None]) if deaths else None
        todo = Order(
            order.arguments,
            order.folder,
            order.environment,
            label,
            rng.choice((1, 1, 1, 2, 3)),
            order.naive,
            order.output,
        )
        process = context.Process(target=work, args=(todo,))
        process.start()
        tally.processes += 1
        rival = context.Process(target=work, args=(replace(order, die_at=None),)) if rng.random() < 0.12 else None
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
            raise AssertionError(f"a process ended with {code}:\n{Path(order.output).read_text()[-2000:]}")
        elif code == 75:
            approve = Order(
                ("approve", plan, "--reason", "storm"), order.folder, order.environment, output=order.output
            )
            answer = context.Process(target=work, args=(approve,))
            answer.start()
            answer.join(60)
            answer.close()
    tally.unended += 1


def _judge(folder: Path, store: str, plan: str, rebooted: Counter[str], tally: Tally) -> None:
    """Hold the journal against the cloud's log of this plan's time."""
    opened = open_store(store, folder)
    try:
        run: Run = read_run(opened, opened.find(plan).id)
        _resolve_unknown(opened, run, rebooted)
    finally:
        opened.close()
    tally.twice += sum(1 for n in rebooted.values() if n > 1)
    for server_id, server in run.servers.items():
        if server.outcome is None:
            tally.unended += 1
            continue
        tally.outcomes[server.outcome.value] += 1
        if server.outcome is Outcome.READY and not rebooted[server_id]:
            tally.lies += 1
        if rebooted[server_id] and server.outcome in (Outcome.SKIPPED, Outcome.NOT_STARTED):
            tally.lost += 1


def _resolve_unknown(store: SqlStore, run: Run, rebooted: Counter[str]) -> None:
    """What a person would do after each run, so that the next one may have the servers again."""
    for server_id, server in run.servers.items():
        if server.outcome is Outcome.UNKNOWN:
            word = "rebooted" if rebooted[server_id] else "not-rebooted"
            data = {"server": server_id, "as": word, "by": "storm", "reason": "the cloud's log"}
            ids = (server_id,)
            store.record(run.id, run.created, (("server.resolved", data),), release=ids, open_only=False)
