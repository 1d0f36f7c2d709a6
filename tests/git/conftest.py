"""Fixtures of the tests with real Git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git.made import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An empty repository."""
    return Made.new(tmp_path / "made")


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A repository with one commit, which nobody changes."""
    made = Made.new(tmp_path_factory.mktemp("still") / "made")
    made.commit({"a": "1"})
    return made
