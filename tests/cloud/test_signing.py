"""Our signature against the vendor's signer and against vectors computed with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.signing import authorization, canonical_request, sdk_date
from runner.net.wire import canonical_query
from tests.cloud.wild import fixture

VECTORS = [
    v for v in json.loads(fixture("signing-vectors.json"))["vectors"] if v["derived"] is None
]

_texts = st.text(st.characters(codec="utf-8"), max_size=12)
_segments = st.lists(_texts.filter(lambda s: "/" not in s), min_size=1, max_size=4)
_names = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789", min_size=1, max_size=10
)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=15)
_taken = {"host", "x-sdk-date", "authorization", "content-type", "x-sdk-content-sha256"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Canonical request and signature are those of the vendor's signer, odd paths and
    queries included.
    """
    query = [(name, value) for name, value in vector["query"]]
    parts = (vector["method"], vector["path"], query, vector["headers"], vector["body"].encode())
    assert canonical_request(*parts)[0] == vector["canonical_request"]
    assert (
        authorization(vector["access_key"], vector["secret_key"], *parts) == vector["authorization"]
    )


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments=_segments,
    query=st.dictionaries(
        _texts.filter(bool), st.lists(_texts, min_size=1, max_size=3), max_size=5
    ),
    extra=st.dictionaries(_names, _values, max_size=4),
    content_type=st.sampled_from(["application/json", "application/json;charset=UTF-8"]),
    body=st.binary(max_size=60),
    secret=st.text("abcdefABCDEF0123456789+/", min_size=1, max_size=40),
)
def test_same_as_the_vendors_signer(
    method: str,
    segments: list[str],
    query: dict[str, list[str]],
    extra: dict[str, str],
    content_type: str,
    body: bytes,
    secret: str,
) -> None:
    """For any request the header and the query string are the ones that the vendor's SDK
    would send.
    """
    headers = {
        "Host": "ecs.example.com",
        "X-Sdk-Date": "20260102T030405Z",
        "Content-Type": content_type,
    }
    lower: set[str] = set(_taken)
    for name, value in extra.items():
        if name.lower() not in lower:
            lower.add(name.lower())
            headers[name] = value
    path = "/" + "/".join(segments)
    request = SdkRequest(
        method=method,
        schema="https",
        host="ecs.example.com",
        resource_path=path,
        query_params=[(k, list(v)) for k, v in query.items()],
        header_params=dict(headers),
        body=body,
    )
    signed = Signer(BasicCredentials("AKEXAMPLE", secret, "p" * 32)).sign(request)
    pairs = [(k, v) for k, values in query.items() for v in values]
    assert (
        authorization("AKEXAMPLE", secret, method, path, pairs, headers, body)
        == (signed.header_params["Authorization"])
    )
    sent = signed.uri[len(path) :].removeprefix("?")
    assert canonical_query(pairs) == sent


def test_date_is_utc() -> None:
    """The date of a signature is UTC whatever zone the time is in."""
    east = datetime(2026, 1, 2, 11, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    assert (
        sdk_date(east) == sdk_date(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "20260102T030405Z"
    )


def test_date_needs_a_zone() -> None:
    """A time without a zone is refused and not guessed."""
    with pytest.raises(ValueError, match="aware"):
        sdk_date(datetime(2026, 1, 2))  # noqa: DTZ001 - that is the point


def test_date_is_required() -> None:
    """A request without its date cannot be signed."""
    with pytest.raises(KeyError):
        authorization("a", "b", "GET", "/", (), {"Host": "h"})
