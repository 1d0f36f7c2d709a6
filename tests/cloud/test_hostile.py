"""Endpoints that mean harm, on real sockets: a clear error, after few bytes, in little
memory, without secrets.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.cloud.huawei import decode
from runner.cloud.huawei.auth.logins import KeyLogin
from runner.cloud.huawei.bodies import read_error
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.cloud.huawei.reader import Patience
from runner.errors import CloudError
from runner.inputs.json_text import parse_json
from runner.model.job import Ambiguous, RebootAnswer
from runner.net.secret import Secret
from runner.net.transport import ExchangeLimits
from runner.net.wire import Reply
from tests.cloud.wild import Connection, Script, Wild, fixture, raw, reply, run, wild

PROJECT = "05041fffa40025702f6dc009cc6f8f33"
LOGIN = KeyLogin(Secret("planted-access"), Secret("planted-secret"), Secret("planted-sts"), PROJECT)
ONCE = Patience(attempts=1)
MOST = 200_000
QUICK = ExchangeLimits(connect_s=0.5, read_s=0.5, total_s=1.0, max_bytes=MOST)
SERVER = "616fb98f-46ca-475e-917e-2563e5a8cd19"
MEBIBYTE = 1024 * 1024

Call = Callable[[HuaweiCloud], Awaitable[object]]
CALLS: dict[str, Call] = {
    "inventory": lambda cloud: cloud.inventory(),
    "servers": lambda cloud: cloud.read_servers([SERVER]),
    "job": lambda cloud: cloud.job("ff80808288d41e1b018990260955686a"),
    "actions": lambda cloud: cloud.reboot_history(SERVER),
    "alarms": lambda cloud: cloud.alarming([SERVER]),
}


@asynccontextmanager
async def client(server: Wild) -> AsyncIterator[HuaweiCloud]:
    target = settings_for(
        cloud="simulator", region="eu-de", project_id=PROJECT, ecs=server.url, environ={}
    )
    async with HuaweiCloud.open(target, LOGIN, limits=QUICK, patience=ONCE) as cloud:
        yield cloud


def failing(call: str, *scripts: Script) -> tuple[CloudError, Wild, int]:
    """The error of a call to a server with these scripts, the server, and the most memory
    that it took.
    """

    async def main() -> tuple[CloudError, Wild, int]:
        async with wild(*scripts) as server, client(server) as cloud:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                await CALLS[call](cloud)
            except CloudError as error:
                return error, server, tracemalloc.get_traced_memory()[1] - before
        raise AssertionError("that was an answer")

    tracemalloc.start()
    try:
        return run(main())
    finally:
        tracemalloc.stop()


class Flood:
    """An answer that goes on until the client is gone. `sent`: the bytes that went out."""

    def __init__(self, head: bytes, piece: bytes, pause_s: float = 0.0) -> None:
        self.head, self.piece, self.pause_s = head, piece, pause_s
        self.sent = 0

    async def __call__(self, connection: Connection) -> None:
        await connection.send(self.head)
        while self.sent < 500 * MEBIBYTE:
            await connection.send(self.piece)
            self.sent += len(self.piece)
            await asyncio.sleep(self.pause_s)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
FLOODS: dict[str, Callable[[], Flood]] = {
    "a body without end": lambda: Flood(HEAD + b"\r\n", b'{"servers": [' * 5000),
    "chunks without end": lambda: Flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),
    "hundreds of megabytes are announced": lambda: Flood(
        HEAD + b"Content-Length: 500000000\r\n\r\n", b"[" * 65536
    ),
    "headers without end": lambda: Flood(
        b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 4000 + b"\r\n"
    ),
    "one header without end": lambda: Flood(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 65536),
    "a status line without end": lambda: Flood(b"HTTP/1.1 200 ", b"O" * 65536),
    "informational answers without end": lambda: Flood(
        b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0.001
    ),
    "drips": lambda: Flood(HEAD + b"\r\n", b" ", 0.01),
    "drips of a header": lambda: Flood(b"HTTP/1.1 200 OK\r\nX-More: ", b"x", 0.01),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_answers_without_end(flood: Callable[[], Flood]) -> None:
    """They are given up after few bytes and in little memory; the sentence names the host."""
    script = flood()
    error, server, memory = failing("inventory", script)
    assert server.url.removeprefix("http://") in error.message
    assert script.sent < 8 * MEBIBYTE  # the kernel's buffers included
    assert memory < 16 * MEBIBYTE


BOMB = gzip.compress(b" " * 100 * MEBIBYTE, 1)
ANSWERS: dict[str, Script] = {
    "a bomb": reply(200, BOMB, {"Content-Encoding": "gzip"}),
    "a bomb in a bomb": reply(200, gzip.compress(BOMB), {"Content-Encoding": "gzip, gzip"}),
    "other packing": reply(200, b"{}", {"Content-Encoding": "zstd"}),
    "deep nesting": reply(200, b"[" * 90_000 + b"]" * 90_000),
    "deep objects": reply(200, b'{"servers":' * 9_000),
    "HTML": reply(200, b"<html><title>Maintenance</title></html>", {"Content-Type": "text/html"}),
    "an image": reply(200, b"\x89PNG\r\n\x1a\n" + b"\x00" * 500, {"Content-Type": "image/png"}),
    "JSON of another kind": reply(200, b"[1, 2, 3]"),
    "a bare text": reply(200, b'"servers"'),
    "another encoding": reply(200, '{"servers": []}'.encode("utf-16-le") + b"\xff"),
    "numbers without end": reply(200, b'{"servers": ' + b"9" * 100_000 + b"}"),
    "nothing": reply(200, b""),
    "two answers": raw(
        HEAD + b"Content-Length: 5\r\n\r\nhello" + HEAD + b"Content-Length: 2\r\n\r\n{}"
    ),
    "two lengths": raw(HEAD + b'Content-Length: 2\r\nContent-Length: 14\r\n\r\n{"servers":[]}'),
    "a negative length": raw(HEAD + b"Content-Length: -1\r\n\r\n{}"),
    "HTTP/1.0 garbage": raw(b"HTTP/1.0 OK 200\r\n\r\n<?"),
    "HTTP/1.0 without headers": raw(b"HTTP/1.0 200 OK\r\n\r\nhello"),
    "HTTP/0.9": raw(b'{"count":0,"servers":[]}'),
    "another protocol": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "early close": raw(HEAD + b"Content-Length: 500\r\n\r\n{"),
    "close": raw(),
    "a redirect without a place": reply(302, b""),
    "a switch of protocols": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_that_are_none(call: str, script: Script) -> None:
    """Whatever comes instead of an answer is an error of ours, in little memory, for every call."""
    error, _, memory = failing(call, script)
    assert type(error).__module__.startswith("runner.")
    assert error.message.isprintable()
    assert len(error.message) < 1000
    assert "planted" not in f"{error!r}{vars(error)}{error.__context__!r}"
    assert memory < 16 * MEBIBYTE


def test_too_many_values() -> None:
    """JSON that is small as a text and huge in memory is refused before it is read."""
    body = b"[" + b"{}," * 2_000_000 + b"{}]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="too many"):
            parse_json(body)
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()


def test_too_many_values_are_told_as_that() -> None:
    """Not as something that is no JSON, which would send people looking for a proxy."""
    body = b"[" + b"1," * 2_000_000 + b"1]"
    error = read_error(Reply(200, {}, body))
    assert not error.is_json
    assert error.answered.startswith("JSON with too many values (about ")
    assert error.answered.endswith(" MB in memory, at most 90)")
    assert read_error(Reply(200, {}, b"<html>")).answered == "something that is not JSON"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_lead_nowhere(status: int) -> None:
    """The other host sees nothing: neither a request nor credentials, of a read or of
    the reboot.
    """

    async def main() -> tuple[CloudError | None, RebootAnswer, Wild]:
        async with wild(reply()) as other:
            away = reply(status, b"", {"Location": f"{other.url}/v1/x", "Set-Cookie": "a=b"})
            async with wild(away) as server, client(server) as cloud:
                error = None
                try:
                    await cloud.inventory()
                except CloudError as caught:
                    error = caught
                answer = await cloud.reboot([SERVER], "SOFT", datetime.now(UTC))
                return error, answer, other

    error, answer, other = run(main())
    assert "redirects, which is not followed" in str(error)
    assert isinstance(answer, Ambiguous)
    assert (other.connections, other.seen) == (0, [])


NASTY = "a\x00b\x1b[2Jc\r\nd\u202ee\x9bf\ud800g::error::<b>"


@pytest.mark.parametrize(
    "code", ["Ecs.0005", "\x1b[31m", "x" * 5000, ["Ecs.0005"], {"a": 1}, 5, None]
)
def test_messages_with_control_characters(code: Any) -> None:
    """A message is one line of bounded length without control characters, whatever the
    cloud says.
    """
    body = json.dumps({"error": {"code": code, "message": NASTY * 500}}).encode()
    error, _, _ = failing("inventory", reply(400, body))
    assert not any(
        ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in error.message
    )
    assert len(error.message) < 1000
    error.message.encode()


# Wrong types in every field

SERVER_JSON = json.loads(fixture("servers-detail-states.json"))["servers"][0]
JOB_JSON = json.loads(fixture("job-partial-fail.json"))
GROUP_JSON = json.loads(fixture("server-groups.json"))["server_groups"][1]
ACTION_JSON = {
    "action": "reboot",
    "start_time": "2026-01-01T00:00:00.000000",
    "message": None,
    "request_id": "r",
}
DECODERS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "server": (SERVER_JSON, decode.server),
    "ghost": (SERVER_JSON, decode.ghost),
    "group": (GROUP_JSON, decode.server_group),
    "job": (JOB_JSON, lambda value: decode.job(value, "j")),
    "actions": ({"instanceActions": [ACTION_JSON]}, decode.reboot_history),
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value within a document."""
    found = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


PLACES = [(name, path) for name, (example, _) in DECODERS.items() for path in places(example)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), ANYTHING)
def test_any_value_in_any_field(place: tuple[str, tuple[Any, ...]], value: Any) -> None:
    """A decoder takes any JSON in any field of its documented example: it reads it, or says
    that it cannot.
    """
    name, path = place
    example, decoder = DECODERS[name]
    changed: Any = [copy.deepcopy(example)]
    at: Any = changed
    for step in (0, *path)[:-1]:
        at = at[step]
    at[(0, *path)[-1]] = value
    try:
        repr(decoder(changed[0]))
    except ValueError:
        assert name in ("actions", "group")
