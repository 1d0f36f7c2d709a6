"""The table of docs/credentials.md names the test that proves each kind: those tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "credentials.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_kind_names_tests_that_exist() -> None:
    """Each line of the table has a test or more; each that the page names is a function of
    that file.
    """
    table = [line for line in TEXT.splitlines() if line.startswith("|") and line.count("|") == 6]
    assert len(table) == 2 + 8
    assert all(_NAMED.search(line) for line in table[2:])
    for file, name in _NAMED.findall(TEXT):
        tree = ast.parse((ROOT / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
            f"{file}::{name}"
        )
