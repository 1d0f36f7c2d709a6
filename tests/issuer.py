"""An identity provider on loopback: it signs ID tokens, and gives them out as GitHub
does to a job.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runner.simulator.switches import OidcTrust

TRUST = OidcTrust(secret="planted-issuer-secret", subject="repo:example/plans:*")
SUBJECT = "repo:example/plans:environment:prod"
BEARER = "planted-bearer-of-the-job"
NAMES = {
    "HUAWEICLOUD_OIDC_PROVIDER_URN": TRUST.provider_urn,
    "HUAWEICLOUD_OIDC_AGENCY_URN": TRUST.agency_urn,
}
"""The environment that names provider and agency."""


def _now() -> datetime:
    return datetime.now(UTC)


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def id_token(
    at: datetime | None = None, *, alg: str = "HS256", secret: str = TRUST.secret, **claims: Any
) -> str:
    """A signed token for five minutes from `at`; claims that are given win, and None leaves
    one out.
    """
    begins = int((at or _now()).timestamp())
    usual = {
        "iss": TRUST.issuer,
        "aud": TRUST.audience,
        "sub": SUBJECT,
        "iat": begins,
        "exp": begins + 300,
    }
    body = {name: value for name, value in (usual | claims).items() if value is not None}
    signed = f"{_part(json.dumps({'alg': alg, 'typ': 'JWT'}).encode())}.{_part(json.dumps(body).encode())}"  # noqa: E501
    return f"{signed}.{_part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


@dataclass
class Issuer:
    """The service that a job of GitHub Actions asks for ID tokens. `issued`: what it gave
    out, in order.
    """

    url: str
    now: Callable[[], datetime] = _now
    subject: str = SUBJECT
    bearer: str = BEARER
    issued: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """What a job with `id-token: write` has, and the names of whom to become."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self.url,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER,
            **NAMES,
        }

    def answer(self, target: str, authorization: str) -> tuple[int, dict[str, Any]]:
        query = parse_qs(urlsplit(target).query)
        if authorization.lower() != f"bearer {self.bearer}" or query.get("api-version") != ["2.0"]:
            return 401, {"message": "not authorised"}
        made = id_token(
            self.now(), sub=self.subject, aud=query["audience"][0], jti=str(len(self.issued))
        )
        self.issued.append(made)
        return 200, {"count": len(made), "value": made}


@contextmanager
def issuer(now: Callable[[], datetime] = _now) -> Iterator[Issuer]:
    """Serve one on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = one.answer(self.path, self.headers.get("Authorization", ""))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one = Issuer(
            f"http://127.0.0.1:{server.server_port}/jobs/1//idtoken/2?api-version=2.0", now
        )
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join()
