"""Checks against real servers on loopback that are well, slow, lying or dead: every end is
a pass or words.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runner.checks.prober import MOST_BYTES, NetProber
from runner.model.check import Check
from tests.cloud.wild import Connection, Script, Wild, free_port, hang, raw, reply, reset, run, wild

LONGEST_S = 0.3
LOCAL = "127.0.0.1"


def http(port: int, scheme: str = "http", path: str = "/health", **fields: object) -> Check:
    values = {"scheme": scheme, "path": path, "status": (200,), **fields}
    return Check("http", port, **values)  # type: ignore[arg-type]  # of a Check


def ask(
    script: Script, make: Callable[[int], Check], tls: ssl.SSLContext | None = None
) -> tuple[str | None, Wild]:
    """What one check of a server with this script says, and the server."""

    async def main() -> tuple[str | None, Wild]:
        async with wild(script, tls=tls) as server:
            port = int(server.url.rpartition(":")[2])
            return await NetProber(longest_s=LONGEST_S).ask(LOCAL, make(port)), server

    return run(main())


async def endless(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await connection.send(b"x" * 65536)


async def drips(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await connection.send(b"x")
        await asyncio.sleep(0.02)


def test_a_healthy_answer_passes_under_its_name() -> None:
    """The request goes to the address and carries the name; a status of the list and the
    text in the body pass.
    """
    well = http(
        0, host="app.example.com", path="/health?deep=1", status=(200, 202), body="\u00fcberall ok"
    )
    said, server = ask(reply(202, "status: \u00fcberall ok"), lambda port: replace(well, port=port))
    assert said is None
    (seen,) = server.seen
    assert (seen.method, seen.target, seen.headers["host"]) == (
        "GET",
        "/health?deep=1",
        "app.example.com",
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (reply(503, "x"), "answered 503, 200 is wanted"),
        (reply(200, "status: bad"), "answered 200 without the text 'well'"),
        (reply(302, "well", {"Location": "http://127.0.0.1:1/well"}), "redirects are not followed"),
        (endless, f"larger than {MOST_BYTES:,} bytes"),
        (drips, "no complete answer within 0.3 s"),
        (hang(), "within 0.3 s"),
        (reset(), "the connection broke"),
        (raw(b"SSH-2.0-lies\r\n"), "the answer is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nwell"), "the connection broke"),
    ],
    ids=["status", "body", "redirect", "endless", "drips", "hangs", "reset", "not-http", "cut-off"],
)
def test_what_is_not_well_is_a_miss_in_words(script: Script, words: str) -> None:
    """A server that lies, stalls or never ends does not pass, and the words say what
    came instead.
    """
    said, server = ask(script, lambda port: http(port, body="well"))
    assert said
    assert words in said or (words == "within 0.3 s" and "in time" in said), said
    assert len(server.seen) == 1


def test_nothing_takes_longer_than_a_check_may() -> None:
    """Whatever a server does, its check ends."""
    began = time.monotonic()
    for script in (hang(), drips, endless):
        ask(script, http)
        ask(script, lambda port: Check("ssh_banner", port))
    assert time.monotonic() - began < 6 * LONGEST_S + 1.5


@pytest.mark.parametrize(
    "check", [Check("tcp", 0), Check("ssh_banner", 0), http(0), http(0, "https")], ids=str
)
def test_a_dead_server_is_a_miss(check: Check) -> None:
    """Where nobody listens, no check passes."""
    dead = replace(check, port=free_port())
    said = run(NetProber().ask(LOCAL, dead))
    assert said
    assert "connect" in said.lower()


def test_a_port_that_takes_connections_passes() -> None:
    """A TCP check asks for no more than a connection."""
    assert ask(hang(), lambda port: Check("tcp", port))[0] is None


async def told(answer: bytes, ask_it: Callable[[int], Awaitable[str | None]]) -> str | None:
    """Ask a server that speaks first, with these bytes, and then stays silent."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, LOCAL, 0)
    async with server:
        return await ask_it(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", None),
        (b"authorised use only\r\nSSH-2.0-OpenSSH_9.9\r\n", None),
        (b"SSH-1.5-old\r\n", "within 0.3 s"),
        (b"220 mail ESMTP\r\n", "within 0.3 s"),
        (b"x" * 20_000, "said no SSH version, but 'xxx"),
        (b"", "within 0.3 s"),
    ],
    ids=["banner", "after-other-lines", "too-old", "mail", "endless", "silent"],
)
def test_ssh_banner(answer: bytes, words: str | None) -> None:
    """An SSH server is known by the version it says first, other lines before it allowed."""
    said = run(
        told(answer, lambda p: NetProber(longest_s=LONGEST_S).ask(LOCAL, Check("ssh_banner", p)))
    )
    assert said is None if words is None else said and words in said


def test_ipv6() -> None:
    """An IPv6 address is asked like any other."""

    async def main() -> list[str | None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        try:
            server = await asyncio.start_server(answer, "::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6")
        async with server:
            port = server.sockets[0].getsockname()[1]
            return [
                await NetProber().ask("::1", check) for check in (Check("tcp", port), http(port))
            ]

    assert run(main()) == [None, None]


@pytest.mark.parametrize("address", ["", "localhost", "app.example.com"])
def test_names_are_never_looked_up(address: str) -> None:
    """What is no address is not asked at all."""
    said = run(NetProber().ask(address, Check("tcp", 80)))
    assert said == "tcp 80: the cloud shows no fixed address of it"


@pytest.mark.parametrize("address", ["192.168.0.10", "10.0.0.1", "2001:db8::1"])
def test_simulated_servers_lead_to_no_other_machine(address: str) -> None:
    """Addresses of simulated servers may be somebody's: beyond this machine none is
    connected to.
    """
    said = run(NetProber(loopback_only=True).ask(address, http(80)))
    assert said
    assert f"nothing at {address}" in said


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment stands between the runner and the cloud, not between it
    and the servers.
    """
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(reply(), http)[0] is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for app.example.com and nothing else, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate of this test")
    pem, key = (tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem"))
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += [
        "-days",
        "2",
        "-subj",
        "/CN=app.example.com",
        "-addext",
        "subjectAltName=DNS:app.example.com",
    ]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True
    )
    both = pem.with_name("both.pem")
    both.write_bytes(key.read_bytes() + pem.read_bytes())
    return both


@pytest.mark.parametrize(
    ("host", "verify", "trusted", "passes"),
    [
        ("app.example.com", True, True, True),
        ("other.example.com", True, True, False),
        ("", True, True, False),
        ("app.example.com", True, False, False),
        ("other.example.com", False, False, True),
        ("", False, False, True),
    ],
    ids=[
        "right-name",
        "wrong-name",
        "address",
        "untrusted",
        "not-verified",
        "not-verified-address",
    ],
)
def test_certificates(
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    verify: bool,
    trusted: bool,
    passes: bool,
) -> None:
    """The certificate must be for `host` and trusted, unless the plan says that it is not
    verified; SNI says `host`.
    """
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    said, _ = ask(reply(), lambda port: http(port, "https", host=host, verify=verify), tls=context)
    assert (said is None) is passes, said
    assert passes or "certificate verify failed" in str(said)
    assert names == [host or None]
