"""The kill storm in full.

    python -m tests.storm [--kills 150] [--only sqlite|postgres|git]

Prints a table: for each store and mode the kills, the resumes and what the judge found.
Exits 1 when anything is found with `hold` or `retry`, or when nothing is found in the naive
mode.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import git_server, postgres
from tests.storm.storm import HEADER, Tally, storm


def main() -> int:
    """All stores, all modes."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=150, help="for each store and mode")
    parser.add_argument("--only", choices=["sqlite", "postgres", "git"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "sqlite"):
            tallies += [
                _storm(folder / f"lite-{m}", "sqlite", m, options)
                for m in ("hold", "retry", "naive")
            ]
        if options.only in (None, "git"):
            tallies += _git_storms(folder, options)
        if options.only in (None, "postgres"):
            with postgres.server(folder / "pg") as url:
                for mode in ("hold", "retry", "naive"):
                    with postgres.fresh_schema(url) as schema:
                        tallies.append(
                            _storm(folder / f"pg-{mode}", "postgres", mode, options, schema)
                        )
    print(HEADER)
    for tally in tallies:
        print(tally.row())
    clean = all(t.is_clean for t in tallies if t.mode != "naive")
    caught = all(t.twice for t in tallies if t.mode == "naive")
    print(
        f"guarded: {'clean' if clean else 'FOUND SOMETHING'}; naive: "
        f"{'caught' if caught else 'NOT CAUGHT'}"
    )
    return 0 if clean and caught else 1


def _git_storms(folder: Path, options: argparse.Namespace) -> list[Tally]:
    """On a bare repository on disk, and over HTTP through a proxy that swallows answers."""
    tallies = []
    for mode in ("hold", "retry", "naive"):
        url = git_server.bare(folder / f"{mode}.git")
        tallies.append(_storm(folder / f"git-{mode}", "git", mode, options, url))
    for mode in ("hold", "retry"):
        with git_server.serve(folder / "served", cut=0.1, lose=0.03) as server:
            url = server.make(f"{mode}.git")
            tallies.append(_storm(folder / f"http-{mode}", "git+http", mode, options, url))
    return tallies


def _storm(folder: Path, name: str, mode: str, options: argparse.Namespace, url: str = "") -> Tally:
    folder.mkdir()
    kills = max(options.kills // 4, 2) if mode == "naive" else options.kills
    store = url or f"sqlite:///{folder / 'runs.db'}"
    return storm(
        folder, store=store, name=name, mode=mode, kills=kills, seed=options.seed,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
