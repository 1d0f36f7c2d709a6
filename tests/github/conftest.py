"""One stand-in for GitHub for all tests of the folder; each finds it empty and unharmed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.github.standin import TOKEN, Account, StandIn, serving


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with serving(tmp_path_factory.mktemp("github")) as server:
        yield server


@pytest.fixture
def github(standin: StandIn) -> StandIn:
    """GitHub with one pull request, number 7, and one token that may do everything."""
    standin.state.clear()
    standin.accounts = {TOKEN: Account()}
    standin.faults = []
    standin.redirect = None
    standin.state.write_pull(7, head_sha="a" * 40)
    return standin
