"""Lists that change while they are read over HTTP: whoever was there all the time is
found, once.
"""

from __future__ import annotations

import pytest

from runner.simulator.fleet import FleetOptions, generate
from tests.cloud.lists import WAYS, read_apart, read_here, reading

FLEET = generate(FleetOptions(servers=2200))


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_missed(way: str) -> None:
    """Between any two of the pages servers go, or come, or both."""
    found = reading(way, FLEET, read_here)
    assert found.missed == found.twice == 0
    assert (found.gone > 0, found.come > 0) == ("go" in way, "come" in way)
    assert found.pages == (3 if way == "still" else 9 if "go" in way else found.pages)


def test_the_reader_in_a_process_of_its_own() -> None:
    """As in the long form, whose reader's memory is bounded: pages are decoded one by one."""
    found = reading("one goes", FLEET, read_apart)
    assert found.missed == 0
    assert 0 < found.megabytes < 200
