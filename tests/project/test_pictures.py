"""The pictures of README show what the program shows now."""

from __future__ import annotations

from pathlib import Path

from tests.pictures import pictures

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_pictures_are_fresh() -> None:
    """`docs/run.svg` and `docs/live.svg` are what a run of the quickstart plan shows."""
    for name, text in pictures().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, (
            "python -m tests.pictures writes them anew"
        )
