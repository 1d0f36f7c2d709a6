"""ID tokens: where they come from, what they say of themselves, and what a refusal of one means.

GitHub's page "OpenID Connect reference": a job with `id-token: write` gets an ID token by
`GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…`; it lives for minutes, so each exchange asks for a new one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.cloud.auth.oidc_login import ID_TOKEN, TOKEN_FILE, TokenRequest
from runner.cloud.auth.temporary import Send
from runner.errors import CloudDenied, CloudError
from runner.inputs.files import describe, read_regular
from runner.inputs.json_text import parse_json
from runner.net.secret import Secret
from runner.net.text import tidy
from runner.net.wire import Outgoing

_LONGEST_ID_TOKEN = 20_000
REFUSALS = (400, 401, 403, 404)

Source = Secret | Path | TokenRequest
"""A token that is given, a file that is read anew each time, or GitHub's service."""


async def fetch_id_token(source: Source, send: Send, file_name: str = TOKEN_FILE) -> Secret:
    """An ID token of this moment. `file_name`: the variable that names the file. Raises CloudDenied, CloudError."""
    if isinstance(source, Secret):
        return source
    if isinstance(source, Path):
        return _from_file(source, file_name)
    return await _from_github(source, send)


def fixed_secrets(source: Source) -> tuple[Secret, ...]:
    """What is secret about the source itself."""
    if isinstance(source, Secret):
        return (source,)
    return (source.bearer,) if isinstance(source, TokenRequest) else ()


async def _from_github(source: TokenRequest, send: Send) -> Secret:
    headers = {"Authorization": f"bearer {source.bearer.reveal()}"}
    request = Outgoing("GET", source.origin, source.path, source.query, headers)
    try:
        reply = await send(request, (source.bearer,))
    except CloudError as error:
        if error.status not in REFUSALS:
            raise
        raise CloudDenied(
            f"GitHub gave no ID token: HTTP {error.status}",
            hint="the job needs `permissions: id-token: write`; a called workflow and its caller both do",
            status=error.status,
        ) from None
    value = parse_json(reply.body)
    token = value.get("value") if isinstance(value, dict) else None
    if not isinstance(token, str) or not _is_usable(token):
        raise CloudError(f"{request.host} gave no usable ID token", status=reply.status)
    return Secret(token)


def _from_file(path: Path, name: str) -> Secret:
    """The token in the file as it is now: who keeps it fresh replaces it. Raises CloudDenied."""
    try:
        text = read_regular(path, _LONGEST_ID_TOKEN + 2).decode("ascii").strip()
    except OSError as error:
        raise CloudDenied(f"{name} {describe(error)}", hint=f"check the file {path}") from None
    except ValueError:
        text = ""
    if not _is_usable(text):
        raise CloudDenied(f"{name} holds no ID token", hint=f"check the file {path}")
    return Secret(text)


def _is_usable(token: str) -> bool:
    """Whether it can be an ID token: visible ASCII, of a length that STS takes (4 to 20,000)."""
    return 4 <= len(token) <= _LONGEST_ID_TOKEN and token.isascii() and token.isprintable()


def claims_of(token: Secret) -> Mapping[str, Any]:
    """What an ID token says of itself; nothing is verified. Empty for what is no JWT."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return {}
    try:
        value = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def explained(
    error: CloudError, token: Secret, now: datetime, *, who: str, trust: str, is_given: bool = False
) -> CloudError:
    """A refusal with the claims that were judged; other errors as they are.

    `who` refused it, `trust` says what must allow it, `is_given`: the token is a fixed one, which nobody renews.
    """
    is_of_gateway = (error.code or "").startswith(("APIGW.", "APIG."))
    if error.status not in REFUSALS or is_of_gateway:
        return error
    claims = claims_of(token)
    told = [f"{name} {_shown(claims[name])}" for name in ("sub", "aud", "iss") if name in claims]
    shown = f"; the ID token says {', '.join(told)}" if told else "; the ID token is no JWT"
    ends = claims.get("exp")
    hint = trust
    if isinstance(ends, int | float) and ends <= now.timestamp():
        hint = "it has expired: see that a new one is issued, and check this machine's clock"
        if is_given:
            hint = f"it has expired, and {ID_TOKEN} cannot be renewed: use {TOKEN_FILE}, or GitHub's own service"
    return CloudDenied(
        f"{who} refused the ID token: {error.message}{shown}",
        hint=hint,
        code=error.code,
        status=error.status,
        request_id=error.request_id,
    )


def _shown(claim: object) -> str:
    """A claim in one line. A list (of audiences) shows its items."""
    return tidy(", ".join(map(str, claim)) if isinstance(claim, list) else str(claim), 200)
