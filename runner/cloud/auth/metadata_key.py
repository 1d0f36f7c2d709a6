"""Temporary keys of a server's agency, from its metadata service.

Page "Obtaining Metadata", and the vendor's SDK (`MetadataAccessor`): `GET /openstack/latest/securitykey`. A key is
valid for an hour; the service has a new one 10 minutes before the end, and both work in between. Until then it gives
the same one again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from runner.cloud.auth.credentials import AkSk
from runner.cloud.auth.environment import MetadataLogin
from runner.cloud.auth.temporary import Fresh, Known, OnSecret, fresh_key
from runner.cloud.metadata import SECURITY_KEY, Metadata
from runner.errors import CloudDenied, CloudError
from runner.net.secret import Secret
from runner.net.wire import Reply, RequestLog, Unreachable

WITHIN_S = 3.0
"""How long the service may take, as in the vendor's SDK."""

WITHIN_S_UNASKED = 0.8
"""The same where nobody has said that this machine is an ECS: most are none, and nobody answers."""

_AN_HOUR = timedelta(hours=1)
_AT_LEAST = timedelta(minutes=10)
"""What a key is good for whose end cannot be read: the service has a new one in hand by then."""


class AgencyKey:
    """The key of the agency that is bound to this server. `wall` is real time."""

    def __init__(
        self,
        login: MetadataLogin,
        wall: Callable[[], datetime],
        on_secret: OnSecret | None = None,
        log: Callable[[RequestLog], None] | None = None,
    ) -> None:
        self._login = login
        self._wall = wall
        self._known = Known(on_secret)
        self._log = log
        self._has_answered = False

    @property
    def project_id(self) -> str | None:
        return self._login.project_id

    def secrets(self) -> tuple[Secret, ...]:
        return self._known.all()

    async def fetch(self) -> Fresh[AkSk]:
        """The key that the service has now.

        Raises CloudDenied where there is no agency, and at first where nobody answers: then this is no ECS. Later
        that passes, and is an Unreachable or CloudError.
        """
        reply = await self._ask()
        if reply.status == 401 and b"Agency" in reply.body:
            raise self._failed("this server has no agency", "bind one to it that may use ECS; docs/credentials.md")
        began = self._wall()
        if reply.status != 200:
            raise self._failed(f"the metadata service answered HTTP {reply.status}")
        try:
            fresh = fresh_key(reply, began, _AN_HOUR, "the metadata service", unknown=_AT_LEAST)
        except CloudError as error:
            raise self._failed(error.message) from None
        self._known.add(*fresh.value.secrets())
        self._has_answered = True
        return fresh

    async def _ask(self) -> Reply:
        is_unasked = self._login.instead_of is not None and not self._has_answered
        metadata = Metadata(self._login.origin, WITHIN_S_UNASKED if is_unasked else WITHIN_S, self._log)
        try:
            return await metadata.get(SECURITY_KEY)
        except Unreachable as error:
            if self._has_answered:
                raise
            message = error.message
        finally:
            self._known.add(*metadata.secrets())
            await metadata.aclose()
        raise self._failed(message)

    def _failed(self, what: str, hint: str | None = None) -> CloudError:
        if self._has_answered and hint is None:
            return CloudError(what, hint="`-v` shows each try")
        if self._login.instead_of is not None:
            other = hint or "only an ECS with an agency needs none"
            return CloudDenied(f"no credentials: {self._login.instead_of}", hint=f"{other} ({what})")
        return CloudDenied(
            what, hint=hint or "`auth: metadata` is for an ECS with an agency; elsewhere set another login"
        )
