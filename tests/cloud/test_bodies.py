"""Error bodies in every shape of the API pages, and in the shapes of nobody."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.bodies import Detail, read_error
from runner.inputs.json_text import NotJson, parse_json
from runner.net.secret import Secret, scrubber
from runner.net.text import tidy
from runner.net.wire import Reply
from tests.cloud.wild import FIXTURES, fixture

CODES = {
    "error-am-422.json": "602",
    "error-apigw-401.json": "APIGW.0301",
    "error-apigw-404.json": "APIGW.0101",
    "error-apigw-429.json": "APIGW.0308",
    "error-apigw-token-expired.json": "APIGW.0307",
    "error-batch-internal.json": "Ecs.0611",
    "error-ces.json": "403",
    "error-ecs-details.json": "Ecs.0611",
    "error-ecs.json": "Ecs.0114",
    "error-elb-v2-404.json": "PoolNotFound",
    "error-elb-v3-404.json": "ELB.8904",
    "error-elb-v3-409.json": "ELB.8907",
    "error-flow-limit-202.json": "Common.0024",
    "error-iam-keystone.json": "401",
    "error-iam.json": "IAM.0001",
    "error-openstack.json": "404",
    "error-policy-403.json": "Pdp.0001",
    "job-query-error.json": "Common.0011",
}


def test_every_error_example_is_tried() -> None:
    """No error example of the API pages is left out below."""
    examples = {p.name for p in FIXTURES.glob("error-*.json")} | {"job-query-error.json"}
    assert examples == CODES.keys()


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_examples(name: str, code: str) -> None:
    """The code and a message are found in every documented example."""
    error = read_error(Reply(400, {}, fixture(name)))
    assert error.code == code
    assert error.is_json
    assert error.message
    assert not error.message.startswith("HTTP")


def test_details() -> None:
    """Details keep their codes, in `details` and in `internalError` alike; the latter
    name servers.
    """
    assert read_error(Reply(400, {}, fixture("error-ecs-details.json"))).codes == (
        "Ecs.0611",
        "Ecs.0100",
    )
    found = read_error(Reply(400, {}, fixture("error-batch-internal.json"))).details
    assert [(d.code, d.server_id) for d in found] == [
        ("Ecs.0114", "616fb98f-46ca-475e-917e-2563e5a8cd19"),
        ("Ecs.0100", "726fb98f-46ca-475e-917e-2563e5a8cd20"),
    ]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"errorCode": "X.1", "errorMsg": "m"}', "X.1", "m"),
        ('{"code": "X.1", "message": "m"}', "X.1", "m"),
        ('{"NeutronError": {"message": "m", "type": "t", "detail": ""}}', "t", "m"),
        (
            (
                '{"code": 400, "element": "e", "message": "m", "details": {"details": "d", "code": '
                '"ces.0013"}}'
            ),
            "ces.0013",
            "m",
        ),
        ('{"conflictingRequest": {"code": 409, "message": "m"}}', "409", "m"),
        ('{"error": "only text"}', None, "only text"),
        ('{"error": {"message": null, "code": null}}', None, "HTTP 400"),
        ('{"error_code": "X.1"}', "X.1", "HTTP 400"),
        ('{"error": {"code": true, "message": ["m"]}}', None, "['m']"),
        ('{"error": {"code": "no code at all", "message": "m"}}', None, "m"),
        ("{}", None, "HTTP 400"),
        ("[]", None, "HTTP 400"),
        ("", None, "HTTP 400 without a body"),
        (
            "<html><title>502 Bad &amp; Gateway</title><p>secret stuff</html>",
            None,
            "HTTP 400 (502 Bad & Gateway)",
        ),
        ("<p>x</p>", None, "HTTP 400 (a page of HTML)"),
        ("upstream\x1b[31m\nfailed", None, "HTTP 400 (upstream [31m failed)"),
        ("[" * 100_000, None, None),
        ('{"error": {"code": ' + "9" * 5000 + "}}", None, None),
    ],
)
def test_other_shapes(body: str, code: str | None, message: str | None) -> None:
    """Other services' shapes and what is no shape at all: a code only where one stands, and
    never an exception.
    """
    error = read_error(Reply(400, {}, body.encode()))
    assert error.code == code
    if message is not None:
        assert error.message == message


def test_request_id() -> None:
    """The request id is the header's, at IAM the trace id, else the body's."""
    body = fixture("error-apigw-401.json")
    assert read_error(Reply(401, {"x-request-id": "head"}, body)).request_id == "head"
    assert read_error(Reply(401, {"x-iam-trace-id": "trace"}, body)).request_id == "trace"
    assert read_error(Reply(401, {}, body)).request_id == "0ad9f3bbcd7f4d1f9c1d3b1c3d0e9a11"


def test_long_texts_are_cut() -> None:
    """However long a message is, it becomes one line of 500 characters."""
    error = read_error(
        Reply(400, {}, json.dumps({"code": "A.1", "message": "x\n" * 100_000}).encode())
    )
    assert len(error.message) == 500
    assert "\n" not in error.sentence
    assert len(error.sentence) <= 500


def test_endless_details_prove_nothing() -> None:
    """Past the details that are looked at stands a code that nobody knows, so that no
    verdict skips the rest.
    """
    body = {"error": {"code": "Ecs.0611", "message": "m", "details": [{"code": "Ecs.0100"}] * 5000}}
    error = read_error(Reply(400, {}, json.dumps(body).encode()))
    assert error.details[-1] == Detail("TooManyDetails")


def test_echoed_secrets_are_hidden() -> None:
    """The gateway answers a wrong signature with the request it saw, the token in it: that
    never stays in a text.
    """
    token = Secret("MIIToken+with/odd=chars")
    echo = (
        "x" * 480
        + f"canonicalRequest:GET|/v1/|x-security-token:{token.reveal()}|a=MIIToken%2Bwith%2Fodd%3Dchars"  # noqa: E501
    )
    error = read_error(
        Reply(401, {}, json.dumps({"error_code": "APIGW.0301", "error_msg": echo}).encode()),
        scrubber([token]),
    )
    for start in range(len(token.reveal()) - 5):
        assert token.reveal()[start : start + 6] not in repr(error) + error.sentence


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "error",
                        "code",
                        "message",
                        "details",
                        "error_code",
                        "error_msg",
                        "internalError",
                        "id",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.binary(max_size=50),
)
def test_any_json_is_read(value: object, junk: bytes) -> None:
    """No JSON and no bytes break the reading; a code always looks like one."""
    for body in (json.dumps(value).encode(), junk):
        error = read_error(Reply(500, {}, body))
        assert error.code is None or " " not in error.code
        assert "\n" not in error.sentence


def test_tidy() -> None:
    """Texts become one line without control characters, unpaired surrogates or surplus length."""
    assert tidy(" a\x00\x1b[0m\r\n\u2028b ") == "a [0m b"
    assert tidy("\ud800x") == "\ufffdx"
    assert tidy("abcdef", 4) == "abc…"
    assert tidy("naïve 服务器") == "naïve 服务器"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe\x00", b"[" * 50, b"1" * 10_000, b'{"user_data": "hash']
)
def test_what_is_no_json(body: bytes) -> None:
    """Whatever is no JSON is one kind of error, which quotes nothing of it and leads to
    nothing of it.
    """
    with pytest.raises(NotJson) as caught:
        parse_json(body)
    assert "hash" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
