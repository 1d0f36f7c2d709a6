"""What the release workflow asks: is the tag right, what has changed, and how is the release
named in a workflow?

    python scripts/release.py check v0.1.0       # the tag, the project file and the dated entry of the change log agree
    python scripts/release.py line dist/*.whl    # the line for the input `release` of the reusable workflows
    python scripts/release.py notes dist/*.whl   # the entry of the change log, and that line

Standard library only.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATED = r"\d{4}-\d{2}-\d{2}"


class Unfit(Exception):
    """This cannot be released; the sentence says why."""


def main(arguments: Sequence[str]) -> int:
    """Do one of the three; 1 with a sentence where it cannot be done, 2 for a wrong call."""
    try:
        match list(arguments):
            case ["check", tag]:
                check(tag)
            case ["line", wheel]:
                print(line(Path(wheel)))
            case ["notes", wheel]:
                print(notes(Path(wheel)))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except Unfit as problem:
        print(f"release: {problem}", file=sys.stderr)
        return 1
    return 0


def version(root: Path = ROOT) -> str:
    """The version that the project file names."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def check(tag: str, root: Path = ROOT) -> None:
    """Raises Unfit unless `tag` is `v` and the project's version, and the change log has a
    dated entry for it.
    """
    here = version(root)
    if tag != f"v{here}":
        raise Unfit(
            f"the tag is {tag!r}, but pyproject.toml says {here}: tag v{here}, or change the "
            f"version"
        )
    if not re.search(rf"^## {re.escape(here)} - {DATED}$", _changes(root), re.MULTILINE):
        raise Unfit(
            f"CHANGELOG.md has no line `## {here} - YYYY-MM-DD`: write the day of the release"
        )


def line(wheel: Path) -> str:
    """`reboot-runner==0.1.0 --hash=sha256:…`: exactly this file, for pip and for the input
    `release`.
    """
    name, number = wheel.name.split("-")[:2]
    return (
        f"{name.replace('_', '-')}=={number} "
        f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    )


def notes(wheel: Path, root: Path = ROOT) -> str:
    """The release's notes: the line first, then what has changed."""
    pattern = rf"^## {re.escape(version(root))} .*?\n(.*?)(?=^## |\Z)"
    entry = re.search(pattern, _changes(root), re.MULTILINE | re.DOTALL)
    if entry is None:
        raise Unfit(f"CHANGELOG.md has no entry for {version(root)}")
    return (
        f"For the input `release` of the reusable "
        f"workflows:\n\n```\n{line(wheel)}\n```\n\n{entry[1].strip()}"
    )


def _changes(root: Path) -> str:
    return (root / "CHANGELOG.md").read_text()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
