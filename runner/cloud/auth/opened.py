"""From a login to credentials: joins each kind with the service that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from runner.cloud.auth.credentials import AkSk, Credentials, StaticToken
from runner.cloud.auth.environment import KeyLogin, Login, MetadataLogin, PasswordLogin, TokenLogin
from runner.cloud.auth.metadata_key import AgencyKey
from runner.cloud.auth.oidc import IamExchange, StsExchange
from runner.cloud.auth.oidc_login import IdpLogin, OidcLogin
from runner.cloud.auth.temporary import OnSecret, TemporaryKey
from runner.cloud.auth.token import PasswordToken, denied_login
from runner.cloud.endpoints import Settings
from runner.cloud.reader import Reader
from runner.errors import CloudDenied, CloudError
from runner.net.secret import Secret
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable


def credentials_for(
    settings: Settings,
    login: Login,
    reader: Reader,
    wall: Callable[[], datetime],
    on_secret: OnSecret | None = None,
    log: Callable[[RequestLog], None] | None = None,
) -> Credentials:
    """What puts proof on requests for this login. Nothing is asked yet.

    Raises CloudDenied for an exchange whose service is not known.
    """

    async def unsigned(request: Outgoing, hide: tuple[Secret, ...]) -> Reply:
        try:
            return (await reader.read(request, None, hide)).reply
        except CloudDenied:
            raise
        except CloudError as error:
            failure = error
        raise _for_good(failure)

    match login:
        case KeyLogin():
            return AkSk(login.access, login.secret, login.security_token, login.project_id)
        case TokenLogin():
            return StaticToken(login.token, login.project_id)
        case OidcLogin():
            return TemporaryKey(StsExchange(login, settings.sts_url, unsigned, wall, on_secret), wall)
        case IdpLogin():
            return TemporaryKey(IamExchange(login, settings.iam_url, unsigned, wall, on_secret), wall)
        case MetadataLogin():
            return TemporaryKey(AgencyKey(login, wall, on_secret, log), wall)
        case PasswordLogin():
            pass

    async def send(request: Outgoing) -> Reply:
        try:
            return await unsigned(request, (login.password,))
        except CloudDenied as error:
            raise denied_login(error) from None

    project = replace(login, project_id=settings.project_id or login.project_id)
    return PasswordToken(project, settings.iam_url, settings.region, send, wall, on_secret)


def _for_good(error: CloudError) -> CloudError:
    """The same error for the read that needed the login: it was repeated already, and is not once more for each try."""
    if isinstance(error, Unreachable):
        error.lasting = True
        return error
    return CloudError(error.message, hint=error.hint, code=error.code, status=error.status, request_id=error.request_id)
