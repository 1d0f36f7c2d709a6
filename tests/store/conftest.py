"""Every test of this folder that asks for `place` or `store` runs on all real back ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.store.sql import SqlStore
from tests.git_server import bare
from tests.store.kit import Place


@pytest.fixture(params=["sqlite", "postgres", "git"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty store, not opened yet."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    elif request.param == "git":
        url = bare(tmp_path / "store.git")
    else:
        url = f"sqlite:///{tmp_path / 'runs.db'}"
    place = Place(url)
    with place.stack:
        yield place


@pytest.fixture
def store(place: Place) -> SqlStore:
    """A store on a clock that is moved by hand (`place.clock`)."""
    return place.open()
