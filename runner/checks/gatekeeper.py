"""Asks gates: Prometheus, Cloud Eye, HTTP. Whatever goes wrong is an answer too, never an
exception: cannot tell.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from runner.checks.prometheus import STALE, Grid, cannot_tell, error_words, judge
from runner.errors import CloudDenied, CloudError
from runner.inputs.json_text import parse_json, why_no_json
from runner.model.gate import Gate, GateAnswer, GateState
from runner.net.secret import Secret, scrubber
from runner.net.text import tidy
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable
from runner.ports import Alarms

LONGEST_S = 15.0
"""For one gate, from the first try to connect to the last byte: real seconds."""
_ALARM_PAGES = 3
"""Alarms come in pages, and their reads are repeated: they may take so much longer."""
MOST_METRICS = 4 * 1024 * 1024
"""Bytes of an answer of Prometheus."""
MOST_BYTES = 64 * 1024
"""Bytes of an answer to an `http` gate."""
_NO_ANSWER = frozenset({401, 403, 407, 408, 425, 429})
"""Refusals to answer at all: the question itself is open."""
_WORDS = 300
_VALUE = 60


@dataclass(frozen=True, slots=True)
class GateSource:
    """What gates may ask. `url`: scheme, host, and a path that others are appended to.

    `token` is sent as bearer token; `lacks`: why it cannot be, for people.
    """

    kind: Literal["prometheus", "http"]
    url: str
    token: Secret | None = None
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class NetGatekeeper:
    """The network behind the port `Gatekeeper`. `sources` are the configuration's, `alarms`
    by target.

    `wall`: the time that the sources live in; `log` is told each exchange with a source.
    Redirects are not followed, so a token goes to its source only.
    """

    sources: Mapping[str, GateSource] = field(default_factory=dict)
    alarms: Mapping[str, Alarms] = field(default_factory=dict)
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    longest_s: float = LONGEST_S
    log: Callable[[RequestLog], None] | None = None

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        """The answer now; alarms within three times `longest_s`, everything else within it."""
        most = self.longest_s * (_ALARM_PAGES if gate.kind == "alarms" else 1) + 1
        try:
            async with asyncio.timeout(most):
                answer = await self._asked(gate, servers)
        except TimeoutError:
            answer = cannot_tell(f"no answer within {most:g} s")
        except Unreachable as error:
            answer = cannot_tell(error.message)
        source = self.sources.get(gate.source)
        hide = scrubber([source.token] if source and source.token else [])
        return replace(
            answer, value=tidy(hide(answer.value), _VALUE), reason=tidy(hide(answer.reason), _WORDS)
        )

    async def _asked(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        if gate.kind == "alarms":
            return await self._alarms(servers)
        source = self.sources.get(gate.source)
        if source is None or source.kind != gate.kind:
            return cannot_tell(f"the configuration has no {gate.kind} source {gate.source}")
        if source.lacks:
            return cannot_tell(source.lacks)
        return await (
            self._prometheus(gate, source)
            if gate.kind == "prometheus"
            else self._http(gate, source)
        )

    async def _prometheus(self, gate: Gate, source: GateSource) -> GateAnswer:
        grid, path = None, "/api/v1/query"
        query = [("query", gate.query), ("timeout", f"{max(1, math.floor(self.longest_s * 0.8))}s")]
        if gate.for_s:
            grid, path = Grid.covering(gate.for_s, self.wall()), "/api/v1/query_range"
            query += [
                ("start", str(grid.first)),
                ("end", str(grid.last)),
                ("step", str(grid.step_s)),
            ]
        request = _request(source, path, tuple(query))
        reply = await self._send(request, MOST_METRICS)
        is_json = (
            reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            == "application/json"
        )
        body, what = None, "something that is not JSON"
        try:
            body = parse_json(reply.body) if is_json else None
        except ValueError as error:
            what = why_no_json(error)
        if reply.status != 200:
            words = error_words(body)
            return cannot_tell(f"{request.host} answered {_status(reply)}{words and ': '}{words}")
        if body is None:
            kind = (
                ""
                if is_json
                else f": its Content-Type is {reply.headers.get('content-type') or 'missing'}"
            )
            return cannot_tell(f"{request.host} answered {what}{kind}")
        return self._skewed(reply) or judge(body, gate, self.wall(), grid)

    async def _http(self, gate: Gate, source: GateSource) -> GateAnswer:
        reply = await self._send(_request(source, gate.path), MOST_BYTES)
        said, wanted = (
            f"{source.url}{gate.path} answered {_status(reply)}",
            " or ".join(map(str, gate.status)),
        )
        if reply.status in gate.status:
            if gate.body and gate.body not in reply.body.decode("utf-8", "replace"):
                return GateAnswer(
                    GateState.CLOSED,
                    str(reply.status),
                    f"{said} without the text {gate.body[:100]!r}",
                )
            return GateAnswer(GateState.OPEN, str(reply.status))
        if 300 <= reply.status < 400 or reply.status in _NO_ANSWER or reply.status >= 500:
            return GateAnswer(
                GateState.CANNOT_TELL, str(reply.status), f"{said}, {wanted} is wanted"
            )
        return GateAnswer(GateState.CLOSED, str(reply.status), f"{said}, {wanted} is wanted")

    async def _alarms(self, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        found: dict[str, str] = {}
        try:
            for target, ids in servers.items():
                if target not in self.alarms:
                    return cannot_tell(
                        f"there is no way from here to the alarms of target {target}"
                    )
                found.update(await self.alarms[target].alarming(ids))
        except CloudDenied as error:
            return cannot_tell(
                f"{error.message}; alarms need ces:alarms:list and ces:alarmHistory:list"
            )
        except CloudError as error:
            return cannot_tell(f"alarms could not be read: {error.message}")
        if not found:
            return GateAnswer(GateState.OPEN, "none")
        server, name = min(found.items())
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return GateAnswer(
            GateState.CLOSED, f"{len(found)}", f"alarm {name} is on for {server}{more}"
        )

    async def _send(self, request: Outgoing, most: int) -> Reply:
        total = self.longest_s
        limits = ExchangeLimits(connect_s=total, read_s=total, total_s=total, max_bytes=most)
        async with aclosing(Transport(limits, log=self.log)) as transport:
            return await transport.send(request)

    def _skewed(self, reply: Reply) -> GateAnswer | None:
        """An answer of another time (a cache's, or one of two clocks is wrong) says nothing
        about now.
        """
        try:
            dated = parsedate_to_datetime(reply.headers["date"])
            apart = abs((self.wall() - dated.replace(tzinfo=dated.tzinfo or UTC)).total_seconds())
        except (KeyError, ValueError, OverflowError):
            return None
        if apart <= STALE.total_seconds():
            return None
        return cannot_tell(f"the answer's date is {apart:.0f} s away from this machine's clock")


def _request(source: GateSource, path: str, query: tuple[tuple[str, str], ...] = ()) -> Outgoing:
    parts = urlsplit(source.url)
    headers = {"Accept": "application/json" if query else "*/*", "Cache-Control": "no-cache"}
    if source.token:
        headers["Authorization"] = f"Bearer {source.token.reveal()}"
    return Outgoing(
        "GET", f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/") + path, query, headers
    )


def _status(reply: Reply) -> str:
    return f"{reply.status}" + (
        " (redirects are not followed)" if 300 <= reply.status < 400 else ""
    )
