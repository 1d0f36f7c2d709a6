"""The simulated STS: which ID tokens it takes, and what its keys are good for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.provider import OidcStsCredentialProvider
from huaweicloudsdkcore.exceptions.exceptions import SdkException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkecs import v2 as ecs

from runner.simulator.auth import Request, canonical_request, sign
from tests.issuer import NAMES, TRUST, id_token

from .bench import KEYS, Bench, http, simulated

PATH = "/v5/agencies/assume-with-oidc"
FIXTURE = Path(__file__).parents[1] / "fixtures" / "api" / "sts-v5-assume-with-oidc.json"


@contextmanager
def trusting(wall: Any = None, **trust: Any) -> Iterator[Bench]:
    """A cloud of three servers whose STS trusts the tests' issuer."""
    with simulated(3, wall=wall) as bench:
        bench.state.credentials = KEYS.model_copy(update={"oidc": TRUST.model_copy(update=trust)})
        yield bench


def assume(bench: Bench, token: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of an exchange."""
    asked = {
        "provider_urn": TRUST.provider_urn,
        "agency_urn": TRUST.agency_urn,
        "agency_session_name": "oidc-sts-session",
        "id_token": token,
        "duration_seconds": 3600,
    }
    body = {name: value for name, value in (asked | more).items() if value is not None}
    answer = http().post(bench.running.url + PATH, json=body)
    return answer.status_code, answer.json()


def read_with(
    bench: Bench, key: dict[str, str], at: datetime, security_token: str | None = None
) -> tuple[int, str]:
    """Status and error text of a signed read with a temporary key, or with another security
    token than its own.
    """
    token = key["security_token"] if security_token is None else security_token
    path = f"/v1/{bench.running.project_id}/cloudservers/limits"
    headers = {
        "host": bench.running.url.removeprefix("http://"),
        "x-sdk-date": f"{at:%Y%m%dT%H%M%SZ}",
    }
    headers |= {"x-security-token": token} if token else {}
    canonical = canonical_request(Request("GET", path, path, "", headers, b"", ""), list(headers))
    signature = sign(canonical, headers["x-sdk-date"], key["secret_access_key"])
    names, ak = ";".join(sorted(headers)), key["access_key_id"]
    headers["authorization"] = (
        f"SDK-HMAC-SHA256 Access={ak}, SignedHeaders={names}, Signature={signature}"
    )
    answer = http().get(bench.running.url + path, headers=headers)
    return answer.status_code, answer.json().get("error_msg", "")


def shape(value: Any) -> Any:
    return {k: shape(v) for k, v in value.items()} if isinstance(value, dict) else type(value)


def test_answer_is_the_documented_one() -> None:
    """The answer has the fields of the SDK's model, and says for whom the key is."""
    with trusting() as bench:
        status, body = assume(bench, id_token())
        assert status == 200
        assert shape(body) == shape(json.loads(FIXTURE.read_text()))
        assert body["subject_from_id_token"] == "repo:example/plans:environment:prod"
        assert body["assumed_agency"]["urn"].endswith(
            ":assumed-agency:reboot-runner/oidc-sts-session"
        )


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [
        ({"sub": "repo:example/other:ref:refs/heads/main"}, 403, "does not allow the subject"),
        ({"sub": None}, 403, "does not allow the subject"),
        ({"aud": "https://github.com/example"}, 403, "audience"),
        ({"aud": []}, 403, "audience"),
        ({"iss": "https://elsewhere.example.com"}, 403, "issuer"),
        ({"exp": 1_700_000_000}, 401, "has expired"),
        ({"exp": None}, 401, "has expired"),
        ({"nbf": 4_000_000_000}, 401, "not valid yet"),
        ({"iat": 4_000_000_000}, 401, "not valid yet"),
        ({"secret": "another-issuer-secret"}, 401, "signature"),
        ({"alg": "none"}, 401, "not signed with HS256"),
    ],
)
def test_token_that_is_not_trusted(token: dict[str, Any], status: int, text: str) -> None:
    """Issuer, audience, subject, times and signature of the token must all be right; a
    refusal holds no key.
    """
    with trusting() as bench:
        found, body = assume(bench, id_token(**token))
        assert (found, text in body["error_msg"]) == (status, True), body
        assert "credentials" not in body


def test_audience_may_be_one_of_several() -> None:
    """A token for several audiences is taken if the provider's is among them."""
    with trusting() as bench:
        assert assume(bench, id_token(aud=["other", TRUST.audience]))[0] == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"provider_urn": "iam::x:oidcProvider:other"}, 404),
        ({"agency_urn": "iam::x:agency:other"}, 404),
        ({"provider_urn": "x" * 1501}, 400),
        ({"agency_session_name": "x"}, 400),
        ({"agency_session_name": None}, 400),
        ({"duration_seconds": 899}, 400),
        ({"duration_seconds": 43_201}, 400),
        ({"duration_seconds": "3600"}, 400),
        ({"id_token": "abc"}, 400),
        ({"id_token": "no-jwt-at-all"}, 400),
        ({"id_token": "a.b"}, 400),
        ({"id_token": "é.é.é"}, 400),
        ({"id_token": "W10.W10.W10"}, 400),
        ({"surprise": 1}, 400),
    ],
)
def test_request_that_is_wrong(change: dict[str, Any], status: int) -> None:
    """Unknown provider or agency is 404; what breaks the model's limits, or is no JWT, is
    400 and never echoed.
    """
    with trusting() as bench:
        found, body = assume(bench, **({"token": id_token()} | change))
        assert found == status
        assert "no-jwt" not in str(body)


def test_without_a_trusted_issuer() -> None:
    """A cloud that was not told of an issuer knows no provider."""
    with simulated(1) as bench:
        assert assume(bench, id_token())[0] == 404


def test_key_ends() -> None:
    """A temporary key is good for the time that was asked for, by real time, and then refused."""
    real = [datetime(2026, 11, 3, 22, tzinfo=UTC)]
    with trusting(lambda: real[0]) as bench:
        key = assume(bench, id_token(real[0]), duration_seconds=900)[1]["credentials"]
        assert key["expiration"] == "2026-11-03T22:15:00.000Z"
        real[0] += timedelta(minutes=14, seconds=59)
        assert read_with(bench, key, real[0])[0] == 200
        real[0] += timedelta(seconds=1)
        assert read_with(bench, key, real[0]) == (
            401,
            (
                "Incorrect IAM authentication information: Get secretKey failed, the security "
                "token "
                "has expired"
            ),
        )


def test_key_may_end_earlier() -> None:
    """`key_valid` makes keys end before the time that was asked for, never after it."""
    now = datetime(2026, 11, 3, 22, tzinfo=UTC)
    with trusting(lambda: now, key_valid=timedelta(seconds=2)) as bench:
        assert (
            assume(bench, id_token(now))[1]["credentials"]["expiration"]
            == "2026-11-03T22:00:02.000Z"
        )
    with trusting(lambda: now, key_valid=timedelta(days=2)) as bench:
        assert (
            assume(bench, id_token(now))[1]["credentials"]["expiration"]
            == "2026-11-03T23:00:00.000Z"
        )


def test_key_needs_its_own_security_token() -> None:
    """Without its security token, with another key's, or with a wrong secret, a temporary
    key opens nothing.
    """
    with trusting() as bench:
        now = datetime.now(UTC)
        one, two = (assume(bench, id_token())[1]["credentials"] for _ in range(2))
        assert read_with(bench, one, now)[0] == 200
        for token in ("", two["security_token"], "made-up"):
            assert read_with(bench, one, now, token)[0] == 401
        assert (
            read_with(bench, one | {"secret_access_key": two["secret_access_key"]}, now)[0] == 401
        )


def test_fault_ends_keys() -> None:
    """The rule `expire_token` ends temporary keys too, and exchanges count as the call `token`."""
    with trusting() as bench:
        key = assume(bench, id_token())[1]["credentials"]
        bench.fault(do="expire_token", on="limits")
        assert read_with(bench, key, datetime.now(UTC))[0] == 401
        bench.fault(do="error", on="token", status=503)
        assert assume(bench, id_token())[0] == 503
        assert assume(bench, id_token())[0] == 200


def test_secrets_are_not_kept() -> None:
    """Neither the log nor a repr holds the token, the issuer's secret, or a secret of the key."""
    with trusting() as bench:
        token = id_token()
        key = assume(bench, token)[1]["credentials"]
        with bench.state.turn() as turn:
            kept = repr(turn.world.tokens)
        shown = kept + repr(bench.state.requests()) + repr(bench.state.credentials)
        for secret in (token, TRUST.secret, key["secret_access_key"], key["security_token"]):
            assert secret not in shown


# -- the vendor's own SDK ------------------------------------------------------


def sdk_client(bench: Bench, monkeypatch: pytest.MonkeyPatch, token: str) -> Any:
    """The SDK's client as an application builds it from the environment; only the endpoints
    are ours.
    """
    for name, value in {**NAMES, "HUAWEICLOUD_OIDC_ID_TOKEN": token}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUAWEICLOUD_SDK_PROJECT_ID", bench.running.project_id)
    credentials = (
        OidcStsCredentialProvider.get_basic().get_credentials().with_sts_endpoint(bench.running.url)
    )
    return (
        ecs.EcsClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials)
        .with_region(Region(bench.running.region, bench.running.url))
        .build()
    )


def test_vendors_sdk_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's OIDC provider gets a key here, and its signed calls are taken; one exchange
    serves them all.
    """
    with trusting() as bench:
        client = sdk_client(bench, monkeypatch, id_token())
        assert client.list_servers_details(ecs.ListServersDetailsRequest()).count == 3
        assert client.show_server_limits(ecs.ShowServerLimitsRequest()).absolute is not None
        assert [c.call for c in bench.state.requests()][1:] == ["token", "list", "limits"]


def test_vendors_sdk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads a refusal's code and text."""
    with trusting() as bench:
        client = sdk_client(
            bench, monkeypatch, id_token(sub="repo:example/other:ref:refs/heads/main")
        )
        with pytest.raises(SdkException, match=r"STS5\.0403.*does not allow the subject"):
            client.list_servers_details(ecs.ListServersDetailsRequest())
