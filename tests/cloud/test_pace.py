"""How a client keeps to what the cloud allows: limits that answers name, for all requests
of the process.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.throttle import RequestPace, allowed, pace_of
from runner.errors import CloudError
from runner.execution.effects import Tuning
from runner.model.job import Allowed
from runner.simulator.events import Called
from tests.cloud.wild import fixture, run
from tests.runs.harness import Field, options_of, plan_of, simulated

GATEWAY = (
    "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:5 minute"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GATEWAY, Allowed(200, 300.0)),
        (fixture("error-apigw-429.json").decode(), Allowed(60, 60.0)),
        ("policy ip over ratelimit,limit:5,time:1 second", Allowed(5, 1.0)),
        ("Limit: 5 , time: 30 SECOND", Allowed(5, 30.0)),
        ("limit:100,time:1 hour", None),
        ("limit:0,time:1 minute", None),
        ("limit:5,time:0 minute", None),
        ("limit:999999,time:1 minute", None),
        ("limit:-5,time:1 minute", None),
        ("limit:5000000000000,time:1 minute", None),
        ("Flow limit exceeded.", None),
        ("", None),
    ],
)
def test_limits_in_texts(text: str, found: Allowed | None) -> None:
    """What the gateway says is read; what cannot be kept, or would stop everything, is not."""
    assert allowed(text) == found


LIMIT = json.dumps(
    {"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:1000,time:1 minute"}
)


class Traffic:
    """Requests by a pace in virtual time, many at once."""

    def __init__(self, scale: float = 1.0) -> None:
        self.now = 1000.0
        self.sent: list[float] = []
        self.pace = RequestPace(self._sleep, lambda: self.now, scale)

    async def _sleep(self, seconds: float) -> None:
        self.slept = seconds

    def read(self) -> None:
        """One read: sent when its wait is over, whenever others are."""
        self.slept = 0.0
        run(self.pace.wait("https://ecs"))
        self.sent.append(self.now + self.slept)

    def reboot(self) -> None:
        left = self.pace.left_s("https://ecs")
        self.pace.count("https://ecs") if left == 0 else None
        if left == 0:
            self.sent.append(self.now)

    def most_within(self, window_s: float) -> int:
        return max(sum(1 for at in self.sent if end - window_s < at <= end) for end in self.sent)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.sampled_from([1.0, 10.0, 60.0]),
    st.lists(st.tuples(st.sampled_from("rRb"), st.floats(0, 15)), min_size=1, max_size=40),
)
def test_never_more_than_was_named(
    requests: int, window_s: float, course: list[tuple[str, float]]
) -> None:
    """Whatever is asked when, no window ever holds more than the cloud said; other hosts
    are not counted.
    """
    traffic = Traffic()
    traffic.pace.slow_down(0.0, Allowed(requests, window_s), "https://ecs")
    for what, pause in course:
        traffic.now += pause
        if what == "b":
            traffic.reboot()
        else:
            traffic.read()
    if traffic.sent:
        assert traffic.most_within(window_s) <= requests
    assert traffic.pace.left_s("https://elsewhere") == 0.0


def test_what_was_sent_before_counts() -> None:
    """Requests from before the limit was known count as well."""
    traffic = Traffic()
    for _ in range(5):
        traffic.read()
    traffic.pace.slow_down(0.0, Allowed(5, 60.0), "https://ecs")
    traffic.read()
    assert traffic.sent[-1] - traffic.sent[0] > 60.0


def test_seconds_of_the_cloud() -> None:
    """Where the cloud's time runs faster, its limits and hints are shorter by as much."""
    traffic = Traffic(scale=60.0)
    traffic.pace.slow_down(30.0, Allowed(1, 60.0), "https://ecs")
    assert traffic.pace.left_s() == pytest.approx(0.5)
    traffic.now += 1
    for _ in range(3):
        traffic.read()
    assert 1.0 < traffic.sent[1] - traffic.sent[0] < 1.1


def _most(calls: list[Called], window_ms: int = 60_000) -> int:
    return max(sum(1 for c in calls if end.at - window_ms < c.at <= end.at) for end in calls)


@pytest.mark.parametrize("calls", [6, 20])
def test_a_limit_of_the_gateway_is_learned_by_a_run(calls: int) -> None:
    """A run against a gateway with a limit of calls gets few refusals, keeps to it, and
    reboots each server once.
    """

    async def scene() -> Field:
        limits = {"calls": calls, "calls_within": "60s"}
        async with simulated(
            options_of(12, switches=limits), tuning=Tuning(poll_every_s=2.0)
        ) as place:
            done = await place.run(plan_of("4"))
            assert done.word == "done"
            assert set(place.state.reboot_counts().values()) == {1}
            return place

    place = run(scene())
    taken = [c for c in place.calls() if c.status == 200]
    refused = [c for c in place.calls() if c.status == 429]
    assert _most(taken) <= calls
    assert 1 <= len(refused) <= 3


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        ("job", {"status": 429}),
        ("job", {"status": 202}),
        ("list", {"status": 503}),
        ("list", {"status": 429, "code": "APIGW.0308"}),
    ],
)
def test_a_throttled_read_holds_reboots_too(call: str, rule: dict[str, object]) -> None:
    """While the cloud has said "too many" to any read, no reboot is sent."""

    async def scene() -> None:
        async with simulated(options_of(4)) as place:
            assert place.cloud.held_s() == 0
            place.add_rules({"do": "throttle", "on": call, **rule})
            task = asyncio.create_task(_read(place, call))
            held = 0.0
            while not task.done():
                held = max(held, place.cloud.held_s())
                await asyncio.sleep(0)
            await task
            assert held > 0

    run(scene())


async def _read(place: Field, call: str) -> None:
    await (
        place.cloud.inventory()
        if call == "list"
        else place.cloud.job("ff80808288d41e1b018990260955686a")
    )


def test_a_named_limit_that_others_use_up_is_no_time_to_wait() -> None:
    """With 11 of 1,000 allowed requests made by us, throttled answers cost 1, 2, 4 … s, and
    the count is ours.
    """
    traffic = Traffic()
    told: list[str] = []
    traffic.pace.tell = told.append
    for _ in range(11):
        traffic.read()
    waits = []
    for _ in range(4):
        traffic.pace.slow_down(None, Allowed(1000, 60.0), "https://ecs")
        waits.append(traffic.pace.left_s("https://ecs"))
        traffic.now += waits[-1]
    assert waits == [1, 2, 4, 8]
    traffic.pace.slow_down(None, Allowed(1000, 60.0), "https://ecs")
    traffic.read()
    assert told[0].startswith(
        "ecs throttles us (its limit is 1,000 requests in 60 s, this process made 11): waiting"
    )


def test_answers_during_a_wait_do_not_lengthen_it() -> None:
    """Four pages that are throttled at once cost one wait, not 1, 2, 4 and 8 s."""
    traffic = Traffic()
    for _ in range(4):
        traffic.pace.slow_down(None, None, "https://ecs")
    assert traffic.pace.left_s() == 1
    traffic.pace.slow_down(7.0, None, "https://ecs")
    assert traffic.pace.left_s() == 7


@pytest.mark.parametrize("on", ["job", "list", "reboot"])
def test_one_throttled_answer_is_cheap(on: str) -> None:
    """One 429 that names 1,000 requests a minute, after a few requests of ours, delays a
    run by 5 s at most.
    """

    async def scene(throttled: bool) -> float:
        async with simulated(options_of(6), tuning=Tuning(poll_every_s=2.0)) as place:
            if throttled:
                place.add_rules(
                    {
                        "do": "error",
                        "on": on,
                        "status": 429,
                        "body": "raw",
                        "message": LIMIT,
                        "after": 1,
                    }
                )
            began = place.clock.now()
            assert (await place.run(plan_of("2"))).word == "done"
            assert any(c.status == 429 for c in place.calls()) is throttled
            return (place.clock.now() - began).total_seconds()

    assert run(scene(True)) - run(scene(False)) <= 5.0


def test_one_pace_a_process() -> None:
    """A target that is opened again goes on with what was learned of it; another one does
    not know it.
    """
    first = pace_of("https://ecs.example.com a", 1.0)
    first.slow_down(20.0, Allowed(1, 60.0), "https://ecs.example.com")
    assert pace_of("https://ecs.example.com a", 1.0).left_s() > 10
    assert pace_of("https://ecs.example.com b", 1.0).left_s() == 0


def test_a_long_wait_is_told_or_refused() -> None:
    """Who waits for the end of a window is told why and how long; who wants an answer soon
    gets an error.
    """
    told: list[str] = []

    async def scene(most_s: float | None) -> list[float]:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        pace = RequestPace(sleep, lambda: 0.0, most_s=most_s)
        pace.tell = told.append
        place = "https://ecs.example.com"
        await pace.wait(place)
        pace.slow_down(None, Allowed(1, 240.0), place)
        await pace.wait(place)
        return slept

    (slept,) = run(scene(None))
    assert slept > 240
    assert told == [
        "ecs.example.com allows 1 request in 240 s, and this process has made it: waiting for 245 s"
    ]
    with pytest.raises(CloudError, match=r"has made it, and there is no room for 245 s"):
        run(scene(2.0))
