"""The fleet in full: 50 runs, 4 workers that are killed at random, one shared rate limit, on PostgreSQL.

    python -m tests.fleet [--engine store|temporal] [--runs 50] [--workers 4] [--kills 60]

Prints a table of what the judge found; exits 1 when that is anything.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import postgres
from tests.fleet.fleet import HEADER, Shape, Tally, fleet


def main() -> int:
    """One fleet."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--servers", type=int, default=8, help="of each run")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--rate", type=int, default=160, help="servers in any 60 s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shape = Shape(options.runs, options.servers, options.workers, options.kills, options.rate)
    with tempfile.TemporaryDirectory() as name:
        tally = _fleet(Path(name), shape, options)
    print(HEADER)
    print(tally.row())
    print("; ".join(tally.findings) or "clean")
    return 1 if tally.findings else 0


def _fleet(folder: Path, shape: Shape, options: argparse.Namespace) -> Tally:
    place = folder / "fleet"
    place.mkdir()
    with postgres.server(folder / "pg") as url, postgres.fresh_schema(url) as schema:
        return fleet(
            place, store=schema, name="postgres", shape=shape, seed=options.seed,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
