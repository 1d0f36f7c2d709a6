"""Set where this project lives on GitHub: in `runner/__init__.py`, and in every document that
names it.

    python scripts/rename_repository.py OWNER/NAME

Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTING = re.compile(r'^REPOSITORY = "([^"]+)"$', re.MULTILINE)
FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Rename, and say which files have changed; 2 for a wrong call."""
    if len(arguments) != 1 or not FORM.fullmatch(arguments[0]):
        print(__doc__, file=sys.stderr)
        return 2
    for path in rename(arguments[0], root):
        print(path)
    return 0


def current(root: Path = ROOT) -> str:
    """Return OWNER/NAME as it is set."""
    found = SETTING.search((root / "runner" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit('runner/__init__.py has no line REPOSITORY = "OWNER/NAME"')
    return found[1]


def rename(new: str, root: Path = ROOT) -> list[str]:
    """Replace the name in every file that Git tracks; return those that changed."""
    name = re.compile(rf"(?<![\w.-]){re.escape(current(root))}(?![\w-])")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    changed = []
    for path in filter(None, listed.split("\0")):
        file = root / path
        try:
            text = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError):  # a link without its file, or no text
            continue
        renamed = name.sub(new, text)
        if renamed != text:
            file.write_bytes(renamed.encode())
            changed.append(path)
    return changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
