"""Reads: when they are repeated, how they wait, and what their errors say."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina

from runner.cloud.huawei.auth.credentials import AkSk, Credentials, StaticToken
from runner.cloud.huawei.reader import Patience, Reader
from runner.cloud.huawei.throttle import RequestPace
from runner.errors import CloudDenied, CloudError, OtherProject
from runner.net.secret import Secret
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, Unreachable
from tests.cloud.wild import (
    FIXTURES,
    Script,
    Wild,
    fixture,
    free_port,
    hang,
    raw,
    reply,
    reset,
    run,
    wild,
)

GOOD = reply(200, '{"ok": 1}')
KEY = AkSk(Secret("planted-access"), Secret("planted-secret"), Secret("planted-sts"))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
QUICK = ExchangeLimits(connect_s=0.5, read_s=0.3, total_s=0.6, max_bytes=2_000_000)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """The library's own waits are left out; attempts are counted as in earnest."""
    with stamina.set_testing(True, attempts=6):
        yield


class Read:
    """One read against a scripted server: what came of it, what the server saw, how long
    was waited.
    """

    def __init__(
        self, *scripts: Script, credentials: Credentials | None = KEY, attempts: int = 6
    ) -> None:
        self.waits: list[float] = []
        self.value: Any = None
        self.error: CloudError | None = None
        self.server = run(self._main(scripts, credentials, attempts))

    async def _main(
        self, scripts: tuple[Script, ...], credentials: Credentials | None, attempts: int
    ) -> Wild:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        async with wild(*scripts) as server:
            transport = Transport(QUICK)
            with stamina.set_testing(True, attempts=attempts):
                reader = Reader(transport, lambda: NOW, Patience(attempts=attempts), sleep)
                try:
                    request = Outgoing(
                        "GET", server.url, "/v1/x", (("b", "2"), ("a", "1")), {"X-Project-Id": "p"}
                    )
                    self.value = (await reader.read(request, credentials)).value
                except CloudError as error:
                    self.error = error
            await transport.aclose()
            return server


PASSING: dict[str, Script] = {
    "reset": reset(),
    "closed": raw(),
    "truncated": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    "silence": hang(),
    "408": reply(408),
    "429": reply(429),
    "500": reply(500),
    "502 HTML": reply(502, "<html>"),
    "503": reply(503),
    "504": reply(504),
    "half a JSON": reply(200, '{"servers": ['),
    "flow limit as 202": reply(202, fixture("error-flow-limit-202.json")),
    "400 in words": reply(
        400, {"error": {"code": "Ecs.9999", "message": "Busy. Try again later."}}
    ),
    "400 that says try again": reply(
        400, {"error": {"code": "Ecs.0301", "message": "query failed"}}
    ),
}


def test_every_good_example_is_an_answer() -> None:
    """No body of the API pages that stands for success is taken for an error, a failed job
    included.
    """
    names = sorted(
        p.name
        for p in FIXTURES.glob("*.json")
        if not p.name.startswith(("error-", "signing-")) and "-request" not in p.name
    )
    names.remove("job-query-error.json")

    async def main() -> None:
        transport = Transport(QUICK)
        async with wild(*(reply(200, fixture(name).decode()) for name in names)) as server:
            reader = Reader(transport, lambda: NOW, Patience(attempts=1))
            for name in names:
                answer = await reader.read(Outgoing("GET", server.url, "/v1/x"), None)
                assert answer.value == json.loads(fixture(name)), name
        await transport.aclose()

    run(main())


@pytest.mark.parametrize("script", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_repeated(script: Script) -> None:
    """A read that failed for a reason that may pass is asked again, and its good answer is
    the answer.
    """
    read = Read(script, script, GOOD)
    assert read.value == {"ok": 1}
    assert len(read.server.seen) == 3


def test_a_gigantic_answer_is_told_as_one() -> None:
    """It is JSON, and the error says why it is not read."""
    read = Read(reply(200, "[" + "[]," * 600_000 + "1]"), GOOD)
    assert "answered JSON with too many values (about " in str(read.error)
    assert len(read.server.seen) == 1


@pytest.mark.parametrize(("status", "times"), [(200, 1), (404, 1), (503, 2)])
def test_an_answer_over_the_limit_is_not_asked_for_again(status: int, times: int) -> None:
    """It would be as large the next time, unless the cloud only failed at that moment."""
    read = Read(reply(status, b"a" * 2_000_001), GOOD)
    assert len(read.server.seen) == times
    assert ("larger than 2,000,000 bytes" in str(read.error)) == (times == 1)


@pytest.mark.parametrize(("encoding", "times"), [("br", 1), ("gzip", 2)])
def test_an_answer_in_another_packing_is_not_asked_for_again(encoding: str, times: int) -> None:
    """One that is only cut off is."""
    body = gzip.compress(b'{"ok":1}' * 9)[:-9]
    read = Read(reply(200, body, {"Content-Encoding": encoding}), GOOD)
    assert len(read.server.seen) == times


MISMATCH = "URL's project_id 'aaa' doesn't match Context's project_id 'bbb'"
LASTING: dict[str, tuple[Script, type[CloudError]]] = {
    "400": (reply(400, {"error": {"code": "Ecs.0005", "message": "bad"}}), CloudError),
    "404": (reply(404, fixture("error-ecs.json")), CloudError),
    "302": (reply(302, b"", {"Location": "/elsewhere"}), CloudError),
    "401": (reply(401, fixture("error-apigw-401.json")), CloudDenied),
    "403": (reply(403, fixture("error-policy-403.json")), CloudDenied),
    "403 empty": (reply(403), CloudDenied),
    "403 HTML": (reply(403, "<html>no</html>"), CloudError),
    "200 HTML": (reply(200, "<!doctype html><title>Log in</title>"), CloudError),
    "200 text": (reply(200, "OK"), CloudError),
    "404 HTML": (reply(404, "<html><title>404 Not Found</title>"), CloudError),
    "404 text": (reply(404, "404 page not found"), CloudError),
    "407": (reply(407), CloudError),
    "403 CBC.0150": (reply(403, {"error_code": "CBC.0150", "error_msg": "arrears"}), CloudDenied),
    "401 other project": (reply(401, {"error": {"code": 401, "message": MISMATCH}}), OtherProject),
}
CAUSES = {
    "200 HTML": ("is not the cloud's API", "HTTP 200 (Log in)", "region and endpoints"),
    "404 HTML": ("is not the cloud's API", "HTTP 404 (404 Not Found)", "region and endpoints"),
    "407": ("asks for a login", "USER:PASSWORD@"),
    "403 CBC.0150": ("because of the account, not of a permission", "CBC.0150", "balance"),
    "401 other project": ("not of this project", "check project_id and region"),
}


@pytest.mark.parametrize(("script", "kind"), LASTING.values(), ids=LASTING.keys())
def test_what_lasts_is_not_repeated(script: Script, kind: type[CloudError]) -> None:
    """What another try cannot change is asked once, with the cloud's code and status in
    the error.
    """
    read = Read(script, GOOD)
    assert type(read.error) is kind
    assert len(read.server.seen) == 1


@pytest.mark.parametrize(("name", "words"), CAUSES.items(), ids=CAUSES.keys())
def test_right_cause(name: str, words: tuple[str, ...]) -> None:
    """Login pages, proxies, unpaid bills and other projects are told as what they are."""
    error = Read(LASTING[name][0]).error
    assert error is not None
    assert all(word in f"{error}; {error.hint}" for word in words)


def test_attempts_end() -> None:
    """Attempts are bounded; the last error is the one that is raised."""
    read = Read(reply(503), attempts=4)
    assert len(read.server.seen) == 4
    assert read.error is not None
    assert read.error.status == 503


def test_time_ends() -> None:
    """No attempt begins after the budget of real time, however many are left."""

    async def main() -> int:
        async with wild(reply(503)) as server:
            transport = Transport(QUICK)
            reader = Reader(transport, lambda: NOW, Patience(1000, 0.15, 0.02, 0.02, 0.0))
            with stamina.set_testing(False), pytest.raises(CloudError):
                await reader.read(Outgoing("GET", server.url, "/x"), None)
            await transport.aclose()
            return len(server.seen)

    assert 2 <= run(main()) <= 12


def test_unreachable() -> None:
    """A place where nobody listens is tried again, and the error says where."""

    async def main() -> Unreachable:
        transport = Transport(QUICK)
        reader = Reader(transport, lambda: NOW)
        try:
            with pytest.raises(Unreachable) as caught:
                await reader.read(Outgoing("GET", f"http://127.0.0.1:{free_port()}", "/x"), None)
        finally:
            await transport.aclose()
        return caught.value

    assert "127.0.0.1" in str(run(main()))


def test_each_attempt_is_signed_anew() -> None:
    """A repeated read carries the date of its own sending."""
    instants = iter([NOW, NOW.replace(minute=30)])

    async def main() -> Wild:
        async with wild(reset(), GOOD) as server:
            transport = Transport(QUICK)
            reader = Reader(transport, lambda: next(instants))
            await reader.read(Outgoing("GET", server.url, "/x"), KEY)
            await transport.aclose()
            return server

    dates = [s.headers["x-sdk-date"] for s in run(main()).seen]
    assert dates == ["20260102T030405Z", "20260102T033005Z"]


class Renewable:
    """Credentials that can be renewed a number of times."""

    project_id = None

    def __init__(self, renewals: int) -> None:
        self.left = renewals
        self.version = 1

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        return request.with_headers({"X-Auth-Token": f"planted-{self.version}"})

    async def renew(self, refused: Outgoing) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.version += 1
        return True

    def secrets(self) -> tuple[Secret, ...]:
        return (Secret(f"planted-{self.version}"),)


def test_an_expired_token_is_renewed_once() -> None:
    """After a 401 the token is renewed and the read repeated, once: a second 401 is the answer."""
    expired = reply(401, fixture("error-apigw-token-expired.json"))
    read = Read(expired, GOOD, credentials=Renewable(1))
    assert read.value == {"ok": 1}
    assert [s.headers["x-auth-token"] for s in read.server.seen] == ["planted-1", "planted-2"]
    read = Read(expired, credentials=Renewable(5))
    assert type(read.error) is CloudDenied
    assert len(read.server.seen) == 2


def test_a_wrong_clock_is_named() -> None:
    """A signature refused for its time says both times and what to do."""
    text = (
        "Incorrect IAM authentication information: calc aksk signature fail:signature expired, "
        "signature time:2026-01-02T03:04:05Z,server time:2026-01-02T04:00:00Z"
    )
    error = Read(reply(401, {"error_code": "APIGW.0301", "error_msg": text})).error
    assert error is not None
    assert "2026-01-02T03:04:05Z" in str(error)
    assert "2026-01-02T04:00:00Z" in str(error)
    assert error.hint is not None
    assert "clock" in error.hint


def test_errors_say_code_and_request() -> None:
    """An error carries code, status and request id, in its fields and in its sentence,
    and a hint.
    """
    error = Read(reply(403, fixture("error-policy-403.json"), {"X-Request-Id": "req-7"})).error
    assert error is not None
    assert (error.code, error.status, error.request_id) == ("Pdp.0001", 403, "req-7")
    assert "Pdp.0001" in str(error)
    assert "req-7" in str(error)
    assert error.hint is not None
    assert "allow ecs:cloudServers:reboot" in error.hint


def test_echoed_credentials_are_hidden() -> None:
    """The gateway's echo of the request does not bring our secrets into an error."""
    echo = (
        "verify aksk signature fail, "
        "canonicalRequest:GET|/v1/x/|x-security-token:planted-sts|planted-secret"
    )
    error = Read(
        reply(401, {"error_code": "APIGW.0301", "error_msg": f"{echo} ak planted-access not exist"})
    ).error
    assert error is not None
    assert "verify aksk" in str(error)
    assert "planted" not in str(error) + repr(vars(error))
    assert error.__context__ is None
    assert "planted" not in repr(KEY) + repr(StaticToken(Secret("planted-token")))


def test_wrong_job_code_is_no_error() -> None:
    """A job's own `error_code` is part of a good answer."""
    read = Read(reply(200, fixture("job-partial-fail.json")))
    assert read.value["error_code"] == "Common.0021"


@pytest.mark.parametrize(
    ("headers", "message", "expected"),
    [
        ({"Retry-After": "7"}, "", 7),
        ({}, "limit:60,time:1 minute", 1),
        ({}, "", 1),
        ({"Retry-After": "600"}, "", 30),
    ],
)
def test_throttled_reads_wait(headers: dict[str, str], message: str, expected: float) -> None:
    """After "too many" a read waits as `Retry-After` says, else a second; never over half a
    minute, plus jitter.
    """
    read = Read(reply(429, {"error_code": "APIGW.0308", "error_msg": message}, headers), GOOD)
    assert read.value == {"ok": 1}
    assert len(read.waits) == 1
    assert expected * 0.95 <= read.waits[0] <= expected * 1.11


def test_everybody_slows_down() -> None:
    """One throttled read makes the others wait too; without hints the wait doubles, and a
    good answer ends that.
    """
    now = 100.0
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def main() -> None:
        nonlocal now
        pace = RequestPace(sleep, lambda: now)
        await pace.wait()
        assert waits == []
        pace.slow_down(None)
        await asyncio.gather(pace.wait(), pace.wait())
        for _ in range(6):
            now += 100
            pace.slow_down(None)
            await pace.wait()
        pace.ease()
        now += 100
        pace.slow_down(None)
        await pace.wait()
        now += 100
        await pace.wait()

    run(main())
    told = [1, 1, 2, 4, 8, 16, 30, 30, 1]
    assert all(s <= w <= s * 1.1 for s, w in zip(told, waits, strict=True))
