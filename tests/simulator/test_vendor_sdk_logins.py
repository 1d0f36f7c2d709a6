"""The vendor's own SDK logs in to the simulated cloud by each kind of credentials that it knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.internal import MetadataAccessor
from huaweicloudsdkcore.auth.provider import (
    EnvCredentialProvider,
    MetadataCredentialProvider,
    ProfileCredentialProvider,
)
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkecs import v2 as ecs

from runner.simulator.switches import Instance
from tests.issuer import TRUST, id_token

from .bench import KEYS, Bench, simulated

SERVER = "5b919bd2-e315-41d0-850d-a15cb5a686c0"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    with simulated(3) as bench:
        yield bench


def count(bench: Bench, credentials: Any) -> int:
    """How many servers a client with these credentials sees. The project is looked up."""
    credentials.with_iam_endpoint(bench.running.url)
    client = (
        ecs.EcsClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials)
        .with_region(Region(bench.running.region, bench.running.url))
        .build()
    )
    return int(client.list_servers_details(ecs.ListServersDetailsRequest()).count)


def trust(bench: Bench, **more: Any) -> None:
    bench.state.credentials = KEYS.model_copy(update=more)


def test_temporary_key(bench: Bench) -> None:
    """A key with its security token is taken; without it, or with another, it is refused."""
    trust(bench, security_token="temporary==")
    assert count(bench, BasicCredentials(KEYS.ak, KEYS.sk).with_security_token("temporary==")) == 3
    for token in (None, "another=="):
        with pytest.raises((ClientRequestException, SdkException), match=r"APIGW\.0301"):
            count(
                bench,
                BasicCredentials(KEYS.ak, KEYS.sk, bench.running.project_id).with_security_token(
                    token
                ),
            )


def test_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's provider for the environment reads the names that we read."""
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", KEYS.ak)
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", KEYS.sk)
    monkeypatch.delenv("HUAWEICLOUD_SDK_SECURITY_TOKEN", raising=False)
    assert count(bench, EnvCredentialProvider.get_basic().get_credentials()) == 3


def test_credentials_file(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's provider for its file reads the file that we read."""
    file = tmp_path / "credentials"
    file.write_text(f"[basic]\nak = {KEYS.ak}\nsk = {KEYS.sk}\n")
    monkeypatch.setenv("HUAWEICLOUD_SDK_CREDENTIALS_FILE", str(file))
    assert count(bench, ProfileCredentialProvider.get_basic().get_credentials()) == 3


@pytest.mark.parametrize("tokens", ["optional", "required", "unknown"])
def test_metadata(bench: Bench, monkeypatch: pytest.MonkeyPatch, tokens: Any) -> None:
    """The SDK's provider for an ECS gets the agency's key; without an agency it is told so."""
    monkeypatch.setattr(MetadataAccessor, "_METADATA_ENDPOINT", bench.running.url)
    trust(bench, instance=Instance(server=SERVER, tokens=tokens))
    assert count(bench, MetadataCredentialProvider.get_basic().get_credentials()) == 3
    trust(bench, instance=Instance(server=SERVER, tokens=tokens, agency=False))
    with pytest.raises(ClientRequestException, match="Please configure Cloud Service Agency first"):
        MetadataCredentialProvider.get_basic().get_credentials()


def test_identity_provider(bench: Bench, tmp_path: Path) -> None:
    """The SDK's way with an identity provider: a token for the ID token, a key for the
    token, signed requests.
    """
    trust(bench, oidc=TRUST)
    file = tmp_path / "token.jwt"
    file.write_text(id_token())
    assert (
        count(bench, BasicCredentials().with_idp_id(TRUST.idp_id).with_id_token_file(str(file)))
        == 3
    )
    assert [c.status for c in bench.state.requests() if c.call == "token"][1:] == [201, 201]
    for idp, token in (
        ("another", id_token()),
        (TRUST.idp_id, id_token(secret="another-issuer-secret")),
    ):
        file.write_text(token)
        with pytest.raises((ClientRequestException, SdkException), match=r"IAM\.000"):
            count(bench, BasicCredentials().with_idp_id(idp).with_id_token_file(str(file)))
