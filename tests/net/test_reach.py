"""The way to an address: each step by itself, in bounded time."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from runner.net.reach import aside, way_to
from runner.net.trust import place_of
from runner.simulator.server import serve_in_thread
from tests.cloud.wild import free_port


def test_what_never_ends_is_left_alone() -> None:
    """A function that does not return costs its time-out, not the end of the process;
    errors and values come back.
    """
    never = threading.Event()

    async def main() -> int:
        with pytest.raises(TimeoutError):
            await aside(never.wait, 0.05)
        with pytest.raises(LookupError, match="none"):
            await aside(_fails, 5)
        return await aside(lambda: 42, 5)

    assert asyncio.run(main()) == 42


def _fails() -> None:
    raise LookupError("none")


@pytest.mark.parametrize("minutes", [-16, 0, 16])
def test_the_servers_clock(minutes: int) -> None:
    """How far the server is ahead of our clock, whatever ours says."""
    with serve_in_thread() as cloud:
        way = asyncio.run(
            way_to(cloud.url, 5, now=lambda: datetime.now(UTC) - timedelta(minutes=minutes))
        )
    assert way.failed is None
    assert way.ahead_s == pytest.approx(60 * minutes, abs=5)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://proxy:3128", "proxy:3128"),
        ("http://me:pw@proxy.example:3128/", "proxy.example:3128"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("http://me:p@pw@proxy", "(an address that cannot be read)"),
        ("http://me:p/pw@proxy", "(an address that cannot be read)"),
        ("http://me:pw", "(an address that cannot be read)"),
    ],
)
def test_a_proxy_is_named_without_its_user(url: str, said: str) -> None:
    """Host and port, or nothing at all."""
    assert place_of(url) == said


@pytest.mark.parametrize(
    ("proxy", "place", "step"),
    [
        ("http://me:planted@proxy.invalid:3128", "proxy.invalid:3128", "DNS"),
        ("http://me:planted@127.0.0.1:{port}", "127.0.0.1:{port}", "TCP"),
    ],
)
def test_a_proxy_that_cannot_be_reached_is_blamed(
    proxy: str, place: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its failure names the proxy and its variable, and never the target's region; the
    password stays hidden.
    """
    port = str(free_port())
    for name in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace("{port}", port))
    failed = asyncio.run(way_to("https://ecs.eu-west-101.myhuaweicloud.com", 5)).failed
    assert failed is not None
    assert failed.name == step
    assert failed.said.startswith(
        f"the proxy {place.replace('{port}', port)} (HTTPS_PROXY) cannot be reached: "
    )
    assert "NO_PROXY" in str(failed.hint)
    assert "region" not in str(failed.hint)
    assert "planted" not in f"{failed}"
