"""How many servers go down before a run stops, beside the worst case that its dry-run announced.

    python -m tests.stops [--servers 400] [--seeds 20] [--only TEXT]

Prints a table: a row for each scenario, run once for each seed in virtual time on the
simulated cloud. Exits 1 when more was observed than announced, or when a reboot was asked
for that should not have been.
"""

from __future__ import annotations

import argparse
import sys

from tests.stops.scenes import SCENES
from tests.stops.table import HEADER, row


def main() -> int:
    """All scenes, all seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.stops", description=__doc__)
    parser.add_argument("--servers", type=int, default=400, help="of each fleet, at least 40")
    parser.add_argument("--seeds", type=int, default=20, help="runs of each scenario")
    parser.add_argument("--only", default="", help="scenarios with this text in their names")
    options = parser.parse_args()
    print(HEADER)
    is_fine = True
    for title in SCENES:
        if options.only in title:
            made = row(title, options.servers, range(1, options.seeds + 1), _tell)
            print(made.line(), flush=True)
            is_fine &= made.is_fine
    return 0 if is_fine else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
