"""The kill storm in full.

    python -m tests.storm [--kills 150] [--only sqlite|postgres]

Prints a table: for each store and mode the kills, the resumes and what the judge found. Exits 1 when anything is found
with `hold` or `retry`, or when nothing is found in the naive mode.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import postgres
from tests.storm.storm import HEADER, Tally, storm


def main() -> int:
    """All stores, all modes."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=150, help="for each store and mode")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only != "postgres":
            tallies += [_storm(folder / f"lite-{m}", "sqlite", m, options) for m in ("hold", "retry", "naive")]
        if options.only != "sqlite":
            with postgres.server(folder / "pg") as url:
                for mode in ("hold", "retry", "naive"):
                    with postgres.fresh_schema(url) as schema:
                        tallies.append(_storm(folder / f"pg-{mode}", "postgres", mode, options, schema))
    print(HEADER)
    for tally in tallies:
        print(tally.row())
    clean = all(t.is_clean for t in tallies if t.mode != "naive")
    caught = all(t.twice for t in tallies if t.mode == "naive")
    print(f"guarded: {'clean' if clean else 'FOUND SOMETHING'}; naive: {'caught' if caught else 'NOT CAUGHT'}")
    return 0 if clean and caught else 1


def _storm(folder: Path, name: str, mode: str, options: argparse.Namespace, url: str = "") -> Tally:
    folder.mkdir()
    kills = min(options.kills, 40) if mode == "naive" else options.kills
    store = url or f"sqlite:///{folder / 'runs.db'}"
    return storm(
        folder, store=store, name=name, mode=mode, kills=kills, seed=options.seed,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
