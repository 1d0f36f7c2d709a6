"""Who may call: tokens and signatures are really verified."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.simulator.auth import Request, canonical_request, sign

from .bench import KEYS, START, Bench, http, simulated, token_request

VECTORS = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "api" / "signing-vectors.json").read_text()
)["vectors"]
PLAIN = [v for v in VECTORS if not v["derived"]]


@pytest.mark.parametrize("vector", PLAIN, ids=[v["name"] for v in PLAIN])
def test_vectors_of_the_vendors_signer(vector: dict[str, Any]) -> None:
    """Canonical request and signature agree with those that the vendor's signer made."""
    headers = {k.lower(): v for k, v in vector["headers"].items()}
    path, _, query = vector["request_target"].partition("?")
    request = Request(vector["method"], path, path, query, headers, vector["body"].encode(), "")
    signed = vector["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    canonical = canonical_request(request, signed)
    assert canonical == vector["canonical_request"]
    assert sign(canonical, headers["x-sdk-date"], vector["secret_key"]) in vector["authorization"]


def signed_headers(
    bench: Bench, method: str, path: str, body: bytes = b"", **more: str
) -> dict[str, str]:
    """Headers of a correct signature. `more`: further signed headers, names with `_` for `-`."""
    headers = {
        "host": bench.running.url.removeprefix("http://"),
        "x-sdk-date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    path, _, query = path.partition("?")
    canonical = canonical_request(
        Request(method, path, path, query, headers, body, ""), list(headers)
    )
    signature = sign(canonical, headers["x-sdk-date"], KEYS.sk)
    names = ";".join(sorted(headers))
    headers["authorization"] = (
        f"SDK-HMAC-SHA256 Access={KEYS.ak}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def limits(bench: Bench) -> str:
    return f"/v1/{bench.running.project_id}/cloudservers/limits"


def send(
    bench: Bench, path: str, headers: dict[str, str], method: str = "GET", body: bytes = b""
) -> tuple[int, str]:
    answer = http().request(method, bench.running.url + path, headers=headers, content=body)
    error = answer.json()
    return answer.status_code, error.get("error_msg") or error.get("error", {}).get("code", "")


def test_signature_covers_everything() -> None:
    """A right signature is taken; changing path, query, body, a signed header or the key id
    is noticed.
    """
    with simulated(1) as bench:
        path = limits(bench) + "?a=1&b=%20"
        good = signed_headers(bench, "GET", path)
        assert send(bench, path, good)[0] == 200
        for wrong_path in (path + "0", path.replace("?", "x?")):
            status, text = send(bench, wrong_path, good)
            assert (status, "verify aksk signature fail, canonicalRequest:GET|" in text) == (
                401,
                True,
            )
        assert send(bench, path, good, body=b"{}")[0] == 401
        assert send(bench, path, good | {"host": "127.0.0.1"})[0] == 401
        wrong_key = good | {"authorization": good["authorization"].replace(KEYS.ak, "OTHER")}
        assert send(bench, path, wrong_key) == (
            401,
            "Incorrect IAM authentication information: ak OTHER not exist",
        )


@pytest.mark.parametrize("missing", ["host", "x-sdk-date"])
def test_host_and_date_must_be_signed(missing: str) -> None:
    """A signature that leaves out the host or the date is refused."""
    with simulated(1) as bench:
        headers = signed_headers(bench, "GET", limits(bench), x_other="1")
        names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
        fewer = ";".join(n for n in names.split(";") if n != missing)
        headers["authorization"] = headers["authorization"].replace(names, fewer)
        assert send(bench, limits(bench), headers)[0] == 401


def test_no_credentials_and_nonsense() -> None:
    """No header, an unreadable Authorization and a made-up token are 401 APIGW.0301, each
    with its own text.
    """
    with simulated(1) as bench:
        for headers, tail in (
            ({}, "x-auth-token not found"),
            ({"authorization": "Bearer x"}, "Get secretKey failed"),
            ({"x-auth-token": "made-up"}, "decrypt token fail"),
            (
                signed_headers(bench, "GET", limits(bench)) | {"x-sdk-date": "today"},
                "X-Sdk-Date is no date",
            ),
        ):
            status, text = send(bench, limits(bench), headers)
            assert status == 401
            assert text.endswith(tail)


def test_temporary_key_needs_its_security_token() -> None:
    """With a temporary key a request must carry and sign the right security token."""
    keys = KEYS.model_copy(update={"security_token": "temporary=="})
    with simulated(1) as bench:
        object.__setattr__(bench.state, "credentials", keys)
        path = limits(bench)
        assert send(bench, path, signed_headers(bench, "GET", path))[0] == 401
        assert (
            send(bench, path, signed_headers(bench, "GET", path, x_security_token="wrong"))[0]
            == 401
        )
        assert (
            send(bench, path, signed_headers(bench, "GET", path, x_security_token="temporary=="))[0]
            == 200
        )


def test_permanent_key_has_no_security_token() -> None:
    """One that somebody made up, or left over from another key, is refused beside it."""
    with simulated(1) as bench:
        path = limits(bench)
        assert send(bench, path, signed_headers(bench, "GET", path))[0] == 200
        assert (
            send(bench, path, signed_headers(bench, "GET", path, x_security_token="made-up"))[0]
            == 401
        )
        assert (
            send(bench, path, signed_headers(bench, "GET", path) | {"x-security-token": "made-up"})[
                0
            ]
            == 401
        )


def test_unsigned_payload_is_what_is_stated() -> None:
    """`X-Sdk-Content-Sha256` stands for the body's hash, as the vendor's signer uses it."""
    with simulated(1) as bench:
        path = f"/v1/{bench.running.project_id}/cloudservers/action"
        body = b'{"reboot":{}}'
        headers = signed_headers(bench, "POST", path, body, x_sdk_content_sha256="UNSIGNED-PAYLOAD")
        assert send(bench, path, headers, "POST", body) == (400, "Ecs.0005")


def test_token_lives_24_hours_of_real_time() -> None:
    """A token is good for 24 real hours, however far simulated time has moved; then 401
    APIGW.0307.
    """
    real = [START]
    with simulated(1, wall=lambda: real[0]) as bench:
        bench.clock.advance(90 * 86_400)
        real[0] += timedelta(hours=23, minutes=59)
        assert bench.get(limits(bench)).status_code == 200
        real[0] += timedelta(minutes=1)
        answer = bench.get(limits(bench))
        assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0307")
        assert bench.login().status_code == 201
        assert bench.get(limits(bench)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"password": "wrong"}, 401),
        ({"name": "nobody"}, 401),
        ({"domain": {"name": "elsewhere"}}, 401),
        ({"domain": 3}, 401),
        ({"password": None}, 401),
    ],
)
def test_wrong_login(change: dict[str, Any], status: int) -> None:
    """User, password and domain must all be right; the error has an integer code and
    never a token.
    """
    with simulated(1) as bench:
        answer = http().post(
            bench.running.url + "/v3/auth/tokens", json=token_request("eu-west-101", **change)
        )
        assert answer.status_code == answer.json()["error"]["code"] == status
        assert "x-subject-token" not in answer.headers


def test_login_by_ids() -> None:
    """A user may be given by its id, and a domain by its id, as the documentation allows."""
    with simulated(1) as bench:
        fleet = bench.state.fleet
        for who in ({"id": fleet.user_id}, {"name": KEYS.user, "domain": {"id": fleet.domain_id}}):
            request = token_request("eu-west-101")
            request["auth"]["identity"]["password"]["user"] = {"password": KEYS.password, **who}
            assert (
                http().post(bench.running.url + "/v3/auth/tokens", json=request).status_code == 201
            )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"auth":{"identity":{"methods":["token"],"password":{"user":{}}}}}']
)
def test_unreadable_login(body: bytes) -> None:
    """A body that is no password login is a bad request."""
    with simulated(1) as bench:
        assert http().post(bench.running.url + "/v3/auth/tokens", content=body).status_code == 400


def test_token_needs_the_project() -> None:
    """A login for another project gets no token; one for none, or for our domain, a token
    that opens IAM alone.
    """
    with simulated(1) as bench:
        for scope in (None, {"domain": {"name": KEYS.domain}}):
            request = token_request("eu-west-101")
            request["auth"]["scope"] = scope
            answer = http().post(bench.running.url + "/v3/auth/tokens", json=request)
            assert answer.status_code == 201
            bench.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
            assert bench.get("/v3/projects").status_code == 200
            refused = bench.get(limits(bench))
            assert (refused.status_code, refused.json()["error_code"]) == (401, "APIGW.0307")
            bench.switch(unscoped_token="APIGW.0301")
            assert bench.get(limits(bench)).json()["error_code"] == "APIGW.0301"
            bench.switch()
        wrong: tuple[Any, ...] = (
            {"domain": {"name": "x"}},
            {"project": {"name": "eu-de"}},
            {"project": {}},
            "x",
        )
        for scope in wrong:
            request = token_request("eu-west-101")
            request["auth"]["scope"] = scope
            assert (
                http().post(bench.running.url + "/v3/auth/tokens", json=request).status_code == 401
            )
        request["auth"]["scope"] = {"project": {"id": bench.running.project_id}}
        assert http().post(bench.running.url + "/v3/auth/tokens", json=request).status_code == 201


def test_wrong_project() -> None:
    """Another project in the URL, or in X-Project-Id, is a 400 of the service, not a 404."""
    with simulated(1) as bench:
        other = "0" * 32
        assert bench.get(f"/v1/{other}/cloudservers/limits").json()["error"]["code"] == "Ecs.0023"
        assert bench.get(f"/v1/{other}/jobs/1").json()["error"]["code"] == "Common.0018"
        answer = bench.request("GET", limits(bench), headers={"X-Project-Id": other})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Ecs.0023")


def test_secrets_show_nowhere() -> None:
    """Neither a repr of the credentials nor the log of requests holds a secret."""
    with simulated(1) as bench:
        bench.login()
        shown = repr(KEYS) + repr(bench.state.requests()) + repr(bench.state.options)
        for secret in (KEYS.sk, KEYS.password, bench.headers["X-Auth-Token"]):
            assert secret not in shown
