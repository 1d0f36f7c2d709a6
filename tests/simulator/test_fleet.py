"""Generated fleets: realistic, within the cloud's rules, and the same for the same seed."""

from __future__ import annotations

import statistics
import uuid
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.simulator.fleet import FleetOptions, address, generate

options = st.builds(
    FleetOptions, st.integers(1, 300), st.integers(0, 2**53), st.just("eu-de"), st.integers(1, 8)
)


@settings(max_examples=40, deadline=None)
@given(options)
def test_laws_of_a_fleet(made: FleetOptions) -> None:
    """As many servers as asked, each with an own id, name and address; groups hold at most
    16 of one kind.
    """
    fleet = generate(made)
    assert len(fleet.servers) == made.servers
    for unique in ("id", "name", "address"):
        assert len({getattr(s, unique) for s in fleet.servers}) == made.servers
    assert all(uuid.UUID(s.id).version == 4 for s in fleet.servers)
    assert {s.zone for s in fleet.servers} <= {f"eu-de{z}" for z in "abcdefgh"[: made.zones]}
    assert all(len(k) <= 36 and len(v) <= 43 for s in fleet.servers for k, v in s.tags)
    assert all(1 <= len(g.members) <= 16 for g in fleet.groups)
    members = Counter(m for g in fleet.groups for m in g.members)
    assert members == Counter(s.id for s in fleet.servers if s.group)
    assert generate(made) == fleet


def test_sixty_servers() -> None:
    """The usual fleet: four roles, mostly prod, three zones, at least one canary for each
    role, one in twenty.
    """
    servers = generate(FleetOptions()).servers
    tags = [dict(s.tags) for s in servers]
    assert Counter(t["role"] for t in tags) == {"web": 30, "api": 15, "batch": 9, "db": 6}
    assert Counter(t["env"] for t in tags) == {"prod": 49, "staging": 11}
    assert {t["role"] for t in tags if t.get("canary") == "true"} == {"web", "api", "batch", "db"}
    assert len({s.zone for s in servers}) == 3
    assert {s.name for s in servers} >= {"web-001", "web-030", "db-006"}


def test_reboot_times() -> None:
    """SOFT reboots mostly take 28 to 45 s, all between 15 and 120 s; HARD ones less; a
    server has its own pace.
    """
    fleet = generate(FleetOptions(servers=2000))
    soft = [fleet.reboot_millis(s.id, 0, "SOFT") / 1000 for s in fleet.servers]
    assert 15 <= min(soft) < max(soft) <= 120
    assert 34 < statistics.median(soft) < 38
    assert 0.6 < sum(28 <= s <= 45 for s in soft) / len(soft) < 0.9
    for server in fleet.servers[:100]:
        first, second = (fleet.reboot_millis(server.id, nth, "SOFT") for nth in (0, 1))
        assert first != second
        assert abs(first - second) / first < 0.2
        assert fleet.reboot_millis(server.id, 0, "HARD") < first


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": 0},
        {"servers": 200_001},
        {"zones": 0},
        {"zones": 9},
        {"reboot_seconds": 0},
        {"region": "EU west"},
    ],
)
def test_options_out_of_range(wrong: dict[str, float]) -> None:
    """A fleet that cannot be is refused."""
    with pytest.raises(ValueError, match=r"simulated|region"):
        FleetOptions(**wrong)  # type: ignore[arg-type]


def test_addresses_of_many_servers() -> None:
    """However many servers there are, each has a private address of its own."""
    addresses = [address(index) for index in range(300_000)]
    assert len(set(addresses)) == 300_000
    assert all(ip_address(a).is_private for a in addresses[::500])
