"""What every way to log in can do, and the two that need no answer of the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runner.cloud.huawei import signing
from runner.net.secret import Secret
from runner.net.wire import Outgoing


class Credentials(Protocol):
    """Puts proof of who we are on a request. `project_id` is set where the login itself
    tells it.
    """

    @property
    def project_id(self) -> str | None: ...

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        """The request with its headers complete. `at`: real time, which a signature carries.

        Raises CloudError or CloudDenied where a login is needed first and fails.
        """
        ...

    async def renew(self, refused: Outgoing) -> bool:
        """After a 401 to `refused`: True if there are other credentials now, so that one
        more try makes sense.
        """
        ...

    def secrets(self) -> tuple[Secret, ...]:
        """Everything that must not stand in a message."""
        ...


@dataclass(frozen=True, slots=True)
class AkSk:
    """An access key, permanent or temporary (then with its security token). Signs each request."""

    access: Secret
    secret: Secret
    security_token: Secret | None = None
    project_id: str | None = None

    @property
    def proof(self) -> Secret | None:
        """What in a refused request shows that it used these."""
        return self.security_token

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        headers = {**request.headers, "Host": request.host, "X-Sdk-Date": signing.sdk_date(at)}
        if self.security_token:
            headers["X-Security-Token"] = self.security_token.reveal()
        headers["Authorization"] = signing.authorization(
            self.access.reveal(),
            self.secret.reveal(),
            request.method,
            request.path,
            request.query,
            headers,
            request.body,
        )
        return request.with_headers(headers)

    async def renew(self, refused: Outgoing) -> bool:
        return False

    def secrets(self) -> tuple[Secret, ...]:
        return tuple(s for s in (self.access, self.secret, self.security_token) if s)


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that somebody else fetched. It cannot be renewed here."""

    token: Secret
    project_id: str | None = None

    @property
    def proof(self) -> Secret:
        return self.token

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        return request.with_headers({"X-Auth-Token": self.token.reveal()})

    async def renew(self, refused: Outgoing) -> bool:
        return False

    def secrets(self) -> tuple[Secret, ...]:
        return (self.token,)
