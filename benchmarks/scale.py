"""One plan over 100,000 servers in 20 simulated clouds, by one runner process, beside what is
possible at best.

    python benchmarks/scale.py [--servers 100000] [--targets 20] [--wave 50] [--large-wave 1000]
    python benchmarks/scale.py --real [--servers 10000]

1 % of the servers fail, and requests of all kinds are throttled. The clouds are served over
HTTP by a process of their own, so that memory and CPU are the runner's alone. By default
time is virtual, in a file that both processes map; three sizes (a hundredth, a tenth, and
all servers) show how the figures grow: 10.0 is linear. `--real` runs the command
`reboot-runner run` by the wall clock, against servers that reboot within some three
seconds; with 100,000 servers that takes an hour and a half, as the quota is 1,000 servers a
minute in each project. Asserts nothing about time; exits 1 when a server has no outcome, or
was rebooted twice.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

POLL_S = 5.0
PAUSE = "30s"
REAL_S = 3.0
REAL_POLL_S = 1.0
REAL_PAUSE = "1s"


@dataclass(frozen=True, slots=True)
class Setup:
    """One run: how many servers in how many clouds, in waves of which size, by which clock."""

    servers: int
    targets: int
    wave: int
    is_real: bool

    @property
    def title(self) -> str:
        return f"{self.servers:,}/{self.wave:,}"


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one run. `best`: what is possible at best, by the name of a figure."""

    setup: Setup
    figures: dict[str, float]
    best: dict[str, float]


def main() -> int:
    """Run all set-ups, print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--servers", type=int, help="100,000; with --real 10,000")
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument(
        "--wave", type=int, default=50, help="servers of a wave in the runs that show growth"
    )
    parser.add_argument("--large-wave", type=int, default=1000, help="of the last run")
    parser.add_argument(
        "--real", action="store_true", help="by the wall clock, with the command itself"
    )
    options = parser.parse_args()
    most = options.servers or (10_000 if options.real else 100_000)
    sizes = [most] if options.real else [most // 100, most // 10, most]
    setups = [
        Setup(n, options.targets, options.wave, options.real) for n in sizes if not options.real
    ]
    setups.append(Setup(most, options.targets, options.large_wave, options.real))
    rows = []
    for setup in setups:
        began = time.monotonic()
        rows.append(measured(setup))
        print(f"{setup.title} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(rows, with_growth=not options.real))
    return (
        1
        if any(r.figures[k] for r in rows for k in ("without an outcome", "rebooted twice"))
        else 0
    )


# --- one run, in two processes ------------------------------------------------


def measured(setup: Setup) -> Row:
    """Serve the clouds, let the runner run, and ask the clouds what happened."""
    from tests.runs.many import plan_text

    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        with process("clouds", asdict(setup), folder) as clouds:
            spots = json.loads(clouds.stdout.readline())
            (folder / "spots.json").write_text(json.dumps(spots))
            pause = REAL_PAUSE if setup.is_real else PAUSE
            (folder / "plan.yaml").write_text(
                plan_text([s["name"] for s in spots], setup.wave, pause)
            )
            with process("runner", asdict(setup), folder) as runner:
                spent = json.loads(runner.stdout.readline() or "null")
            if spent is None:
                raise SystemExit(f"the runner ended without figures, exit code {runner.returncode}")
            run, events, size = stored(folder / "store.db")
            print(run.created.isoformat(), file=clouds.stdin, flush=True)
            tally = json.loads(clouds.stdout.readline())
        return row_of(setup, spent, run, events, size, tally)


@contextmanager
def process(part: str, setup: dict[str, Any], folder: Path) -> Iterator[Any]:
    """This file again, as one part of the measurement; what it prints is read line by line.
    It ends with the block.
    """
    arguments = [sys.executable, __file__, f"--part={part}", json.dumps(setup), str(folder)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise


def stored(path: Path) -> tuple[Any, int, int]:
    """The run as its journal tells, how many events that are, and the bytes of the store's file."""
    from runner.execution.journal import read_run
    from runner.store.sql import SqlStore
    from runner.store.sqlite import Sqlite

    with closing(SqlStore(Sqlite(path))) as store:
        (row,) = store.runs()
        run = read_run(store, row.id)
    return run, run.seq, path.stat().st_size


def row_of(
    setup: Setup, spent: dict[str, float], run: Any, events: int, size: int, tally: dict[str, Any]
) -> Row:
    """All figures of a run, and the best ones there can be."""
    from runner.cloud.huawei.servers import IDS_A_REQUEST
    from tests.runs.harness import ideal_of

    took, times, calls = tally["took"], tally["times"], tally["calls"]
    waves, counts = run.schedule.waves, run.counts()
    wall = (run.ended - run.created).total_seconds()
    lengths = [[took[s.id] for s in w.servers if s.id in took] for w in waves]
    every = REAL_POLL_S if setup.is_real else POLL_S
    # The pages of the list and the server groups; the command also asks for scaling groups
    # and scheduled events.
    targets, pages = setup.targets, math.ceil(setup.servers / setup.targets / 1000)
    figures: dict[str, float] = {
        "servers": setup.servers,
        "waves": len(waves),
        "failed": counts["failed"],
        "without an outcome": counts["pending"],
        "rebooted twice": sum(n > 1 for n in times.values()),
        "calls to plan": sum(tally["planning"].values()),
        "lists": calls.get("list", 0),
        "requests": calls.get("reboot", 0),
        "polls": calls.get("job", 0),
        "other calls": sum(n for k, n in calls.items() if k not in ("list", "reboot", "job")),
        "throttled answers": tally["throttled"],
        "events": events,
        "store": size / 1e6,
        "wall": wall,
        **spent,
    }
    best: dict[str, float] = {
        "without an outcome": 0,
        "rebooted twice": 0,
        "calls to plan": targets * (pages + (3 if setup.is_real else 1)),
        "lists": sum(2 * min(math.ceil(len(w.servers) / IDS_A_REQUEST), pages) for w in waves),
        "requests": sum(math.ceil(len(w.servers) / 1000) for w in waves),
        "polls": sum(1 + math.ceil((max(n) - min(n)) / every) for n in lengths if n),
        "other calls": 0,
        "wall": ideal_of(run, took),
    }
    return Row(setup, figures, best)


# --- the parts ----------------------------------------------------------------


def clouds_part(setup: Setup, folder: Path) -> None:
    """Serve the clouds; tell where on stdout, and what happened for each line of stdin: the
    instant a run began.
    """
    from tests.runs.many import SharedClock, Tally, served

    async def serving() -> None:
        clock = None if setup.is_real else SharedClock(folder / "clock")
        switches = {"parent_lag": 1} if setup.is_real else {}
        seconds = REAL_S if setup.is_real else None
        async with served(
            setup.targets, setup.servers, clock, reboot_s=seconds, switches=switches
        ) as (states, spots):
            print(json.dumps([asdict(s) for s in spots]), flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                tally = Tally.of(states, datetime.fromisoformat(line.strip()))
                print(
                    json.dumps({f.name: getattr(tally, f.name) for f in fields(tally)}), flush=True
                )

    asyncio.run(serving())


def runner_part(setup: Setup, folder: Path) -> None:
    """Plan and run; print what this process spent."""
    spots = json.loads((folder / "spots.json").read_text())
    real_run(setup, folder, spots) if setup.is_real else virtual_run(setup, folder, spots)


def virtual_run(setup: Setup, folder: Path, spots: list[dict[str, str]]) -> None:
    """The engine, the client and the store of the command, on a clock that jumps."""
    from runner.store.sql import SqlStore
    from runner.store.sqlite import Sqlite
    from tests.runs.many import Many, SharedClock, Spot

    async def running() -> None:
        clock = SharedClock(folder / "clock")
        with closing(SqlStore(Sqlite(folder / "store.db", clock.seconds))) as store:
            async with Many.opened([Spot(**s) for s in spots], store, clock) as many:
                base, began = peak_mb(), time.process_time()
                run_id = await many.begin((folder / "plan.yaml").read_text())
                planned = time.process_time()
                await many.follow(run_id)
                ended = time.process_time()
        tell(**{"CPU to plan": planned - began, "CPU of the run": ended - planned, "memory": peak_mb() - base,  # noqa: E501
                "memory at start": base})  # fmt: skip

    asyncio.run(running())


def real_run(setup: Setup, folder: Path, spots: list[dict[str, str]]) -> None:
    """The command itself, in this process: with its configuration, its consent, its
    progress and its report.
    """
    from runner.cli.main import invoke

    os.environ.update(HUAWEICLOUD_SDK_AK=spots[0]["ak"], HUAWEICLOUD_SDK_SK=spots[0]["sk"])
    configuration = {
        "version": 1,
        "targets": {
            s["name"]: {
                "cloud": "simulator",
                "region": s["region"],
                "project_id": s["project_id"],
                "endpoints": dict.fromkeys(("ecs", "iam", "ces", "autoscaling"), s["url"]),
                "rate": {"poll_every": f"{REAL_POLL_S:.0f}s", "settle": "10s"},
            }
            for s in spots
        },
    }
    (folder / "reboot-runner.yaml").write_text(json.dumps(configuration))
    os.chdir(folder)
    base, began = peak_mb(), time.process_time()
    figures = os.dup(1)
    output = os.open("output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = invoke(["--store", "sqlite:///store.db", "run", "plan.yaml"])
    sys.stdout.flush()
    os.dup2(figures, 1)
    if code not in (0, 4):
        raise SystemExit(
            f"the command ended with {code}: {(folder / 'output').read_text()[-2000:]}"
        )
    tell(
        **{
            "CPU of the run": time.process_time() - began,
            "memory": peak_mb() - base,
            "memory at start": base,
        }
    )


def tell(**figures: float) -> None:
    print(json.dumps(figures), flush=True)


def peak_mb() -> float:
    """The most memory that this process has held. `ru_maxrss` of a child counts what its
    parent held, so Linux's own figure is taken where there is one (proc(5), VmHWM, KiB).
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1e6 if sys.platform == "darwin" else 1e3
        )


# --- the table ----------------------------------------------------------------

PER_1000 = (
    "lists",
    "requests",
    "polls",
    "other calls",
    "throttled answers",
    "events",
    "calls to plan",
)
LINES = (
    ("waves", "waves", ",.0f"),
    ("servers that failed", "failed", ",.0f"),
    ("servers without an outcome", "without an outcome", ",.0f"),
    ("servers rebooted twice", "rebooted twice", ",.0f"),
    ("wall time, s", "wall", ",.0f"),
    ("calls to plan, per 1,000", "calls to plan", ",.1f"),
    ("lists per 1,000", "lists", ",.1f"),
    ("reboot requests per 1,000", "requests", ",.1f"),
    ("polls per 1,000", "polls", ",.1f"),
    ("other calls per 1,000", "other calls", ",.1f"),
    ("throttled answers per 1,000", "throttled answers", ",.1f"),
    ("events per 1,000", "events", ",.1f"),
    ("store, MB", "store", ",.1f"),
    ("CPU to plan, s", "CPU to plan", ",.2f"),
    ("CPU of the run, s", "CPU of the run", ",.2f"),
    ("memory at start, MB", "memory at start", ",.0f"),
    ("memory on top at peak, MB", "memory", ",.0f"),
)
GROWING = ("calls", "wall", "events", "store", "CPU to plan", "CPU of the run", "memory")


def table(rows: Sequence[Row], *, with_growth: bool) -> str:
    """Each figure of each run, beside the best one; then wall time over the ideal, and the
    factors of growth.
    """
    lines = [["servers/wave", *(r.setup.title for r in rows)]]
    for title, key, form in LINES:
        if any(key in r.figures for r in rows):
            lines.append([title, *(_cell(r, key, form) for r in rows)])
    lines.append(
        ["wall time / ideal", *(f"{r.figures['wall'] / r.best['wall']:.3f}" for r in rows)]
    )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "-" * len(text[0]))
    text.append("measured | ideal")
    if with_growth:
        text += ["", *_growth(rows[:3])]
    return "\n".join(text)


def _cell(row: Row, key: str, form: str) -> str:
    per = 1000 / row.setup.servers if key in PER_1000 else 1
    best = row.best.get(key)
    said = format(row.figures[key] * per, form)
    return said if best is None else f"{said} | {format(best * per, form)}"


def _growth(rows: Sequence[Row]) -> list[str]:
    steps = [f"{a.setup.servers:,} -> {b.setup.servers:,}" for a, b in itertools.pairwise(rows)]
    lines = [["growth (10.0 is linear)", *steps]]
    for key in GROWING:
        values = [_value(r, key) for r in rows]
        lines.append([key, *(f"{b / a:.1f}" for a, b in itertools.pairwise(values))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [_line(line, widths) for line in lines]


def _value(row: Row, key: str) -> float:
    if key == "calls":
        return sum(row.figures[k] for k in ("lists", "requests", "polls", "other calls"))
    return row.figures[key]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        [
            cells[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)),
        ]
    )


def part(name: str, setup: str, folder: str) -> None:
    """What one of the two processes does."""
    does = {"--part=clouds": clouds_part, "--part=runner": runner_part}[name]
    does(Setup(**json.loads(setup)), Path(folder))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("--part="):
        part(*sys.argv[1:4])
    else:
        sys.exit(main())
