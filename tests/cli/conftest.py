"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.forked import Forker, forker
from tests.cli.lab import PLAN, Lab, Remote, bare_environment, remote


@pytest.fixture(scope="session")
def forking() -> Iterator[Forker]:
    """One forking interpreter for all tests of a worker."""
    with forker() as one:
        yield one


@pytest.fixture
def lab(tmp_path: Path, forking: Forker) -> Iterator[Lab]:
    """A repository with `web.yaml` and a fast embedded simulated cloud of 20 servers."""
    folder, home = tmp_path / "repository", tmp_path / "home"
    for path in (folder / ".git", home):
        path.mkdir(parents=True)
    made = Lab(folder, forking, bare_environment(home))
    made.write("web.yaml", PLAN)
    made.configure(
        targets={
            "simulator": {"cloud": "simulator", "simulator": {"servers": 20, "time_scale": 3000}}
        }
    )
    yield made
    for child in made.children:
        child.dispose()


@pytest.fixture
def cloud(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Remote]:
    """The lab's target is a simulated cloud behind an endpoint, and its time runs. Its
    parameter is the dialect.
    """
    with remote(lab, cloud=getattr(request, "param", "huaweicloud")) as one:
        yield one


@pytest.fixture
def still_cloud(lab: Lab) -> Iterator[Remote]:
    """The same, but its time stands still: what goes down stays down until `go_on`."""
    with remote(lab, still=True) as one:
        yield one
