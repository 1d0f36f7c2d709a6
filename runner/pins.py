"""`python -m runner.pins` prints the path of the pinned requirements that come with this copy
of the program.

    python -I -m pip install --require-hashes --no-deps -r "$(python -I -m runner.pins)"

A wheel carries them inside; a working tree has them in `requirements/`. This runs before
anything else is installed, so it imports the standard library only.
"""

from __future__ import annotations

import sys
from pathlib import Path

NAME = "postgres.txt"
"""The command and PostgreSQL's client: a store in a database is the rule where a machine's
disk does not stay.
"""


def path() -> Path:
    """The file with every package that the program needs, pinned and hashed, PostgreSQL's
    client included.

    Raises FileNotFoundError for a copy that has lost it.
    """
    package = Path(__file__).resolve().parent
    places = (package / "requirements" / NAME, package.parent / "requirements" / NAME)
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"neither {places[0]} nor {places[1]} exists: install a wheel, or use the whole repository"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{path()}\n")
