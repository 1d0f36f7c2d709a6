"""What an answer to a reboot request proves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.cloud.huawei.codes import PROOFS, Verdict
from runner.cloud.huawei.reboot import classify, reboot_body, retry_after_s
from runner.model.job import (
    Accepted,
    Allowed,
    Ambiguous,
    Denied,
    RebootAnswer,
    Refusal,
    Refused,
    Throttled,
)
from tests.cloud.wild import fixture

ONE, TWO = "616fb98f-46ca-475e-917e-2563e5a8cd19", "726fb98f-46ca-475e-917e-2563e5a8cd20"


def answer(status: int, body: Any, **headers: str) -> RebootAnswer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return classify(status, named, data, asked=[ONE, TWO])


def ecs(code: str, *details: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": "m"}
    if details:
        error["details"] = [{"code": d, "message": "m"} for d in details]
    return {"error": error}


def gateway(code: str) -> dict[str, Any]:
    return {"error_code": code, "error_msg": "m"}


def test_request_example() -> None:
    """The request's bytes are the documented ones, in one serialisation."""
    assert json.loads(reboot_body([ONE, TWO], "SOFT")) == json.loads(fixture("reboot-request.json"))
    assert b" " not in reboot_body([ONE], "HARD")


@pytest.mark.parametrize(
    "ids", [[], [ONE, ONE], [str(n) for n in range(1001)]], ids=["none", "twice", "1001"]
)
def test_a_batch_that_is_none(ids: list[str]) -> None:
    """An empty batch, one over 1,000 and one with a server twice are never built."""
    with pytest.raises(ValueError, match=r"batch"):
        reboot_body(ids, "SOFT")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_job_id_is_acceptance(status: int) -> None:
    """Any 2xx with a job id is accepted, under that id."""
    found = answer(status, fixture("reboot-accepted.json"), x_request_id="r")
    job_id = json.loads(fixture("reboot-accepted.json"))["job_id"]
    assert found == Accepted(job_id, "r", status)


def test_a_job_id_beside_an_error_is_acceptance() -> None:
    """Where an answer holds both, the job counts: it can be followed, and an error repeated
    would reboot twice.
    """
    assert isinstance(answer(202, {"job_id": "ff80", **ecs("Common.0024")}), Accepted)


POLICY = "Policy doesn't allow ecs:cloudServers:reboot to be performed."
AMBIGUOUS: dict[str, tuple[int, Any]] = {
    "2xx without a job id": (200, {}),
    "2xx, empty": (204, b""),
    "2xx, null": (200, {"job_id": None}),
    "2xx, empty id": (200, {"job_id": ""}),
    "2xx, number": (200, {"job_id": 7}),
    "2xx, path as id": (200, {"job_id": "../../x"}),
    "2xx, list": (200, [{"job_id": "ff80"}]),
    "2xx, truncated": (200, b'{"job_id": "ff80'),
    "2xx, a refusal's code": (200, ecs("Ecs.0100")),
    "redirect": (307, b""),
    "500 without a code": (500, b""),
    "500 Common.0001": (500, ecs("Common.0001")),
    "500 Ecs.0615": (500, ecs("Ecs.0615")),
    "502 HTML": (502, b"<html>Bad Gateway</html>"),
    "503 text": (503, b"busy"),
    "504 HTML": (504, b"<html>Gateway Time-out</html>"),
    "502 backend unavailable": (502, gateway("APIGW.0201")),
    "504 backend timeout": (504, gateway("APIGW.0201")),
    "504 backend timeout, dedicated": (504, gateway("APIG.0201")),
    "500 gateway internal": (500, gateway("APIGW.0601")),
    "503 signature code": (503, gateway("APIGW.0301")),
    "400 Ecs.0227, the reboot failed": (400, ecs("Ecs.0227")),
    "400 Ecs.0002": (400, ecs("Ecs.0002")),
    "400 Ecs.0000": (400, ecs("Ecs.0000")),
    "400 Ecs.1002": (400, ecs("Ecs.1002")),
    "400 unknown code": (400, ecs("Ecs.9999")),
    "400 without a code": (400, {"message": "bad"}),
    "400 HTML": (400, b"<html>blocked</html>"),
    "401 HTML": (401, b"<html>log in to the proxy</html>"),
    "401 empty": (401, b""),
    "403 HTML": (403, b"<html>WAF</html>"),
    "403 empty": (403, b""),
    "403 unknown code": (403, ecs("Xyz.0001")),
    "403 flat, as any proxy writes it": (403, {"code": 403, "message": "Forbidden"}),
    "403 without a code": (403, {"message": "Forbidden"}),
    "403 of a web framework": (403, {"status": 403, "error": "Forbidden", "path": "/v1/x"}),
    "403 with a detail that proves nothing": (403, ecs("403", "Ecs.0227")),
    "403 policy page": (
        403,
        b"<html>Policy doesn't allow ecs:cloudServers:reboot to be performed.</html>",
    ),
    "500 with a denial inside": (500, {"forbidden": {"message": POLICY, "code": 403}}),
    "403 Ecs.1000 with a denial inside": (403, {"error": {"code": "Ecs.1000", "message": POLICY}}),
    "400 Ecs.1000 with a denial inside": (400, {"error": {"code": "Ecs.1000", "message": POLICY}}),
    "200 with a denial": (200, {"forbidden": {"message": POLICY, "code": 403}}),
    "403 denial, some went through": (
        403,
        {"forbidden": {"message": POLICY}, "response": [{"id": ONE}]},
    ),
    "404 empty": (404, b""),
    "408": (408, b""),
    "429 without a code": (429, b""),
    "429 HTML": (429, b"<html>slow down, ECS.0100</html>"),
    "batch failed, no details": (400, ecs("Ecs.0611")),
    "batch failed, one unknown detail": (400, ecs("Ecs.0611", "Ecs.0100", "Ecs.0227")),
    "batch failed, detail without code": (
        400,
        {"error": {"code": "Ecs.0611", "details": ["x"], "message": ""}},
    ),
    "refusal with a detail that is none": (400, ecs("Ecs.0100", "Ecs.1002")),
    "batch failed, throttled inside": (400, ecs("Ecs.0611", "Common.1503")),
    "batch failed, only one server named": (
        400,
        {
            **ecs("Ecs.0611"),
            "internalError": [{"id": ONE, "error_code": "Ecs.0100", "error_message": ""}],
        },
    ),
    "some servers went through": (400, {**ecs("Ecs.0100"), "response": [{"id": ONE}]}),
    "nested deeper than anybody reads": (400, b'{"error":' * 50_000),
}


@pytest.mark.parametrize(("status", "body"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous(status: int, body: Any) -> None:
    """What proves neither acceptance nor refusal is ambiguous, whoever sent it, and says why."""
    found = answer(status, body, x_request_id="r")
    assert isinstance(found, Ambiguous)
    assert found.status == status
    assert found.request_id == "r"
    assert found.reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (202, fixture("error-flow-limit-202.json")),
        (429, fixture("error-apigw-429.json")),
        (429, gateway("APIG.0308")),
        (429, ecs("Common.1503")),
        (503, ecs("Common.1503")),
        (429, gateway("APIGW.0999")),
    ],
)
def test_throttled(status: int, body: Any) -> None:
    """Flow control has accepted nothing, also where it says so with 202 or 503."""
    found = answer(status, body, retry_after="7")
    assert isinstance(found, Throttled)
    assert found.retry_after_s == 7
    assert found.status == status


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, fixture("error-apigw-401.json")),
        (401, fixture("error-apigw-token-expired.json")),
        (401, fixture("error-iam-keystone.json")),
        (401, fixture("error-iam.json")),
        (401, ecs("Common.0013")),
        (403, fixture("error-policy-403.json")),
        (403, ecs("Ecs.0003")),
        (403, ecs("Ecs.0071")),
        (403, gateway("APIGW.0802")),
        (403, {"error_code": "New.0001", "error_msg": "m", "encoded_authorization_message": "x"}),
        (400, ecs("Common.0018")),
        (400, ecs("Ecs.0611", "Pdp.0001")),
        (401, {"error": {"code": "EPS.0003", "message": "m"}}),
        (403, {"error": {"code": "CBC.0150", "message": "arrears"}}),
        (
            401,
            {
                "error": {
                    "code": 401,
                    "message": "URL's project_id 'a' doesn't match Context's project_id",
                }
            },
        ),
    ],
)
def test_denied(status: int, body: Any) -> None:
    """Missing permission and wrong credentials are told apart from refusals: repeating does
    not help.
    """
    assert isinstance(answer(status, body), Denied)


PERMISSION: dict[str, tuple[int, Any]] = {
    "Nova": (403, {"forbidden": {"message": POLICY, "code": 403}}),
    "Nova, no code": (403, {"forbidden": {"message": POLICY}}),
    "Nova, no message": (403, {"forbidden": {"code": 403}}),
    "Nova, only a sentence": (403, {"forbidden": {"message": "m"}}),
    "Neutron, forbidden": (
        403,
        {"NeutronError": {"message": "m", "type": "Forbidden", "detail": ""}},
    ),
    "Neutron, in words": (
        403,
        {
            "NeutronError": {
                "message": "rule:reboot is disallowed by policy",
                "type": "Other",
                "detail": "",
            }
        },
    ),
    "text code": (403, ecs("403")),
    "Keystone": (403, {"error": {"code": 403, "message": "Forbidden", "title": "Forbidden"}}),
    "Neutron": (
        403,
        {"NeutronError": {"message": "m", "type": "PolicyNotAuthorized", "detail": ""}},
    ),
    "Cloud Eye": (403, {"http_code": "403", "message": {"details": "m", "code": "403"}}),
    "flat, of the policy engine": (403, {"code": 403, "message": POLICY}),
    "enterprise project": (403, gateway("EPS.0003")),
    "policy engine": (403, ecs("Pdp.0001")),
    "policy engine, another": (403, ecs("Pdp.0104")),
    "policy engine, other status": (400, ecs("Pdp.0001")),
    "IAM": (403, gateway("IAM.0003")),
    "identity policy": (
        403,
        {"error_code": "Any.0001", "error_msg": "m", "encoded_authorization_message": "x"},
    ),
    "identity policy, in the object": (
        403,
        {"error": {"code": "Any.0001", "message": "m", "encoded_authorization_message": "x"}},
    ),
    "identity policy, in words": (
        403,
        gateway("Any.0001")
        | {"error_msg": "User x is not authorized to perform: ecs:cloudServers:reboot"},
    ),
}


@pytest.mark.parametrize(("status", "body"), PERMISSION.values(), ids=PERMISSION.keys())
def test_missing_permission(status: int, body: Any) -> None:
    """An API's own JSON about permissions is a denial, whatever its shape, and names the
    permission.
    """
    found = answer(status, body)
    assert isinstance(found, Denied)
    assert "ecs:cloudServers:reboot" in f"{found.reason}; {found.hint}"


@pytest.mark.parametrize(
    ("status", "body", "is_divisible"),
    [
        (404, fixture("error-ecs.json"), True),
        (400, fixture("error-ecs-details.json"), True),
        (400, fixture("error-batch-internal.json"), True),
        (400, ecs("Ecs.0100"), True),
        (501, ecs("Ecs.0603"), True),
        (400, ecs("Ecs.0605"), True),
        (400, ecs("Ecs.0030"), True),
        (404, ecs("Ecs.0614"), True),
        (400, ecs("Ecs.0005", "Ecs.0114"), True),
        (400, ecs("Ecs.0005"), False),
        (400, ecs("Ecs.0118"), True),
        (404, fixture("error-apigw-404.json"), False),
        (413, gateway("APIGW.0201"), False),
        (400, ecs("Ecs.0611", "Ecs.0005", "Ecs.0114"), False),
    ],
)
def test_refused(status: int, body: Any, is_divisible: bool) -> None:
    """A code of the list proves that nothing was begun, and whether single servers were
    the reason.
    """
    found = answer(status, body)
    assert isinstance(found, Refused)
    assert found.is_divisible is is_divisible


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (fixture("error-batch-internal.json"), (Refusal.MISSING, Refusal.NOT_ACTIVE)),
        (ecs("Ecs.0603"), (Refusal.BUSY,)),
        (ecs("Ecs.0605"), (Refusal.LOCKED,)),
        (ecs("Ecs.0030"), (Refusal.FROZEN,)),
        (ecs("Ecs.0005"), (Refusal.OTHER,)),
    ],
)
def test_why_a_request_is_refused(body: Any, why: tuple[Refusal, ...]) -> None:
    """Every reason of the answer counts, that of the request first."""
    found = answer(400, body)
    assert isinstance(found, Refused)
    assert found.why == why


@pytest.mark.parametrize(
    "code", [c for c, p in PROOFS.items() if p.verdict is not Verdict.THROTTLED]
)
def test_no_refusal_with_success(code: str) -> None:
    """No code but flow control's turns a 2xx into a refusal: something else may have
    been accepted.
    """
    assert isinstance(answer(200, ecs(code)), Ambiguous)


@pytest.mark.parametrize(
    "code", [c for c in PROOFS if c.startswith("APIGW") and c[-4:] not in ("0101", "0103", "0308")]
)
def test_the_gateways_5xx_proves_nothing(code: str) -> None:
    """The gateway's codes count only with 4xx: with 5xx it may have forwarded the request first."""
    for status in (500, 502, 503, 504):
        assert isinstance(answer(status, gateway(code)), Ambiguous)


def test_every_proof_says_why() -> None:
    """Each code of the allow-list stands there with a reason."""
    assert all(len(p.why) > 5 for p in PROOFS.values())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "999999"}, 3600),
        (
            {
                "retry-after": "Fri, 02 Jan 2026 03:05:05 GMT",
                "date": "Fri, 02 Jan 2026 03:04:05 GMT",
            },
            60,
        ),
        (
            {
                "retry-after": "Fri, 02 Jan 2026 03:03:05 GMT",
                "date": "Fri, 02 Jan 2026 03:04:05 GMT",
            },
            0,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], expected: float | None) -> None:
    """`Retry-After` in both its forms, else nothing."""
    assert retry_after_s(headers) == expected


def test_a_named_limit_is_no_time_to_wait() -> None:
    """The window in the gateway's text is a limit, and says nothing of when to ask again."""
    found = answer(429, fixture("error-apigw-429.json"))
    assert isinstance(found, Throttled)
    assert (found.retry_after_s, found.limit) == (None, Allowed(60, 60.0))
