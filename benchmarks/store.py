"""What durability costs: rows and bytes of a large run, milliseconds of a write, seconds until
a large run goes on.

    python benchmarks/store.py [--servers 10000] [--resumed 100000] [--only NAME]

Runs are real ones, in virtual time, against a cloud in memory: waves of 1,000 whose reboots
take 30 to 90 s, polled as usual, ids like the cloud's. On a SQLite file, and on PostgreSQL:
the one of TEST_POSTGRES_URL, else one that is started here; commits are flushed to the disk
on both. In Git: a bare repository on disk, the same over HTTP (`git http-backend` on
loopback), and over HTTP with 100 ms before each answer, as of a host on the internet. The
last table has all of them side by side, as multiples of SQLite; the run that is resumed is
a tenth as large in Git. Targets, but for Git: a run of 10,000 servers writes at most 50 MB
in all, in less than a second; a run of 100,000 servers starts to work within 3 s when it is
resumed. Asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.execution.journal import read_run
from runner.model.inventory import PowerState, Server
from runner.model.job import Accepted, Job, JobGone, JobStatus
from runner.model.schedule import ServerRef
from runner.ports.store import Intent
from runner.store.gitref.address import Address
from runner.store.gitref.dialect import Git
from runner.store.gitref.remote import Remote
from runner.store.gitref.store import GitStore
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests import git_server, postgres
from tests.execution.memory_cloud import MemoryCloud, Reboot, VirtualClock
from tests.execution.setup import Bench, schedule_of
from tests.journal import made
from tests.store.kit import AT, asked, ended, leased

WAVE = 1000
FAR = "Git far away"
NAMES = ("SQLite", "PostgreSQL", "Git on disk", "Git over HTTP", FAR)
WRITES = ("create", "take", "append", "record", "touch", "give_back")
Opener = Callable[[Callable[[], float]], SqlStore]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both back ends and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--servers", type=int, default=10_000, help="servers of the run that is written"
    )
    parser.add_argument(
        "--resumed", type=int, default=100_000, help="servers of the run that is resumed"
    )
    parser.add_argument("--only", choices=NAMES, help="one of the stores")
    options = parser.parse_args(arguments)
    figures: dict[str, tuple[float, ...]] = {}
    with ExitStack() as stack:
        for name, opener in backends(stack, options.only):
            print(f"-- {name}", flush=True)
            wrote = writes(name, opener)
            per_wave = whole_run(name, opener, options.servers)
            if name != FAR:
                resume(
                    name,
                    opener,
                    max(WAVE, options.resumed // (10 if name.startswith("Git") else 1)),
                )
            figures[name] = (*wrote, per_wave)
    side_by_side(figures)
    return 0


def side_by_side(figures: dict[str, tuple[float, ...]]) -> None:
    """Milliseconds of a small write, of an intent, and of all of a wave's writes; and how
    many times SQLite's.
    """
    first = next(iter(figures.values()))
    print(f"\n{'ms':<14} {'small write':>18} {'intent of 1,000':>18} {'a wave of 1,000':>18}")
    for name, row in figures.items():
        cells = (f"{1000 * a:.1f} ({a / b:.0f}x)" for a, b in zip(row, first, strict=True))
        print(f"{name:<14} " + " ".join(f"{cell:>18}" for cell in cells))


def backends(stack: ExitStack, only: str | None) -> Iterator[tuple[str, Opener]]:
    """Each back end, or one, with a way to open an empty store of it on a clock."""
    for name, make in zip(NAMES, (files, databases, folders, hosts, far_hosts), strict=True):
        if only in (None, name):
            yield name, make(stack)


def files(stack: ExitStack) -> Opener:
    """SQLite."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="store-")))

    def sqlite(clock: Callable[[], float]) -> SqlStore:
        return SqlStore(Sqlite(folder / f"{uuid.uuid4()}.db", clock))

    return sqlite


def databases(stack: ExitStack) -> Opener:
    """PostgreSQL."""
    url = stack.enter_context(durable_server())

    def postgresql(clock: Callable[[], float]) -> SqlStore:
        from runner.store.postgres import Postgres

        return SqlStore(Postgres(stack.enter_context(postgres.fresh_schema(url)), clock))

    return postgresql


def folders(stack: ExitStack) -> Opener:
    """Bare repositories on this disk, which flush what they take."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="store-")))
    return _git(folder, lambda: git_server.bare(folder / f"{uuid.uuid4()}.git"))


def hosts(stack: ExitStack, delay_s: float = 0.0) -> Opener:
    """The same behind an HTTP server."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="store-")))
    host = stack.enter_context(git_server.serve(folder, delay_s=delay_s))
    return _git(folder, lambda: host.make(f"{uuid.uuid4()}.git"))


def far_hosts(stack: ExitStack) -> Opener:
    """The same, and each answer takes 100 ms more."""
    return hosts(stack, 0.1)


def _git(folder: Path, make: Callable[[], str]) -> Opener:
    def git(clock: Callable[[], float]) -> SqlStore:
        url = make()
        repository = str(folder / url.rpartition("/")[2])
        subprocess.run(["git", "-C", repository, "config", "core.fsync", "all"], check=True)
        return GitStore(Git(Remote(Address.read(url, os.environ), folder / "clones"), clock))

    return git


@contextmanager
def durable_server() -> Iterator[str]:
    """A server that flushes each commit, unlike the one of the tests."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        postgres.Server(Path(folder), durable=True) as server,
    ):
        yield server.url


def writes(name: str, opener: Opener) -> tuple[float, float]:
    """Milliseconds of single writes; returns seconds of a small one and of an intent."""
    times = 20 if name.startswith("Git") else 300
    store = opener(time.time)
    lease = leased(store)
    ids = [str(uuid.uuid4()) for _ in range(WAVE)]
    data = {
        "job": "ff80808288d41e1b018990260955686a",
        "servers": dict.fromkeys(ids[:20], "2026-11-23T22:00:40+00:00"),
    }

    batches = iter(range(1, 1000))

    def claim() -> None:
        batch = next(batches)
        intent = Intent("p", f"c{batch}", batch, tuple(ids), 10**9)
        store.append(lease, AT, [asked(*ids)], intent=intent)

    def release() -> None:
        store.append(lease, AT, [ended(*ids)], release=ids)

    small = [
        timed(lambda: store.append(lease, AT, [made("batch.looked", data)])) for _ in range(times)
    ]
    claims, releases = zip(*((timed(claim), timed(release)) for _ in range(10)), strict=True)
    read = [timed(lambda: store.find("r1")) for _ in range(times)]
    store.close()
    print(f"{name}: append {ms(small)}, find {ms(read)}, intent of {WAVE:,} servers {ms(claims)}, "
          f"their release {ms(releases)} ms")  # fmt: skip
    return statistics.median(small), statistics.median(claims)


def whole_run(name: str, opener: Opener, servers: int) -> float:
    """Rows, bytes and time of all writes of one run; returns the seconds of one wave."""
    bench, run_id = run_of(servers, opener)
    pushes = counted_pushes(bench.store)
    spent, calls = watched(bench.store)
    bench.cloud.calls.clear()
    began = bench.clock.now()
    bench.follow(run_id)
    lasted = (bench.clock.now() - began).total_seconds()
    events = bench.store.events(run_id)
    kinds = Counter(e.type for e in events)
    size, other = stored(bench.store)
    writing = sum(spent.values())
    print(
        f"{name}: {servers:,} servers: {len(events):,} events ({size / 1e6:.1f} MB), "
        f"{other / 1e6:.1f} MB in all; "
        f"{sum(calls.values())} writes in {writing:.2f} s, {writing / lasted:.2%} of {lasted:.0f} s"
    )
    print(f"    {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    print(f"    cloud: {', '.join(f'{n} {call}' for call, n in bench.cloud.calls.most_common())}")
    if pushes:
        print(
            f"    {len(pushes)} pushes, {len(pushes) / (servers // WAVE):.1f} a wave, "
            f"{ms(pushes)} ms each"
        )
    bench.store.close()
    return writing / (servers // WAVE)


def counted_pushes(store: SqlStore) -> list[float]:
    """Seconds of each push of a store in Git from now on."""
    times: list[float] = []
    if isinstance(store, GitStore):
        push = store.db.remote.push

        def counted(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return push(*arguments, **named)
            finally:
                times.append(time.perf_counter() - began)

        store.db.remote.push = counted  # type: ignore[method-assign]
    return times


def stored(store: SqlStore) -> tuple[int, int]:
    """Bytes of all events' texts, and of the whole store with its indexes."""
    (events,) = store.db.execute(
        "select sum(length(data) + length(at) + length(type) + length(run)) from event"
    )[0]
    if isinstance(store.db, Sqlite):
        pages, page = (
            store.db.execute(f"pragma {what}")[0][0] for what in ("page_count", "page_size")
        )
        return int(events), pages * page
    if isinstance(store.db, Git):
        clones = store.db.remote.root.parent.parent
        repository = clones / store.db.remote.address.url.rpartition("/")[2]
        command = ["git", "-C", str(repository), "gc", "--quiet", "--prune=now"]
        subprocess.run(command, check=True)
        return int(events), sum(f.stat().st_size for f in repository.rglob("*") if f.is_file())
    tables = "(values ('run'), ('event'), ('claim'), ('rate')) as t(name)"
    sql = f"select sum(pg_total_relation_size(to_regclass(name))) from {tables}"  # noqa: S608
    return int(events), int(store.db.execute(sql)[0][0])


def resume(name: str, opener: Opener, servers: int) -> None:
    """Seconds until a new process works on a run that another one has left nearly at its end."""
    bench, run_id = run_of(servers, opener)
    asyncio.run(advance_to(bench, run_id, servers // WAVE - 1))
    count = len(bench.store.events(run_id))
    read = timed(lambda: bench.store.events(run_id))
    folded = timed(lambda: read_run(bench.store, run_id))
    first = timed(lambda: asyncio.run(first_advance(bench, run_id)))
    print(f"{name}: {servers:,} servers, resumed before the last wave: {count:,} events read in " f"{read:.2f} s, "  # noqa: E501
          f"folded after {folded:.2f} s, first advance done after {first:.2f} s")  # fmt: skip
    bench.store.close()


async def first_advance(bench: Bench, run_id: str) -> None:
    """What a new process does first: read and fold the journal, take the lease, see what is due."""
    await bench.driver(run_id).advance()


async def advance_to(bench: Bench, run_id: str, wave: int) -> None:
    """Work on a run until `wave` waves are over."""
    driver = bench.driver(run_id)
    while (step := await driver.advance()).run.position < wave and step.due:
        await bench.clock.sleep((step.due - bench.clock.now()).total_seconds())


def run_of(servers: int, opener: Opener) -> tuple[Bench, str]:
    """A run that was created and not begun: waves of 1,000 of servers with ids like the cloud's."""
    clock, chance = VirtualClock(), random.Random(1)
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(servers)]
    fleet = {i: Server(i, f"web-{n:06d}", zone=f"eu-de-0{n % 3}", updated="2026-11-01T00:00:00Z")
             for n, i in enumerate(ids)}  # fmt: skip
    cloud = Fleet(clock, fleet, takes={i: chance.uniform(30, 90) for i in ids})
    bench = Bench(cloud, opener(clock.seconds), clock)
    plain = schedule_of([WAVE] * (servers // WAVE))
    refs = [ServerRef(i, s.name, s.zone) for i, s in fleet.items()]
    waves = tuple(
        replace(w, servers=tuple(refs[n * WAVE : (n + 1) * WAVE]))
        for n, w in enumerate(plain.waves)
    )
    return bench, bench.start(replace(plain, waves=waves))


@dataclass
class Fleet(MemoryCloud):
    """A cloud in memory that finds its reboots at once, for fleets of 100,000."""

    by_server: dict[str, Reboot] = field(default_factory=dict)
    by_job: dict[str, list[Reboot]] = field(default_factory=dict)

    def accept(self, ids: Collection[str]) -> Accepted:
        job, now = f"{len(self.by_job):032x}", self.clock.now()
        self.by_job[job] = [Reboot(i, job, now, self.takes[i]) for i in ids]
        self.by_server |= {r.server: r for r in self.by_job[job]}
        return Accepted(job)

    def see(self, server_id: str) -> Server | None:
        server, last = self.servers[server_id], self.by_server.get(server_id)
        if last is None:
            return server
        over = self.clock.now() >= last.ended
        if over:
            return replace(server, updated=last.ended.isoformat())
        rebooting = PowerState.REBOOTING
        return replace(server, state=rebooting, updated=last.began.isoformat())

    async def job(self, job_id: str) -> Job | JobGone:
        self._call("job")
        now = self.clock.now()
        subs = {r.server: self._sub(r, now) for r in self.by_job[job_id]}
        over = all(s.status.is_final for s in subs.values())
        return Job(job_id, JobStatus.SUCCESS if over else JobStatus.PENDING, subs)


def watched(store: SqlStore) -> tuple[Counter[str], Counter[str]]:
    """Seconds in and number of the writes of a store from now on, by method."""
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def watch(name: str) -> None:
        method = getattr(store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                spent[name] += time.perf_counter() - began  # type: ignore[assignment]  # a counter of floats
                calls[name] += 1

        setattr(store, name, call)

    for name in WRITES:
        watch(name)
    return spent, calls


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ms(times: Sequence[float]) -> str:
    """The median in milliseconds."""
    return f"{statistics.median(times) * 1000:.2f}"


if __name__ == "__main__":
    sys.exit(main())
