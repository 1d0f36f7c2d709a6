"""HTTP against servers that misbehave: every end is one of ours, and says whether anything
was sent.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable
from tests.cloud.wild import (
    Connection,
    Script,
    Seen,
    Wild,
    free_port,
    hang,
    raw,
    reply,
    reset,
    run,
    wild,
)

QUICK = ExchangeLimits(connect_s=0.5, read_s=0.4, total_s=0.8, max_bytes=100_000)
Way = Callable[[Transport, Outgoing], Awaitable[Reply]]


def post(url: str, body: bytes = b'{"a":1}') -> Outgoing:
    return Outgoing("POST", url, "/v1/p/action", (), {"X-Auth-Token": "planted-token"}, body)


def get(url: str) -> Outgoing:
    return Outgoing(
        "GET",
        url,
        "/v1/p/list",
        (("name", "a b+c/d~"), ("limit", "3")),
        {"X-Auth-Token": "planted-token"},
    )


def exchange(*scripts: Script, once: bool = True, limits: ExchangeLimits = QUICK) -> Reply:
    """One exchange with a server that has these scripts."""

    async def main() -> Reply:
        async with wild(*scripts) as server:
            transport = Transport(limits)
            try:
                if once:
                    return await transport.send_once(post(server.url))
                return await transport.send(get(server.url))
            finally:
                await transport.aclose()

    return run(main())


def failure(*scripts: Script, once: bool = True, limits: ExchangeLimits = QUICK) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        exchange(*scripts, once=once, limits=limits)
    return caught.value


def ask(url: str, limits: ExchangeLimits = QUICK) -> Unreachable:
    """One POST to a place that fails."""

    async def main() -> None:
        transport = Transport(limits)
        try:
            await transport.send_once(post(url))
        finally:
            await transport.aclose()

    with pytest.raises(Unreachable) as caught:
        run(main())
    return caught.value


def seen_by(
    server_scripts: list[Script], *requests: Callable[[str], Outgoing], once: bool
) -> list[Seen]:
    async def main() -> Wild:
        async with wild(*server_scripts) as server:
            transport = Transport(QUICK)
            for request in requests:
                way = transport.send_once if once else transport.send
                await way(request(server.url))
            await transport.aclose()
            return server

    return run(main()).seen


def test_what_is_sent() -> None:
    """The bytes that were signed are the bytes that are sent: target, headers, body; and
    nothing reveals httpx.
    """
    one = seen_by([reply()], post, once=True)[0]
    assert (one.method, one.target, one.body) == ("POST", "/v1/p/action", b'{"a":1}')
    assert one.headers["x-auth-token"] == "planted-token"
    assert one.headers["connection"] == "close"
    assert one.headers["user-agent"].startswith("reboot-runner/")
    two = seen_by([reply()], get, once=False)[0]
    assert two.target == "/v1/p/list?limit=3&name=a%20b%2Bc%2Fd~"
    assert "content-length" not in two.headers


def test_reads_share_connections() -> None:
    """Reads go over a kept connection."""
    assert {s.connection for s in seen_by([reply()], get, get, get, once=False)} == {1}


def test_each_reboot_has_its_own_connection() -> None:
    """The request that must not happen twice never goes over a used connection."""
    assert [s.connection for s in seen_by([reply()], post, post, post, once=True)] == [1, 2, 3]


def test_answers() -> None:
    """Any HTTP status is an answer, with headers in lower case and its request id."""
    for status in (200, 202, 400, 404, 429, 500, 503):
        found = exchange(reply(status, '{"x":1}', {"X-Request-Id": "abc"}))
        assert (found.status, found.body, found.request_id) == (status, b'{"x":1}', "abc")


@pytest.mark.parametrize("once", [True, False])
def test_no_redirect_is_followed(once: bool) -> None:
    """A redirect is an answer like any other: its target never sees the request."""

    async def main() -> tuple[Reply, int]:
        async with (
            wild(reply()) as other,
            wild(reply(307, b"", {"Location": f"{other.url}/x"})) as server,
        ):
            transport = Transport(QUICK)
            found = await (
                transport.send_once(post(server.url)) if once else transport.send(get(server.url))
            )
            await transport.aclose()
            return found, len(other.seen)

    found, elsewhere = run(main())
    assert found.status == 307
    assert elsewhere == 0


SENT: dict[str, Script] = {
    "reset without an answer": reset(),
    "closed without an answer": raw(),
    "closed in the headers": raw(b"HTTP/1.1 200 OK\r\nContent-"),
    "closed in the body": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"job_id'),
    "reset in the body": raw(
        b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"job_id', then="reset"
    ),
    "closed in a chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nabc"),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "bytes": raw(b"\x00\xff" * 100),
    "headers without end": raw(b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"x" * 1000 + b"\r\n"] * 300),
    "silence": hang(),
    "body that stops": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc", then="hang"),
    "body over the limit": reply(200, b"x" * 200_000),
    "unknown packing": reply(200, b"{}", {"Content-Encoding": "br"}),
    "packing that is none": reply(200, b"{}", {"Content-Encoding": "gzip"}),
    "packing cut off": reply(200, gzip.compress(b"x" * 50_000)[:-20], {"Content-Encoding": "gzip"}),
    "bomb": reply(200, gzip.compress(b"\0" * 20_000_000), {"Content-Encoding": "gzip"}),
}


LASTING = {"body over the limit", "unknown packing", "bomb"}


@pytest.mark.parametrize("once", [True, False], ids=["once", "pooled"])
@pytest.mark.parametrize("name", SENT)
def test_after_the_request_left(name: str, once: bool) -> None:
    """Whatever happens after the request has left counts as sent, and is an error of ours
    with a sentence.
    """
    found = failure(SENT[name], once=once)
    assert found.sent
    assert found.lasting == (name in LASTING)
    assert str(found).startswith("127.0.0.1:")


def test_endless_body() -> None:
    """A body that drips on for ever ends at the deadline of the whole exchange, though each
    piece is in time.
    """

    async def drip(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.05)

    found = failure(drip, limits=ExchangeLimits(read_s=5, total_s=0.4))
    assert found.sent
    assert found.partial is not None
    assert found.partial.body.startswith(b"xx")


def test_what_had_arrived_is_kept() -> None:
    """Of an answer that breaks off, status, headers and the bytes so far are kept: they may
    hold a job id.
    """
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = failure(raw(head, b'10\r\n{"job_id":"ff8"}\r\n', then="reset"))
    assert found.partial == Reply(
        200, {"x-request-id": "r1", "transfer-encoding": "chunked"}, b'{"job_id":"ff8"}'
    )
    assert found.request_id == "r1"


def test_packed_answers() -> None:
    """Reads ask for gzip and undo it, in one piece or in many."""
    body = b'{"servers":[]}' * 3000
    packed = gzip.compress(body)
    assert exchange(reply(200, packed, {"Content-Encoding": "gzip"}), once=False).body == body
    small = gzip.compress(b"\0" * 90_000)
    assert (
        exchange(reply(200, small, {"Content-Encoding": "gzip"}), once=False).body == b"\0" * 90_000
    )


def test_nobody_listens() -> None:
    """A refused connection: nothing was sent."""
    found = ask(f"http://127.0.0.1:{free_port()}")
    assert not found.sent
    assert "cannot connect" in str(found)


def test_no_such_host() -> None:
    """A name that does not resolve: nothing was sent."""
    assert not ask("https://no-such-host.invalid").sent


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/\x00", "https://h:99999", "https://"])
def test_urls_that_are_none(url: str) -> None:
    """A URL that cannot be used: nothing was sent."""
    assert not ask(url).sent


SLOW_TO_CONNECT = ExchangeLimits(connect_s=9, read_s=9, total_s=0.3)


@pytest.mark.parametrize(
    ("then", "limits"),
    [("close", QUICK), ("hang", QUICK), ("reset", QUICK), ("hang", SLOW_TO_CONNECT)],
)
def test_handshake_that_fails(then: str, limits: ExchangeLimits) -> None:
    """A server that does not speak TLS: nothing was sent, however it fails to, the deadline
    of all included.
    """

    async def main() -> Unreachable:
        handlers: list[asyncio.Task[None]] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            handlers.append(task)
            await reader.read(10)
            if then == "hang":
                await reader.read()
            elif then == "reset":
                Connection(reader, writer).reset()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = Transport(limits)
        try:
            await transport.send_once(post(f"https://127.0.0.1:{port}"))
        except Unreachable as error:
            return error
        finally:
            await transport.aclose()
            server.close()
            await asyncio.gather(*handlers)
            await asyncio.sleep(0)
        raise AssertionError("it was sent")

    assert not run(main()).sent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for 127.0.0.1 in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate of this test")
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + pem.read_bytes())
    return both


def over_tls(certificate: Path, trusted: bool, script: Script) -> Reply:
    async def main() -> Reply:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        client = ssl.create_default_context(cafile=str(certificate)) if trusted else None
        async with wild(script, tls=context) as server:
            transport = Transport(QUICK, ssl_context=client)
            try:
                return await transport.send_once(post(server.url))
            finally:
                await transport.aclose()

    return run(main())


def test_trusted_server(certificate: Path) -> None:
    """Over TLS with a certificate that is trusted an exchange works."""
    assert over_tls(certificate, True, reply(200, b"{}")).status == 200


def test_wrong_certificate(certificate: Path) -> None:
    """A certificate that is not trusted: nothing was sent, another try will not help, and
    what to do is said.
    """
    with pytest.raises(Unreachable) as caught:
        over_tls(certificate, False, reply())
    assert not caught.value.sent
    assert caught.value.lasting
    assert caught.value.hint is not None
    assert "SSL_CERT_FILE" in caught.value.hint


def test_reset_over_tls(certificate: Path) -> None:
    """Once the handshake is done and the request is out, a reset means sent."""
    with pytest.raises(Unreachable) as caught:
        over_tls(certificate, True, reset())
    assert caught.value.sent


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        (raw(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"), False),
        (raw(b"HTTP/1.1 200 Connection established\r\n\r\n"), False),
        (raw(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), False),
    ],
    ids=["refuses", "opens and closes", "fails"],
)
def test_proxy(script: Script, sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment only ever gets a CONNECT; while the tunnel does not stand,
    nothing was sent.
    """

    async def main() -> tuple[Unreachable, list[Seen]]:
        async with wild(script) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            transport = Transport(QUICK)
            try:
                await transport.send_once(post("https://ecs.eu-west-101.myhuaweicloud.com"))
            except Unreachable as error:
                return error, proxy.seen
            finally:
                await transport.aclose()
        raise AssertionError("there is no such cloud")

    error, seen = run(main())
    assert error.sent is sent
    assert [(s.method, s.target) for s in seen] == [
        ("CONNECT", "ecs.eu-west-101.myhuaweicloud.com:443")
    ]
    assert "x-auth-token" not in seen[0].headers
    assert seen[0].body == b""


def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is never used for loopback."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert exchange(reply()).status == 200


def test_log() -> None:
    """Each exchange is logged once, with host, path, outcome and request id; failed ones too."""
    lines: list[RequestLog] = []

    async def main() -> None:
        async with wild(reply(200, b"{}", {"X-Request-Id": "r"}), reset(), raw()) as server:
            transport = Transport(QUICK, log=lines.append)
            await transport.send(get(server.url))
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await transport.send(get(server.url))
            with pytest.raises(Unreachable):
                await transport.send_once(post(f"http://127.0.0.1:{free_port()}"))
            await transport.aclose()

    run(main())
    assert [line.outcome for line in lines] == ["200", "no answer", "no answer", "not sent"]
    assert lines[0].request_id == "r"
    assert lines[0].target == "/v1/p/list?limit=3&name=a%20b%2Bc%2Fd~"
    assert "planted" not in repr(lines)


def test_a_log_that_fails() -> None:
    """A log that cannot be written costs no answer: it may hold the job id."""

    def broken(line: RequestLog) -> None:
        raise BrokenPipeError("nobody reads")

    async def main() -> Reply:
        async with wild(reply(200, "{}")) as server:
            return await Transport(QUICK, log=broken).send_once(post(server.url))

    assert run(main()).status == 200


@pytest.mark.parametrize("script", [*SENT.values(), reply(500)])
def test_no_trace_of_the_token(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the error, not in what it leads to, not in any log at any level: the token
    is nowhere.
    """
    caplog.set_level(logging.DEBUG)
    token_back = reply(500, b"{}", {"X-Subject-Token": "planted-new"})
    texts = [caplog.text]
    linked: tuple[BaseException | None, ...] = (None, None)
    for one in (script, token_back):
        try:
            texts.append(repr(exchange(one)))
        except Unreachable as error:
            linked = (error.__context__, error.__cause__)
            texts.append(repr(error) + str(error) + repr(vars(error)) + repr(linked))
    texts.append(caplog.text)
    assert linked == (None, None)
    assert "planted" not in "".join(texts)


def test_cancelled() -> None:
    """A cancelled exchange is cancelled, not an error, and is logged as such."""
    lines: list[RequestLog] = []

    async def main() -> None:
        async with wild(hang()) as server:
            transport = Transport(ExchangeLimits(), log=lines.append)
            task = asyncio.create_task(transport.send_once(post(server.url)))
            while not server.seen:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await transport.aclose()

    run(main())
    assert [line.outcome for line in lines] == ["cancelled"]
