"""The way to an address, step by step: proxy, name, connection, certificate, answer. Sends no
credentials.

Every step is bounded in time, also those that the system gives no way to end (a name
service that is silent).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from runner.net.hosts import in_url
from runner.net.text import tidy
from runner.net.transport import ExchangeLimits, Transport
from runner.net.trust import (
    PROXY_HINT,
    TRUST_HINT,
    place_of,
    place_parts,
    proxy_for,
    proxy_variable,
    trust,
)
from runner.net.wire import Outgoing, RequestLog, Unreachable

T = TypeVar("T")

StepName = Literal["proxy", "DNS", "TCP", "TLS", "HTTP"]

_MOST_ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class WayStep:
    """One step and what came of it, in words; `hint` where it failed."""

    name: StepName
    ok: bool
    said: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """The steps up to the first that failed. `ahead_s`: how far the server's clock is ahead of
    ours, by its `Date`.

    A `Date` counts whole seconds, and the answer was on its way: it is good to about a second.
    """

    origin: str
    steps: tuple[WayStep, ...]
    ahead_s: float | None = None

    @property
    def failed(self) -> WayStep | None:
        return next((step for step in self.steps if not step.ok), None)


async def way_to(
    origin: str,
    within_s: float,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    log: Callable[[RequestLog], None] | None = None,
) -> Way:
    """Walk to `origin` (scheme, host, port), `within_s` for each step. Never raises for
    what the network does.
    """
    parts = urlsplit(origin)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = proxy_for(origin)
    steps = [step async for step in _walk(proxy, host, port, parts.scheme == "https", within_s)]
    if not steps[-1].ok:
        return Way(origin, tuple(steps))
    step, ahead_s = await _ask(origin, within_s, now, log)
    return Way(origin, (*steps, step), ahead_s)


async def _walk(
    proxy: str | None, host: str, port: int, is_secure: bool, within_s: float
) -> AsyncIterator[WayStep]:
    if proxy is not None:
        found = place_parts(proxy)
        if found is None:
            said = "the environment names a proxy whose address cannot be read"
            yield WayStep(
                "proxy",
                False,
                said,
                "set HTTPS_PROXY to http://HOST:PORT; in a password @ and / are %40 and %2F",
            )
            return
        host, port = found[2].strip("[]"), int(found[3] or (443 if found[1] == "https" else 80))
        yield WayStep(
            "proxy",
            True,
            f"by the proxy {place_of(proxy)}, which the environment names ({proxy_variable()})",
        )

    def failed(name: StepName, said: str, hint: str) -> WayStep:
        if proxy is None:
            return WayStep(name, False, said, hint)
        said = f"the proxy {place_of(proxy)} ({proxy_variable()}) cannot be reached: {said}"
        return WayStep(name, False, said, PROXY_HINT)

    hint = "check the target's region or endpoint, and the name service of this machine"
    try:
        rows = await aside(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), within_s
        )
    except TimeoutError:
        yield failed("DNS", f"no answer within {within_s:g} s for the name {host}", hint)
        return
    except (OSError, UnicodeError) as error:
        yield failed("DNS", f"the name {host} is not known: {_text(error)}", hint)
        return
    known = tuple(dict.fromkeys(str(row[4][0]) for row in rows))[:_MOST_ADDRESSES]
    is_address = known == (host,)
    said = (
        "an address: there is no name to look up"
        if is_address
        else f"{host} is {' and '.join(known)}"
    )
    yield WayStep("DNS", True, said)
    tried = []
    for address in known:
        place = f"{in_url(address)}:{port}"
        try:
            async with asyncio.timeout(within_s):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError:
            tried.append(f"no connection to {place} within {within_s:g} s")
        except OSError as error:
            tried.append(f"cannot connect to {place}: {_text(error)}")
        else:
            await _close(writer)
            yield WayStep("TCP", True, f"connected to {place}")
            if is_secure and proxy is None:
                yield await _shake_hands(address, host, port, within_s)
            return
    hint = "check the address, firewalls and routes; behind a proxy set HTTPS_PROXY"
    yield failed("TCP", "; ".join(tried), hint)


async def _shake_hands(address: str, host: str, port: int, within_s: float) -> WayStep:
    try:
        context = trust()
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host
            )
    except Unreachable as error:
        return WayStep("TLS", False, error.message, error.hint)
    except TimeoutError:
        return WayStep(
            "TLS", False, f"no handshake within {within_s:g} s", "is this an https endpoint?"
        )
    except ssl.SSLCertVerificationError as error:
        hint = f"check the endpoint; {TRUST_HINT}"
        return WayStep(
            "TLS",
            False,
            f"the certificate of {host} is not trusted: {tidy(error.verify_message)}",
            hint,
        )
    except (ssl.SSLError, OSError) as error:
        return WayStep(
            "TLS", False, f"no handshake with {host}: {_text(error)}", "is this an https endpoint?"
        )
    secure = writer.get_extra_info("ssl_object")
    version, certificate = secure.version(), writer.get_extra_info("peercert") or {}
    await _close(writer)
    until = ""
    if ends := certificate.get("notAfter"):
        until = (
            f", certificate until "
            f"{datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC).date()}"
        )
    return WayStep("TLS", True, f"{version}{until}")


async def _ask(
    origin: str,
    within_s: float,
    now: Callable[[], datetime],
    log: Callable[[RequestLog], None] | None,
) -> tuple[WayStep, float | None]:
    """One GET without credentials: whatever is answered, somebody is there, and says what
    time it is.
    """
    limits = ExchangeLimits(
        connect_s=within_s, read_s=within_s, total_s=within_s, max_bytes=1 << 20
    )
    transport = Transport(limits, log=log)
    began = now()
    try:
        reply = await transport.send(Outgoing("GET", origin, "/"))
    except Unreachable as error:
        return WayStep("HTTP", False, error.message, error.hint), None
    finally:
        await transport.aclose()
    middle = began + (now() - began) / 2
    ahead_s = None
    with suppress(ValueError, TypeError):
        stated = parsedate_to_datetime(reply.headers.get("date", ""))
        ahead_s = (stated.replace(tzinfo=stated.tzinfo or UTC) - middle).total_seconds()
    return WayStep("HTTP", True, f"answers (HTTP {reply.status})"), ahead_s


async def aside(function: Callable[[], T], within_s: float) -> T:
    """What a function returns that cannot be ended, on a thread that nobody waits for at the
    end of the process.

    Raises what it raises, and TimeoutError.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not future.done():
            set_it()

    def work() -> None:
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            answer = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, lambda: future.set_exception(answer))
        else:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, lambda: future.set_result(value))

    threading.Thread(target=work, daemon=True).start()
    async with asyncio.timeout(within_s):
        return await future


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


def _text(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if (
        isinstance(error, OSError) and error.errno and error.errno > 0
    ):  # asyncio says more, and says it worse
        said = os.strerror(error.errno)
    return tidy(str(said), 200)
