"""Reads: sent, repeated when that can help, and refused with a sentence that says what to do.

Only for requests that may be repeated at will (GET, and the token request). The reboot does
not come this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stamina
import stamina.instrumentation

from runner.cloud.huawei.auth.credentials import Credentials
from runner.cloud.huawei.bodies import ApiError, read_error
from runner.cloud.huawei.codes import Verdict, proof
from runner.cloud.huawei.denials import denial, is_other_project
from runner.cloud.huawei.reboot import retry_after_s
from runner.cloud.huawei.throttle import RequestPace, Sleep, allowed
from runner.errors import CloudDenied, CloudError, OtherProject
from runner.inputs.json_text import parse_json
from runner.net.secret import Scrub, Secret, scrubber
from runner.net.transport import Transport
from runner.net.trust import PROXY_HINT
from runner.net.wire import Outgoing, Reply, Unreachable

# Every request is logged already, repeated ones too; the library's own warnings would only
# land in people's output.
stamina.instrumentation.set_on_retry_hooks(())

_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
# "Error Codes": their texts say try again, or blame another service, whatever the HTTP status is.
_PASSING_CODES = frozenset(
    (
        *("Ecs.0002", "Ecs.0004", "Ecs.0301", "Ecs.0313", "Ecs.0603", "Ecs.0615"),
        *("Ecs.1000", "Ecs.1001", "Ecs.1002", "Ecs.1100", "Common.0001", "Common.0025"),
    )
)


class Passing(CloudError):
    """An error that may be gone at the next try."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a read is repeated: at most `attempts` times, and none begins after
    `budget_s` of real time.
    """

    attempts: int = 6
    budget_s: float = 60.0
    first_wait_s: float = 0.4
    longest_wait_s: float = 8.0
    jitter_s: float = 0.6


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, its status and headers."""

    value: Any
    reply: Reply


class Reader:
    """Reads over one transport. `wall` is real time: signatures carry it."""

    def __init__(
        self,
        transport: Transport,
        wall: Callable[[], datetime],
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
        pace: RequestPace | None = None,
    ) -> None:
        self._transport = transport
        self._wall = wall
        self._patience = patience or Patience()
        self.pace = pace or RequestPace(sleep)

    async def read(
        self,
        request: Outgoing,
        credentials: Credentials | None,
        hide: tuple[Secret, ...] = (),
        patience: Patience | None = None,
    ) -> Answer:
        """The answer to `request`, as JSON. `hide`: secrets that the request itself carries.
        `patience`: at most.

        Raises CloudDenied (401, 403), Unreachable (no usable answer), CloudError (everything else).
        """
        patience = min(
            patience or self._patience, self._patience, key=lambda p: (p.attempts, p.budget_s)
        )
        async for attempt in stamina.retry_context(
            on=lambda error: (
                isinstance(error, Passing) or (isinstance(error, Unreachable) and not error.lasting)
            ),
            attempts=patience.attempts,
            timeout=patience.budget_s,
            wait_initial=patience.first_wait_s,
            wait_max=patience.longest_wait_s,
            wait_jitter=patience.jitter_s,
        ):
            with attempt:
                return await self._once(request, credentials, hide)
        raise CloudError(
            "no attempt was made"
        )  # pragma: no cover - the loop above returns or raises

    async def _once(
        self, request: Outgoing, credentials: Credentials | None, hide: tuple[Secret, ...]
    ) -> Answer:
        """One exchange; after a 401 one more with renewed credentials, where there are any."""
        signed, is_again = request, False
        while True:
            await self.pace.wait(request.origin)
            if credentials is not None:
                signed = await credentials.authorize(request, self._wall())
            reply = await self._transport.send(signed)
            if (
                credentials is None
                or reply.status != 401
                or is_again
                or not await credentials.renew(signed)
            ):
                break
            is_again = True
        if 200 <= reply.status < 300:
            with suppress(ValueError):
                value = parse_json(reply.body)
                # A 2xx can be none: flow control answers 202 with an error. A job's own
                # `error_code` is no error of the query.
                is_object = isinstance(value, dict) and not isinstance(value.get("error"), dict)
                if is_object and (
                    not {"error_code", "error_msg"} <= value.keys() or "job_id" in value
                ):
                    self.pace.ease()
                    return Answer(value, reply)
        secrets = hide if credentials is None else (*hide, *credentials.secrets())
        raise self._refused(request, reply, scrubber(secrets))

    def _refused(self, request: Outgoing, reply: Reply, scrub: Scrub) -> CloudError:
        error = read_error(reply, scrub)
        found = proof(error.code, error.status)
        if error.status == 429 or (found is not None and found.verdict is Verdict.THROTTLED):
            wait_s = retry_after_s(reply.headers)
            self.pace.slow_down(wait_s, allowed(error.message), request.origin)
            return _made(
                Passing,
                error,
                "the cloud throttles us",
                "fewer runs at once, or a longer poll_every",
            )
        if error.status == 407:
            return CloudError(
                f"a proxy before {request.host} asks for a login: {error.message}", hint=PROXY_HINT
            )
        if error.is_foreign and error.status not in _PASSING_STATUS:
            # It has no status: a 404 that is not the API's says nothing of a job or a server.
            return CloudError(
                f"{request.host} is not the cloud's API: it answered {error.answered}, "
                f"{error.message}",
                hint=(
                    "check region and endpoints of the target, and the proxies, firewalls and "
                    "login pages before it"
                ),
            )
        if error.status in (401, 403) or is_other_project(error):
            return denied(error)
        if 200 <= error.status < 300 and not error.is_json:
            kind = CloudError if error.is_too_much else Passing
            return _made(kind, error, f"{request.host} answered {error.answered}", None)
        if 300 <= error.status < 400:
            return _made(
                CloudError,
                error,
                f"{request.host} redirects, which is not followed",
                "check the endpoint",
            )
        says_so = error.code in _PASSING_CODES or "try again later" in error.message.lower()
        if error.status in _PASSING_STATUS or says_so:
            return _made(Passing, error, f"the cloud failed: {error.sentence}", None)
        hint = None
        if error.status == 404 and (error.code or "").startswith(("APIGW.", "APIG.")):
            hint = "the gateway does not know this API: check region and endpoints of the target"
        return _made(CloudError, error, f"the cloud refused: {error.sentence}", hint)


def _made(kind: type[CloudError], error: ApiError, message: str, hint: str | None) -> CloudError:
    if error.code and error.code not in message:
        message = f"{message} ({error.code})"
    if error.request_id:
        message = f"{message} [request {error.request_id}]"
    return kind(
        message, hint=hint, code=error.code, status=error.status, request_id=error.request_id
    )


def denied(error: ApiError) -> CloudDenied:
    """401 and 403 as an error with the sentence of what to do."""
    message, hint = denial(error)
    made = _made(OtherProject if is_other_project(error) else CloudDenied, error, message, hint)
    assert isinstance(made, CloudDenied)  # noqa: S101 - for the type checker
    return made
