"""Gates asked of real servers on loopback that are well, slow, lying or dead: every end is
one of three answers.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.checks.gatekeeper import MOST_BYTES, GateSource, NetGatekeeper
from runner.checks.prometheus import Grid, judge
from runner.model.gate import Gate, GateAnswer, GateState, verdict
from runner.net.secret import Secret
from tests.cloud.wild import Connection, Script, Wild, free_port, hang, raw, reply, reset, run, wild

NOW = datetime(2026, 11, 3, 22, 0, 7, tzinfo=UTC)
LONGEST_S = 0.3
UP = Gate("prometheus", source="main", query="up", min=1)
LASTING = Gate("prometheus", source="main", query="errors", max=5, for_s=120.0)
HOOK = Gate("http", source="hook", path="/may?a=1", status=(200,), body="yes")


def ask(script: Script, gate: Gate, token: str = "", prefix: str = "") -> tuple[GateAnswer, Wild]:
    """What a gate answers whose source is a server with this script, and the server."""

    async def main() -> tuple[GateAnswer, Wild]:
        async with wild(script) as server:
            kind = "http" if gate.kind == "http" else "prometheus"
            secret = Secret(token) if token else None
            source = GateSource(kind, server.url + prefix, secret)  # type: ignore[arg-type]  # one of two words
            keeper = NetGatekeeper({gate.source: source}, wall=lambda: NOW, longest_s=LONGEST_S)
            return await keeper.ask(gate, {}), server

    return run(main())


def sample(value: str, at: float = NOW.timestamp(), **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [at, value]}


def vector(*samples: object, **more: object) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": list(samples)}, **more}


def matrix(*series: list[list[Any]]) -> dict[str, Any]:
    result = [{"metric": {"n": str(n)}, "values": values} for n, values in enumerate(series)]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def over_two_minutes(**changed: str) -> list[list[Any]]:
    """A series that is 1 at each of the nine moments; `changed`: other values, or `-` for a
    gap, by `_number`.
    """
    grid = Grid.covering(120, NOW)
    values = {n: changed.get(f"_{n}", "1") for n in range(grid.points)}
    return [[grid.first + n * grid.step_s, v] for n, v in values.items() if v != "-"]


INSTANT: list[tuple[str, object, str, str]] = [
    ("one sample", vector(sample("1")), "open", ""),
    ("all samples hold", vector(sample("1", n="a"), sample("3", n="b")), "open", ""),
    (
        "a scalar",
        {"status": "success", "data": {"resultType": "scalar", "result": [NOW.timestamp(), "2"]}},
        "open",
        "",
    ),
    (
        "hints",
        vector(sample("1"), warnings=["PromQL info: metric might not be a counter"]),
        "open",
        "",
    ),
    ("infos", vector(sample("1"), infos=["metric might not be a counter"]), "open", ""),
    (
        "too low",
        vector(sample("0", __name__="up", n="a")),
        "closed",
        'up{n="a"} is 0, at least 1 is wanted',
    ),
    ("one of two", vector(sample("1"), sample("0.5", n="b")), "closed", '{n="b"} is 0.5'),
    ("closed beside NaN", vector(sample("NaN"), sample("0")), "closed", "is 0"),
    ("nothing", vector(), "cannot_tell", "no sample at all"),
    ("NaN", vector(sample("NaN")), "cannot_tell", "is nan, which is no number"),
    ("+Inf", vector(sample("+Inf")), "cannot_tell", "is inf, which is no number"),
    (
        "a sample of an hour ago",
        vector(sample("1", NOW.timestamp() - 3600)),
        "cannot_tell",
        "3600 s away",
    ),
    (
        "a sample of the future",
        vector(sample("1", NOW.timestamp() + 600)),
        "cannot_tell",
        "600 s away",
    ),
    (
        "warnings",
        vector(sample("1"), warnings=["no answer of store 2"]),
        "cannot_tell",
        "no answer of store 2",
    ),
    ("warnings as text", vector(sample("1"), warnings="partial"), "cannot_tell", "partial"),
    ("a matrix", matrix([[NOW.timestamp(), "1"]]), "cannot_tell", "gives a matrix"),
    (
        "a string",
        {"status": "success", "data": {"resultType": "string", "result": [1, "1"]}},
        "cannot_tell",
        "string",
    ),
    ("a histogram", vector({"metric": {}, "histogram": [1, {}]}), "cannot_tell", "histogram"),
    (
        "an error",
        {"status": "error", "errorType": "bad_data", "error": "parse error"},
        "cannot_tell",
        "bad_data: parse",
    ),
    ("no such time", vector(sample("1", 10**400)), "cannot_tell", "none of Prometheus"),
    (
        "a number as number",
        vector({"metric": {}, "value": [1, 1]}),
        "cannot_tell",
        "none of Prometheus",
    ),
    (
        "a boolean time",
        vector({"metric": {}, "value": [True, "1"]}),
        "cannot_tell",
        "none of Prometheus",
    ),
    (
        "no list",
        {"status": "success", "data": {"resultType": "vector", "result": None}},
        "cannot_tell",
        "none of",
    ),
    ("another program", {"ok": True}, "cannot_tell", "none of Prometheus"),
    ("a list", [1], "cannot_tell", "none of Prometheus"),
    (
        "too many",
        vector(*[sample("1", n=str(n)) for n in range(10_001)]),
        "cannot_tell",
        "10,001 series",
    ),
]


@pytest.mark.parametrize(
    ("body", "state", "said"), [pytest.param(*row[1:], id=row[0]) for row in INSTANT]
)
def test_answers_of_prometheus(body: object, state: str, said: str) -> None:
    """Each shape of answer has one meaning; only numbers that all hold, of now, from a
    whole answer, open.
    """
    answer = judge(body, UP, NOW, None)
    assert answer.state == state
    assert said in answer.reason


RANGES: list[tuple[str, list[list[Any]], str, str]] = [
    ("all the time", over_two_minutes(), "open", ""),
    ("over once", over_two_minutes(_3="7"), "closed", "is 7 at 21:58:45 UTC, at most 5 is wanted"),
    ("over at first", over_two_minutes(_0="7"), "closed", "is 7"),
    ("over now", over_two_minutes(_8="7"), "closed", "is 7 at 22:00:00"),
    (
        "a gap",
        over_two_minutes(_4="-"),
        "cannot_tell",
        "has gaps: 8 of 9 samples in the last 120 s",
    ),
    ("young", over_two_minutes(_0="-", _1="-"), "cannot_tell", "7 of 9"),
    ("gone", over_two_minutes(_8="-"), "cannot_tell", "8 of 9"),
    ("over, with a gap", over_two_minutes(_2="-", _5="9"), "closed", "is 9"),
    ("NaN", over_two_minutes(_4="NaN"), "cannot_tell", "no number"),
]


@pytest.mark.parametrize(
    ("series", "state", "said"), [pytest.param(*row[1:], id=row[0]) for row in RANGES]
)
def test_for_means_the_whole_time(series: list[list[Any]], state: str, said: str) -> None:
    """With `for` every moment of the time before must hold, for each series; gaps leave
    it untold.
    """
    grid = Grid.covering(120, NOW)
    answer = judge(matrix(over_two_minutes(), series), LASTING, NOW, grid)
    assert answer.state == state
    assert said in answer.reason


def test_samples_out_of_order_or_off_the_grid_prove_nothing() -> None:
    """Repeated, unsorted and foreign moments do not stand for missing ones."""
    grid, good = Grid.covering(120, NOW), over_two_minutes()
    for series in (good[::-1], good[:-1] + good[-2:-1], [[at - 3600, v] for at, v in good], []):
        assert judge(matrix(series), LASTING, NOW, grid).state == "cannot_tell"


@given(st.floats(0.25, 86_400), st.floats(1.6e9, 2.2e9))
@settings(max_examples=200, deadline=None)
def test_a_grid_covers_the_whole_time(for_s: float, at: float) -> None:
    """From its first to its last moment lie at least `for` seconds; the last is at most a step
    old; it is no list of more than 11,000 moments, the most that Prometheus answers.
    """
    now = datetime.fromtimestamp(at, UTC)
    grid = Grid.covering(for_s, now)
    assert grid.last - grid.first >= for_s
    assert 0 <= now.timestamp() - grid.last < grid.step_s + 1e-3
    assert grid.first % grid.step_s == 0
    assert grid.points <= 11_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda s: st.lists(s, max_size=4),
    )
)
@settings(max_examples=40, deadline=None)
def test_no_answer_makes_it_fall(junk: object) -> None:
    """Whatever stands in place of a result, a sample or the labels: cannot tell, never an
    error, never open.
    """
    bodies = (
        junk,
        vector(junk),
        vector({"metric": junk, "value": junk}),
        vector({"metric": {"a": junk}, "value": junk}),
    )
    for body in bodies:
        assert judge(body, UP, NOW, None).state == "cannot_tell"


def test_what_is_sent() -> None:
    """One GET below the source's path, with its token, the query as it is written, and a
    time-out of its own.
    """
    answer, server = ask(reply(body=vector(sample("1"))), UP, "s3cret", "/prom")
    (seen,) = server.seen
    assert (answer.state, answer.value) == ("open", "1")
    assert seen.target == "/prom/api/v1/query?query=up&timeout=1s"
    assert seen.headers["authorization"] == "Bearer s3cret"
    _, server = ask(reply(body=matrix(over_two_minutes())), LASTING)
    grid = Grid.covering(120, NOW)
    wanted = (
        f"/api/v1/query_range?end={grid.last}&query=errors&start={grid.first}&step=15&timeout=1s"
    )
    assert server.seen[0].target == wanted
    assert "authorization" not in server.seen[0].headers


async def endless(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        await connection.send(b" " * 65536)


async def drips(connection: Connection) -> None:
    await connection.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    while True:
        await connection.send(b" ")
        await asyncio.sleep(0.02)


GOOD = vector(sample("1"))
TROUBLES: list[tuple[str, Script, str]] = [
    ("hangs", hang(), "within 0.3 s"),
    ("drips", drips, "no complete answer within 0.3 s"),
    ("endless", endless, "larger than 4,194,304 bytes|within 0.3 s"),
    ("resets", reset(), "connection broke"),
    ("no HTTP", raw(b"SSH-2.0-x\r\n"), "not HTTP"),
    (
        "redirects",
        reply(302, GOOD, {"Location": "http://127.0.0.1:1/"}),
        "answered 302 (redirects are not followed)",
    ),
    ("wants a login", reply(401, "who are you"), "answered 401"),
    (
        "is refused",
        reply(403, {"status": "error", "errorType": "f", "error": "no"}),
        "answered 403: f: no",
    ),
    ("fails", reply(503, "busy"), "answered 503"),
    ("200 in name", reply(204, GOOD), "answered 204|connection broke|none of"),
    ("HTML", reply(200, "<html>", {"Content-Type": "text/html"}), "not JSON"),
    ("JSON as text", reply(200, GOOD, {"Content-Type": "text/plain"}), "not JSON"),
    ("cut off", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), "broke"),
    ("nested", reply(200, "[" * 100_000), "nested deeper than 64 levels"),
    (
        "of yesterday",
        reply(200, GOOD, {"Date": format_datetime(NOW - timedelta(days=1))}),
        "86400 s away",
    ),
]


@pytest.mark.parametrize(
    ("script", "said"), [pytest.param(*row[1:], id=row[0]) for row in TROUBLES]
)
def test_a_source_that_fails_cannot_tell(script: Script, said: str) -> None:
    """Slow, dripping, huge, broken, foreign and refusing sources: cannot tell, with the
    reason, in bounded time.
    """
    began = time.monotonic()
    answer, server = ask(script, UP, "s3cret")
    assert time.monotonic() - began < 2
    assert answer.state == "cannot_tell"
    assert any(part in answer.reason for part in said.split("|")), answer.reason
    assert len(server.seen) <= 1


def test_a_dead_source_and_one_that_is_not_configured_cannot_tell() -> None:
    """A closed port, an unknown source, one of another kind, a token that is not there:
    each says so.
    """

    async def main() -> list[GateAnswer]:
        dead = GateSource("prometheus", f"http://127.0.0.1:{free_port()}")
        lacking = GateSource(
            "prometheus", "http://127.0.0.1:1", lacks="the environment variable T is not set"
        )
        keepers: tuple[dict[str, GateSource], ...] = (
            {"main": dead},
            {},
            {"main": GateSource("http", dead.url)},
            {"main": lacking},
        )
        return [
            await NetGatekeeper(sources, longest_s=LONGEST_S).ask(UP, {}) for sources in keepers
        ]

    answers = run(main())
    assert {a.state for a in answers} == {GateState.CANNOT_TELL}
    said = (
        "cannot connect",
        "has no prometheus source main",
        "has no prometheus source main",
        "T is not set",
    )
    assert all(words in a.reason for words, a in zip(said, answers, strict=True))


def test_foreign_text_is_short_and_holds_no_token() -> None:
    """Labels and errors of a source are cut, lose their control characters, and never give
    its token back.
    """
    for body in (
        vector(sample("0", x="\x1b[2J\n::error::" + "y" * 5000, token="s3cret")),
        {"status": "error", "errorType": "s3cret", "error": "a\r\nb " * 500},
    ):
        answer, _ = ask(reply(body=body), UP, "s3cret")
        assert answer.state != "open"
        assert len(answer.reason) <= 300
        assert answer.reason.isprintable()
        assert "s3cret" not in answer.reason


HOOKS: list[tuple[str, Script, str, str]] = [
    ("yes", reply(200, "yes, go on"), "open", ""),
    ("another text", reply(200, "no"), "closed", "without the text 'yes'"),
    ("another status", reply(409, "yes"), "closed", "answered 409, 200 is wanted"),
    ("no such path", reply(404, "yes"), "closed", "answered 404"),
    (
        "redirects",
        reply(302, "yes", {"Location": "/other"}),
        "cannot_tell",
        "302 (redirects are not followed)",
    ),
    ("fails", reply(500, "yes"), "cannot_tell", "answered 500"),
    ("wants a login", reply(401, "yes"), "cannot_tell", "answered 401"),
    ("is busy", reply(429, "yes"), "cannot_tell", "answered 429"),
    ("huge", reply(200, b"yes" * MOST_BYTES), "cannot_tell", "larger than 65,536"),
    ("hangs", hang(), "cannot_tell", "within 0.3 s"),
    ("resets", reset(), "cannot_tell", "broke"),
]


@pytest.mark.parametrize(
    ("script", "state", "said"), [pytest.param(*row[1:], id=row[0]) for row in HOOKS]
)
def test_http(script: Script, state: str, said: str) -> None:
    """A hook says yes by status and text, no by others; what fails in between cannot tell."""
    answer, server = ask(script, HOOK, "s3cret", "/base")
    assert answer.state == state
    assert said in answer.reason
    if server.seen:
        assert server.seen[0].target == "/base/may?a=1"
        assert server.seen[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("states", "dry", "is_open"),
    [
        (["open", "open"], [], True),
        (["open", "closed"], [], False),
        (["open", "cannot_tell"], [], False),
        (["open", "closed"], [1], True),
        (["closed", "cannot_tell"], [0, 1], True),
        ([], [], True),
    ],
)
def test_verdict(states: list[str], dry: list[int], is_open: bool) -> None:
    """All that decide must be open; a dry run decides nothing."""
    gates = [Gate("alarms", dry_run=n in dry) for n in range(len(states))]
    found = verdict(gates, [GateAnswer(GateState(s)) for s in states])
    assert (found is GateState.OPEN) == is_open
