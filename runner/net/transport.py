"""HTTP. The only module that imports httpx: its exceptions become ours here, and only here.

`send` is for reads, over kept connections; `send_once` for the one request that must not happen
twice; `send_direct` for questions to a server itself. None repeats anything, follows a redirect,
keeps a cookie or reads credentials from the environment; proxies (`HTTPS_PROXY`, `NO_PROXY`) are
used as tunnels only, never for loopback.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from runner import __version__
from runner.inputs.json_text import ANSWER
from runner.net.secret import scrubber
from runner.net.text import tidy
from runner.net.trust import (
    PROXY_HINT,
    TRUST_HINT,
    place_of,
    proxy_for,
    proxy_variable,
    trust,
    trusts_nobody,
)
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable

# httpcore writes every header of an answer to its debug log, the new token
# (X-Subject-Token) among them.
logging.getLogger("httpcore").setLevel(logging.WARNING)

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

_PIECE = 1024 * 1024
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """How long and how much. `total_s` bounds one exchange from the first try to connect to
    the last byte.

    `read_s`: the longest silence within the answer to a read.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 60.0
    max_bytes: int = ANSWER.size
    connections: int = 8


class _AnswerTooLarge(Exception):
    """The answer is larger than allowed, or packed in a way we did not ask for: the same if
    it is read again.
    """


class _CutOff(Exception):
    """The answer ended before its packing did."""


class _Progress:
    """Sees how far an exchange has come (httpcore's `trace` extension). `proxy`: its URL,
    until its tunnel is open.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self.proxy = proxy
        self.connecting = False
        self.writing = False
        self.reply: Reply | None = None
        self._stream: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("connect_tcp.started"):
            self.connecting = True
        elif event.endswith("connect_tcp.complete"):
            self._stream = info.get("return_value")
        elif event == "proxy.start_tls.started":
            self.proxy = None
        # A CONNECT speaks to the proxy only: the request itself has not left with it.
        is_ours = getattr(info.get("request"), "method", b"") != b"CONNECT"
        if event.endswith("send_request_headers.started") and is_ours:
            self.writing = True

    def partial(self, request: Outgoing) -> Reply | None:
        """What has come of an answer, without the request's own secrets."""
        return None if self.reply is None else self.reply.without_echo(request)

    async def abandon(self) -> None:
        """Close a socket whose handshake did not come to an end: cancelled there, the
        library forgets it open.
        """
        if self._stream is not None and not self.writing:
            with suppress(Exception):
                await self._stream.aclose()


class Transport:
    """One pool of connections. `log` is called once for each exchange. Close it with `aclose`."""

    def __init__(
        self,
        limits: ExchangeLimits | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        log: Callable[[RequestLog], None] | None = None,
    ) -> None:
        self._limits = limits or ExchangeLimits()
        self._ssl = ssl_context
        self._log = log
        self._pools: dict[tuple[str, str | None], httpx.AsyncHTTPTransport] = {}

    async def aclose(self) -> None:
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    async def send(self, request: Outgoing) -> Reply:
        """Exchange once over a kept connection. Raises Unreachable; HTTP errors are answers."""
        proxy = proxy_for(request.origin)
        key = (urlsplit(request.origin).scheme, proxy)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = self._open(request.origin, proxy, self._limits.connections)
        return await self._logged(
            pool, request, {"Accept-Encoding": "gzip"}, self._limits.read_s, proxy
        )

    async def send_once(self, request: Outgoing) -> Reply:
        """Exchange once over a connection of its own, which is closed afterwards. Raises
        Unreachable.

        An idle connection that the other side is just closing makes "was it sent?" unanswerable; a
        fresh one does not. It waits for the answer until the deadline of the whole exchange: giving
        up early would only make "accepted" unknown.
        """
        return await self._send_alone(request, self._limits.total_s, proxy_for(request.origin))

    async def send_direct(self, request: Outgoing) -> Reply:
        """Exchange once over a connection of its own, without any proxy. Raises Unreachable."""
        return await self._send_alone(request, self._limits.read_s, None)

    async def _send_alone(self, request: Outgoing, read_s: float, proxy: str | None) -> Reply:
        pool = self._open(request.origin, proxy, 1)
        try:
            own = {"Connection": "close", "Accept-Encoding": "identity"}
            return await self._logged(pool, request, own, read_s, proxy)
        finally:
            with suppress(
                Exception
            ):  # the answer is there; how its connection closes changes nothing
                await pool.aclose()

    def _open(self, origin: str, proxy: str | None, connections: int) -> httpx.AsyncHTTPTransport:
        context = trusts_nobody()
        if origin.startswith("https:"):
            context = self._ssl = self._ssl or trust()
        if proxy is None or _has_place(proxy):
            try:
                return httpx.AsyncHTTPTransport(
                    verify=context,
                    trust_env=False,
                    retries=0,
                    proxy=proxy,
                    limits=httpx.Limits(max_connections=connections, keepalive_expiry=15.0),
                )
            except Exception:
                if proxy is None:
                    raise
        # Outside of the handler, and without the address: it may hold a password.
        raise Unreachable(
            f"the proxy of {proxy_variable()} cannot be used",
            sent=False,
            hint="its address is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT",
            lasting=True,
        )

    async def _logged(
        self,
        pool: httpx.AsyncHTTPTransport,
        request: Outgoing,
        extra: Mapping[str, str],
        read_s: float,
        proxy: str | None,
    ) -> Reply:
        began, outcome, request_id = time.monotonic(), "cancelled", None
        try:
            reply = await self._exchange(pool, request, extra, read_s, _Progress(proxy))
            outcome, request_id = str(reply.status), reply.request_id
            return reply
        except Unreachable as error:
            outcome, request_id = "no answer" if error.sent else "not sent", error.request_id
            raise
        finally:
            # A log that fails (a closed terminal) must not cost the answer with its job id.
            if self._log is not None:
                target, ms = tidy(request.target, 200), round((time.monotonic() - began) * 1000)
                with suppress(Exception):
                    self._log(
                        RequestLog(request.method, request.host, target, outcome, ms, request_id)
                    )

    async def _exchange(
        self,
        pool: httpx.AsyncHTTPTransport,
        request: Outgoing,
        extra: Mapping[str, str],
        read_s: float,
        progress: _Progress,
    ) -> Reply:
        try:
            async with asyncio.timeout(self._limits.total_s):
                prepared = self._prepare(request, extra, progress, read_s)
                return (await self._talk(pool, prepared, progress)).without_echo(request)
        except TimeoutError:
            sent = progress.writing or not progress.connecting
            what = "no complete answer" if sent else "no connection"
            message = f"{request.host}: {what} within {self._limits.total_s:g} s"
            if progress.proxy is not None and not sent:
                message = f"{_proxy_words(progress.proxy)} gave no tunnel to {message}"
            failure = Unreachable(message, sent=sent, partial=progress.partial(request))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in there, a caller must learn "was it sent?"
            failure = _failure(error, request, progress)
        finally:
            await progress.abandon()
        # Raised outside of the handlers, so that no traceback leads to httpx's request with
        # its headers.
        raise failure

    async def _talk(
        self, pool: httpx.AsyncHTTPTransport, prepared: httpx.Request, progress: _Progress
    ) -> Reply:
        response = await pool.handle_async_request(prepared)
        headers = {
            k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers.raw
        }
        body = bytearray()
        try:
            stream = cast(AsyncIterator[bytes], response.stream)
            await _fill(
                body, _unpacked(stream, headers.get("content-encoding", "")), self._limits.max_bytes
            )
        except BaseException:
            progress.reply = Reply(response.status_code, headers, bytes(body[: 64 * 1024]))
            raise
        else:
            progress.reply = Reply(response.status_code, headers, bytes(body))
        finally:
            with suppress(Exception):  # what has arrived is an answer, however its connection ends
                await response.aclose()
        return progress.reply

    def _prepare(
        self, request: Outgoing, extra: Mapping[str, str], progress: _Progress, read_s: float
    ) -> httpx.Request:
        limits = self._limits
        name = {"sni_hostname": request.known_as} if request.known_as else {}
        return httpx.Request(
            request.method,
            request.url,
            headers={
                "Host": request.host,
                "Accept": "application/json",
                "User-Agent": f"reboot-runner/{__version__}",
                **extra,
                **request.headers,
            },
            content=None if request.method == "GET" else request.body,
            extensions={
                "timeout": {
                    "connect": limits.connect_s,
                    "read": read_s,
                    "write": limits.read_s,
                    "pool": limits.total_s,
                },
                "trace": progress,
                **name,
            },
        )


def _has_place(proxy: str) -> bool:
    """Whether the address of a proxy has a host and a port that can be: httpx would look up
    no name at all.
    """
    try:
        parts = urlsplit(proxy)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _failure(error: Exception, request: Outgoing, progress: _Progress) -> Unreachable:
    """The exception of the HTTP library as ours. Not sent only on two proofs: its kind, and
    no byte was written.
    """
    sent = progress.writing or not isinstance(error, _NEVER_SENT)
    words = _WORDS.get(type(error).__name__, "")
    if _UNTRUSTED in str(error):
        words = "its certificate is not trusted"
    detail = tidy(scrubber(request.secrets())(str(error)) or type(error).__name__, 300)
    if progress.proxy is not None and not progress.writing:
        return _proxy_failure(error, request, progress.proxy, detail)
    partial = progress.partial(request)
    stays_too_much = (
        isinstance(error, _AnswerTooLarge) and partial is not None and partial.status < 500
    )
    return Unreachable(
        ": ".join(filter(None, (request.host, words, detail))),
        sent=sent,
        partial=partial,
        hint=_hint(str(error)),
        lasting=stays_too_much or _UNTRUSTED in str(error),
    )


_WORDS = {
    "ConnectError": "cannot connect",
    "ConnectTimeout": "cannot connect in time",
    "ReadTimeout": "no answer in time",
    "WriteTimeout": "the request could not be written in time",
    "ReadError": "the connection broke",
    "WriteError": "the connection broke",
    "RemoteProtocolError": "the connection broke or the answer is not HTTP",
}


def _proxy_failure(error: Exception, request: Outgoing, proxy: str, detail: str) -> Unreachable:
    """Return the failure of the way to the proxy, or of its tunnel. The proxy's own 5xx and
    time-outs may pass.
    """
    may_pass = isinstance(error, httpx.TimeoutException) or detail.startswith("5")
    did = "cannot be reached"
    if isinstance(error, httpx.ProxyError):
        did = f"refused a tunnel to {request.host}"
    elif not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        did = f"gave no tunnel to {request.host}"
    return Unreachable(
        f"{_proxy_words(proxy)} {did}: {detail}", sent=False, hint=PROXY_HINT, lasting=not may_pass
    )


def _proxy_words(proxy: str) -> str:
    return f"the proxy {place_of(proxy)} (environment variable {proxy_variable()})"


def _hint(text: str) -> str | None:
    if _UNTRUSTED in text:
        return TRUST_HINT
    if (
        "Name or service not known" in text
        or "nodename nor servname" in text
        or "getaddrinfo" in text
    ):
        return "check the target's region or endpoint, and the name service"
    return None


async def _fill(body: bytearray, pieces: AsyncIterator[bytes], limit: int) -> None:
    """Collect the pieces in `body`, which keeps what had come when this fails."""
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise _AnswerTooLarge(f"the answer is larger than {limit:,} bytes")


async def _unpacked(stream: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The body's bytes, with gzip undone piece by piece, so that a bomb never unfolds at once."""
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        async for chunk in stream:
            yield chunk
        return
    if kind not in ("gzip", "x-gzip"):
        raise _AnswerTooLarge(f"the answer is packed as {tidy(kind, 20)}, which was not asked for")
    unzip = zlib.decompressobj(wbits=31)
    async for chunk in stream:
        piece = unzip.decompress(chunk, _PIECE)
        while piece:
            yield piece
            piece = unzip.decompress(unzip.unconsumed_tail, _PIECE)
    if not unzip.eof:
        raise _CutOff("the packed answer is cut off")
