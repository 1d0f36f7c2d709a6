"""Pages for probes: what is answered, and what nobody can do with them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from runner.errors import UsageProblem
from runner.net.pages import MOST_AT_ONCE, Page, served


@pytest.fixture
def url() -> Iterator[str]:
    with served(
        "127.0.0.1", 0, {"/page": lambda: Page(200, "text ✓\n"), "/no": lambda: Page(503, "no\n")}
    ) as one:
        yield one


def connect(url: str) -> socket.socket:
    found = urlsplit(url)
    return socket.create_connection((found.hostname or "", found.port or 0), timeout=10)


def ask(url: str, text: str) -> tuple[int, str, str]:
    """Send this and read to the end: status, head, body."""
    with connect(url) as one:
        one.sendall(text.encode())
        answer = b""
        while piece := one.recv(65536):
            answer += piece
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]) if head.startswith("HTTP/") else 0, head, body


@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        ("GET /page HTTP/1.0", 200, "text ✓\n"),
        ("GET /page?x=1 HTTP/1.0", 200, "text ✓\n"),
        ("HEAD /page HTTP/1.0", 200, ""),
        ("GET /no HTTP/1.0", 503, "no\n"),
        ("GET / HTTP/1.0", 404, "not found\n"),
        ("GET //page/../../etc/passwd HTTP/1.0", 404, "not found\n"),
    ],
)
def test_what_is_answered(url: str, line: str, status: int, body: str) -> None:
    """Its path decides, nothing else of a request; the length is that of the body that GET gets."""
    got = ask(url, f"{line}\r\n\r\n")
    assert (got[0], got[2]) == (status, body)
    assert "X-Content-Type-Options: nosniff" in got[1]
    if body:
        assert f"Content-Length: {len(body.encode())}" in got[1]


@pytest.mark.parametrize(
    "text",
    [
        "POST /page HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        "GET <script> x y\r\n\r\n",
        "<script>\r\n\r\n",
        "\x00\r\n\r\n",
    ],
)
def test_other_requests_are_refused(url: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is written, nothing is logged, and the next request is answered."""
    status, head, body = ask(url, text)
    assert status in (0, 400, 501)
    assert "script" not in head + body
    assert ask(url, "GET /page HTTP/1.0\r\n\r\n")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_silent_clients_do_not_pile_up(url: str) -> None:
    """More connections than are served at once are closed unread; when the others have
    gone, it answers again.
    """
    silent = [connect(url) for _ in range(MOST_AT_ONCE + 3)]
    closed = 0
    for one in silent[MOST_AT_ONCE:]:
        try:
            closed += one.recv(1) == b""
        except ConnectionResetError:
            closed += 1
    assert closed == 3
    for one in silent:
        one.close()
    for _ in range(1000):
        if ask(url, "GET /page HTTP/1.0\r\n\r\n")[0] == 200:
            break
    else:
        pytest.fail("it answers no more")


def test_an_address_that_cannot_be_listened_on(url: str) -> None:
    """Taken, or none of this machine: a sentence, and how to give another."""
    port = urlsplit(url).port or 0
    for host, number in (("127.0.0.1", port), ("192.0.2.1", 0), ("no such host", 0)):
        with pytest.raises(UsageProblem) as told, served(host, number, {}):
            pass
        assert "--listen" in (told.value.hint or "")
