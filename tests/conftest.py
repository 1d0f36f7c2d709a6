"""Fixtures of several folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import postgres
from tests.git.made import Made

# Few examples of each law, so that the suite stays quick; without a deadline, as a busy
# machine is no failure.
settings.register_profile("suite", deadline=None, max_examples=30)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL, one for all processes of the session. Fails where there
    is none.
    """
    if os.environ.get("REBOOT_RUNNER_TEST_WITHOUT_POSTGRES") == "1":
        pytest.skip("REBOOT_RUNNER_TEST_WITHOUT_POSTGRES=1")
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder of its own in the session's
        base = base.parent
    with postgres.server(base / "postgres") as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty schema of a real PostgreSQL."""
    with postgres.fresh_schema(postgres_server) as url:
        yield url


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An empty Git repository, in a folder of its own."""
    return Made.new(tmp_path / "made")


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A Git repository with one commit, which nobody changes."""
    one = Made.new(tmp_path_factory.mktemp("still") / "made")
    one.commit({"a": "1"})
    return one
