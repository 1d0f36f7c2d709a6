"""TLS is always verified, an authority of one's own can be given, and proxies are tunnels
that see nothing.
"""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest

from runner.errors import CloudError
from runner.net.transport import ExchangeLimits, Transport
from runner.net.trust import CA_FILE, MOST_BYTES, trust
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable
from tests.cloud.wild import Connection, Script, Wild, free_port, reply, run, wild

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "tls"
AUTHORITY = FOLDER / "authority.pem"
QUICK = ExchangeLimits(connect_s=0.5, read_s=0.5, total_s=1.0)
TOKEN = {"X-Auth-Token": "planted-token"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        CA_FILE,
    ):
        monkeypatch.delenv(name, raising=False)


def speaks(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / certificate)
    return context


def ask(url: str, *, once: bool, log: list[RequestLog] | None = None) -> Reply:
    async def main() -> Reply:
        transport = Transport(QUICK, log=None if log is None else log.append)
        try:
            request = Outgoing("GET", url, "/v1/x", (), TOKEN)
            return await (transport.send_once(request) if once else transport.send(request))
        finally:
            await transport.aclose()

    return run(main())


def exchange(certificate: str, *, once: bool = False) -> tuple[Reply | Unreachable, Wild]:
    """One exchange with a server that has this certificate, and what the server saw."""

    async def main() -> tuple[Reply | Unreachable, Wild]:
        async with wild(reply(), tls=speaks(certificate)) as server:
            transport = Transport(QUICK)
            try:
                request = Outgoing("GET", server.url, "/v1/x", (), TOKEN)
                return await (
                    transport.send_once(request) if once else transport.send(request)
                ), server
            except Unreachable as error:
                return error, server
            finally:
                await transport.aclose()

    return run(main())


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("name", [CA_FILE, "SSL_CERT_FILE"])
def test_an_authority_of_ones_own(name: str, once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named in the environment it is trusted, for reads and for the reboot alike."""
    monkeypatch.setenv(name, str(AUTHORITY))
    answer, _ = exchange("loopback.pem", once=once)
    assert isinstance(answer, Reply)
    assert answer.status == 200


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("certificate", ["loopback.pem", "server.pem"])
def test_an_unknown_authority(certificate: str, once: bool) -> None:
    """Without it nothing is sent; the sentence says what is wrong and how to give the authority."""
    error, server = exchange(certificate, once=once)
    assert isinstance(error, Unreachable)
    assert not error.sent
    assert error.lasting
    assert "certificate is not trusted" in str(error)
    assert CA_FILE in str(error.hint)
    assert server.seen == []


def test_the_name_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of a trusted authority for another name is refused."""
    monkeypatch.setenv(CA_FILE, str(AUTHORITY))
    error, server = exchange("elsewhere.pem")
    assert isinstance(error, Unreachable)
    assert "certificate is not trusted" in str(error)
    assert server.seen == []


def test_besides_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file adds to what SSL_CERT_FILE names: both authorities are trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))
    monkeypatch.setenv(CA_FILE, str(FOLDER / "trusted.pem"))
    assert isinstance(exchange("loopback.pem")[0], Reply)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("no certificate", "holds no certificate")]
)
def test_a_file_that_is_none(
    content: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not there, or holds none, is said at once, before anything is sent."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(CA_FILE, str(path))
    error, server = exchange("loopback.pem")
    assert isinstance(error, Unreachable)
    assert not error.sent
    assert error.lasting
    assert CA_FILE in str(error)
    assert why in str(error)
    assert server.connections == 0


# Proxies

CLOUD = "https://ecs.eu-west-101.myhuaweicloud.com"


def through(
    script: Script, url: str, monkeypatch: pytest.MonkeyPatch, **environ: str
) -> tuple[CloudError, Wild]:
    """Ask `url` while a proxy of the environment has this script; `{proxy}` stands for its
    host and port.
    """

    async def main() -> tuple[CloudError, Wild]:
        async with wild(script) as proxy:
            place = proxy.url.removeprefix("http://")
            for name, value in ({"HTTPS_PROXY": "http://{proxy}"} | environ).items():
                monkeypatch.setenv(name, value.replace("{proxy}", place))
            transport = Transport(QUICK)
            try:
                await transport.send(Outgoing("GET", url, "/v1/x", (), TOKEN))
            except CloudError as error:
                return error, proxy
            finally:
                await transport.aclose()
        raise AssertionError("nobody answers there")

    return run(main())


REFUSES = reply(407, b"")


def test_credentials_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They go to the proxy, and to nothing else: no log, no error has them; ours do not go
    to the proxy.
    """
    caplog.set_level(logging.DEBUG)
    secret = "http://user:planted-password@{proxy}"
    error, proxy = through(REFUSES, CLOUD, monkeypatch, HTTPS_PROXY=secret)
    (seen,) = proxy.seen
    assert (seen.method, seen.target) == ("CONNECT", "ecs.eu-west-101.myhuaweicloud.com:443")
    assert seen.headers["proxy-authorization"].startswith("Basic ")
    assert "planted-token" not in repr(seen)
    for text in (str(error), repr(error), repr(vars(error)), repr(error.__context__), caplog.text):
        assert "planted" not in text
        assert seen.headers["proxy-authorization"] not in text


@pytest.mark.parametrize(
    ("proxy", "words", "lasting"),
    [
        (
            "http://me:planted@proxy.invalid:3128",
            "the proxy proxy.invalid:3128 (environment variable {}) cannot",
            True,
        ),
        (
            "http://me:planted@127.0.0.1:{closed}",
            "the proxy 127.0.0.1:{closed} (environment variable {}) cannot",
            True,
        ),
        (
            "http://me:planted@{proxy}",
            "{}) refused a tunnel to ecs.eu-west-101.myhuaweicloud.com: 407",
            True,
        ),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_that_fails_is_named(
    proxy: str, words: str, lasting: bool, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that is not there, or refuses, is named with its variable and without its
    password, not the target.
    """
    closed = str(free_port())
    place = proxy.replace("{closed}", closed)
    error, _ = through(REFUSES, CLOUD, monkeypatch, **{"HTTPS_PROXY": place, variable: place})
    assert isinstance(error, Unreachable)
    assert words.replace("{closed}", closed).format(variable) in error.message
    assert "planted" not in f"{error!r} {vars(error)} {error.__context__!r}"
    assert (error.sent, error.lasting) == (False, lasting)
    assert "NO_PROXY" in str(error.hint)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:planted-password@h:99999",
        "gopher://user:planted-password@h",
        "://",
        "http://user:planted-password@",
        "http://user:planted-password@:3128",
    ],
)
def test_a_proxy_that_is_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that cannot be used is said without being quoted: it may hold a password."""
    error, _ = through(REFUSES, CLOUD, monkeypatch, HTTPS_PROXY=address)
    assert isinstance(error, Unreachable)
    assert not error.sent
    assert "the proxy of HTTPS_PROXY" in error.message
    assert "planted" not in f"{error!r} {vars(error)} {error.__context__!r} {error.__cause__!r}"


@pytest.mark.parametrize(
    ("no_proxy", "counts"),
    [
        ("ecs.eu-west-101.myhuaweicloud.com", True),
        (".myhuaweicloud.com", True),
        ("a.example, MyHuaweiCloud.com", True),
        ("*", True),
        ("*.myhuaweicloud.com", False),
        ("*,a.example", False),
        ("0.0.0.0/0", False),
        ("myhuaweicloud.com:443", False),
        ("https://ecs.eu-west-101.myhuaweicloud.com", False),
    ],
)
def test_no_proxy(no_proxy: str, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY keeps a host from the proxy, in the forms that docs/inventory.md names and
    no others.
    """
    _, proxy = through(REFUSES, CLOUD, monkeypatch, NO_PROXY=no_proxy)
    assert (proxy.connections == 0) is counts


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://localhost:{port}",
            "https://127.0.0.1:{port}",
            "https://127.9.9.9:{port}",
            "https://[::1]:{port}",
        ),
        *(
            "http://127.0.0.1:{port}",
            "https://169.254.169.254:{port}",
            "http://169.254.169.254:{port}",
        ),
    ],
)
def test_never_by_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback and the metadata address never go through a proxy, whatever the environment says."""
    _, proxy = through(
        REFUSES,
        url.format(port=free_port()),
        monkeypatch,
        HTTP_PROXY="http://{proxy}",
        ALL_PROXY="http://{proxy}",
    )
    assert proxy.connections == 0


def test_verified_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that opens the connection itself, with a certificate nobody trusts, is given
    no request.
    """

    async def opens(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await connection.writer.start_tls(speaks("elsewhere.pem"))
        got.append(await connection.reader.read(100))

    got: list[bytes] = []
    error, _ = through(opens, CLOUD, monkeypatch)
    assert "certificate is not trusted" in str(error)
    assert got in ([], [b""])


@pytest.mark.parametrize("name", [CA_FILE, "SSL_CERT_FILE"])
def test_a_pipe_or_a_huge_file_of_certificates(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error at once, also where OpenSSL would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"\n" * (MOST_BYTES + 1))
    for file, says in (("pipe", "is not a regular file"), ("huge", "is larger than 8 MiB")):
        monkeypatch.setenv(name, str(tmp_path / file))
        with pytest.raises(Unreachable, match=f"the file of {name} cannot be used: .*{says}"):
            trust()
