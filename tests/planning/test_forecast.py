"""When waves are expected to begin and end."""

from __future__ import annotations

from typing import Any

from runner.planning.forecast import Forecast, forecast
from tests.planning.build import NOW, group, inventory, plan, schedule, server, sid


def times(made: Forecast) -> list[tuple[float, float]]:
    return [(w.start_s, w.end_s) for w in made.waves]


def foretold(count: int, *groups: dict[str, Any], **options: Any) -> Forecast:
    return forecast(
        schedule(plan(*groups), inventory([server(n) for n in range(count)])), **options
    )


def test_pauses_between_waves() -> None:
    """Each wave lasts a reboot and what it must stay ready; a pause follows all but the last."""
    made = foretold(3, group(pause=("5m",), ready={"stable_for": "30s"}), reboot_s=40.0)
    assert times(made) == [(0, 70), (370, 440), (740, 810)]
    assert (made.total_s, made.approvals) == (810, 0)


def test_bake_first_then_pause() -> None:
    """The bake ends a group, the pause follows it, and the last group's bake is waited for too."""
    one = group("one", {"ids": (sid(0),)}, bake="10m", pause=("1m",))
    two = group("two", {"ids": (sid(1),)}, bake="20m", pause=("1m",))
    made = foretold(2, one, two, reboot_s=60.0)
    assert times(made) == [(0, 60), (720, 780)]
    assert made.total_s == 780 + 1200


def test_approvals_are_counted() -> None:
    """An approval takes no time in the forecast and is counted, the one that would follow
    the last wave is not.
    """
    made = foretold(3, group(pause=("approval",)), reboot_s=60.0)
    assert times(made) == [(0, 60), (60, 120), (120, 180)]
    assert made.approvals == 2


def test_large_waves_are_sent_minute_by_minute() -> None:
    """No more servers are asked for in any minute than the quota allows, over all waves
    together.
    """
    made = foretold(25, group(waves=("100%",)), reboot_s=60.0, servers_per_minute=10)
    assert times(made) == [(0, 180)]
    made = foretold(25, group(waves=(15, 10)), reboot_s=30.0, servers_per_minute=10)
    assert times(made) == [(0, 90), (90, 150)]


def test_nothing_to_do() -> None:
    """Without waves there is nothing to wait for."""
    made = forecast(schedule(plan(), inventory([server(1, state="stopped")])))
    assert (times(made), made.total_s) == ([], 0)


def test_waves_wait_for_windows() -> None:
    """A window of ten minutes a day takes one wave of each day, after its pause."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    nights = [{"days": days, "start": "22:00", "length": "10m", "timezone": "UTC"}]
    made = schedule(
        plan(group(pause=("30m",)), windows=nights), inventory([server(n) for n in range(3)])
    )
    foreseen = forecast(made, reboot_s=60.0, begins=NOW)
    assert [w.start_s for w in foreseen.waves] == [3600, 3600 + 86400, 3600 + 2 * 86400]
    assert foreseen.total_s == 3600 + 2 * 86400 + 60
    assert [w.start_s for w in forecast(made, reboot_s=60.0).waves] == [0, 1860, 3720]
