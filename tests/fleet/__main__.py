"""The fleet in full: 50 runs, 4 workers that are killed at random, one shared rate limit, a
PostgreSQL that crashes.

    python -m tests.fleet [--engine store|temporal] [--runs 50] [--workers 4] [--kills 60]
    [--outages 3]

Prints a table of what the judge found; exits 1 when that is anything.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests import postgres
from tests.fleet.fleet import HEADER, Shape, Tally, fleet


def main() -> int:
    """One fleet."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--engine", choices=["store", "temporal"], default="store")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--servers", type=int, default=8, help="of each run")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--every", type=float, default=4.0, help="most seconds between two kills")
    parser.add_argument(
        "--outages", type=int, default=3, help="how often the database crashes and recovers"
    )
    parser.add_argument("--rate", type=int, default=160, help="servers in any 60 s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shape = Shape(
        options.runs, options.servers, options.workers, options.kills, options.rate,
        kill_every_s=(options.every / 8, options.every), outages=options.outages,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        tally = _fleet(Path(name), shape, options)
    print(HEADER)
    print(tally.row())
    print(
        ", ".join(f"{n} {outcome}" for outcome, n in tally.outcomes.most_common()),
        f"; {tally.outages} outages",
    )
    print("; ".join(tally.findings) or "clean")
    return 1 if tally.findings else 0


def _fleet(folder: Path, shape: Shape, options: argparse.Namespace) -> Tally:
    place = folder / "fleet"
    place.mkdir()
    data = Path(
        tempfile.mkdtemp(prefix="pg-")
    )  # not below `folder`: PostgreSQL's own user must reach it
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        database = stack.enter_context(postgres.Server(data))

        def outage() -> None:
            database.crash()
            time.sleep(1.5)
            database.start()

        more: tuple[str, ...] = ()
        if options.engine == "temporal":
            from tests import temporal_server

            address = stack.enter_context(temporal_server.server(history_events=100))
            more = ("--engine", "temporal", "--temporal-address", address, "--task-queue", "fleet")
        return fleet(
            place, store=database.url, name="postgres", shape=shape, engine=options.engine, more=more, outage=outage,  # noqa: E501
            seed=options.seed,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
