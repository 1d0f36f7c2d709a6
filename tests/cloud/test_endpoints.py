"""Where the services are, and which hosts a configuration may name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import pytest

from runner.cloud.endpoints import checked, settings_for
from runner.errors import InvalidInput


@pytest.mark.parametrize(
    ("cloud", "region", "ecs", "iam"),
    [
        ("huaweicloud", "cn-north-4", "https://ecs.cn-north-4.myhuaweicloud.com", "https://iam.cn-north-4.myhuaweicloud.com"),
        ("huaweicloud", "eu-west-101", "https://ecs.eu-west-101.myhuaweicloud.com", "https://iam.eu-west-101.myhuaweicloud.eu"),
        ("huaweicloud", "cn-south-4", "https://ecs.cn-south-4.myhuaweicloud.com", "https://iam.myhuaweicloud.com"),
        ("otc", "eu-de", "https://ecs.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"),
    ],
)  # fmt: skip
def test_rule(cloud: str, region: str, ecs: str, iam: str) -> None:
    """Endpoints follow from cloud and region."""
    found = settings_for(cloud=cloud, region=region, environ={})
    assert (found.ecs_url, found.iam_url) == (ecs, iam)


def regions_of_the_sdk(package: str, file: str, name: str) -> dict[str, list[str]]:
    """A region list of the vendor's SDK, from its own file: its package would import thousands of models."""
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    lists = run_path(str(Path(found.origin).parent / file))[name]
    return {region: list(known.endpoints) for region, known in lists.static_fields.items()}


def test_same_as_the_vendors_regions() -> None:
    """The rule gives the same ECS and IAM endpoints as the region lists of the vendor's SDK."""
    ecs = regions_of_the_sdk("huaweicloudsdkecs", "v2/region/ecs_region.py", "EcsRegion")
    iam = regions_of_the_sdk("huaweicloudsdkiam", "v3/region/iam_region.py", "IamRegion")
    assert len(ecs) > 20
    for region, endpoints in ecs.items():
        found = settings_for(cloud="huaweicloud", region=region, environ={})
        assert found.ecs_url in endpoints
        assert found.iam_url in iam.get(region, ["https://iam.myhuaweicloud.com"])


def test_written_endpoints() -> None:
    """Endpoints that are written win; a simulated cloud's ECS endpoint stands for IAM too."""
    found = settings_for(cloud="otc", region="eu-de", ecs="https://ecs.eu-nl.otc.t-systems.com/", environ={})
    assert found.ecs_url == "https://ecs.eu-nl.otc.t-systems.com"
    assert found.iam_url == "https://iam.eu-de.otc.t-systems.com"
    simulated = settings_for(cloud="simulator", region="r", ecs="http://127.0.0.1:8080", environ={})
    assert simulated.iam_url == simulated.ecs_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://ECS.cn-north-4.MyHuaweiCloud.com", "https://ecs.cn-north-4.myhuaweicloud.com"),
        ("https://ecs.cn-north-4.myhuaweicloud.com:443", "https://ecs.cn-north-4.myhuaweicloud.com"),
        ("https://ecs.cn-north-4.myhuaweicloud.com:8443", "https://ecs.cn-north-4.myhuaweicloud.com:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.8.9.1:99", "http://127.8.9.1:99"),
        ("http://[::1]:99", "http://[::1]:99"),
    ],
)
def test_origins(url: str, origin: str) -> None:
    """An endpoint becomes its origin: one spelling for one place."""
    assert checked(url, "huaweicloud") == origin


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://evil.example.com", "EndpointNotAllowed"),
        ("https://myhuaweicloud.com", "EndpointNotAllowed"),
        ("https://evilmyhuaweicloud.com", "EndpointNotAllowed"),
        ("https://ecs.myhuaweicloud.com.evil.com", "EndpointNotAllowed"),
        ("https://ecs.eu-de.otc.t-systems.com", "EndpointNotAllowed"),
        ("https://169.254.169.254", "EndpointNotAllowed"),
        ("http://ecs.cn-north-4.myhuaweicloud.com", "EndpointInsecure"),
        ("ftp://127.0.0.1", "EndpointInvalid"),
        ("https://user:planted-pass@ecs.cn-north-4.myhuaweicloud.com", "EndpointInvalid"),
        ("https://evil.com#.myhuaweicloud.com", "EndpointInvalid"),
        ("https://evil.com/.myhuaweicloud.com", "EndpointInvalid"),
        ("https://evil.com?.myhuaweicloud.com", "EndpointInvalid"),
        ("https://evil.com\\.myhuaweicloud.com", "EndpointInvalid"),
        ("https://a b.myhuaweicloud.com", "EndpointInvalid"),
        ("https://", "EndpointInvalid"),
        ("ecs.cn-north-4.myhuaweicloud.com", "EndpointInvalid"),
        ("https://[::1", "EndpointInvalid"),
        ("https://h:port", "EndpointInvalid"),
    ],
)
def test_endpoints_that_may_not_be_used(url: str, code: str) -> None:
    """Hosts outside of the cloud, plain HTTP and tricks with URLs are refused; a password in one is not repeated."""
    with pytest.raises(InvalidInput) as caught:
        checked(url, "huaweicloud")
    problem = caught.value.problems[0]
    assert problem.code == code
    assert problem.hint
    assert "planted-pass" not in repr(problem)


def test_the_environment_allows() -> None:
    """Only the environment adds hosts: exact ones, and suffixes that begin with a dot."""
    environ = {"REBOOT_RUNNER_ALLOWED_HOSTS": "ecs.partner.example, .HC.example.org ,"}
    for host in ("ecs.partner.example", "a.hc.example.org"):
        found = settings_for(cloud="huaweicloud", region="r", ecs=f"https://{host}", environ=environ)
        assert found.ecs_url == f"https://{host}"
    for host in ("x.ecs.partner.example", "hc.example.org", "evilhc.example.org"):
        with pytest.raises(InvalidInput):
            settings_for(cloud="huaweicloud", region="r", ecs=f"https://{host}", environ=environ)


@pytest.mark.parametrize("region", ["", "evil.com/", "a.b", "-x", "x" * 80, "a\n", "EU"])
def test_regions_that_are_none(region: str) -> None:
    """A region becomes part of a host name, so it may hold nothing else."""
    with pytest.raises(InvalidInput):
        settings_for(cloud="huaweicloud", region=region, environ={})


def test_simulated_cloud_stays_on_loopback() -> None:
    """A simulated target has to say where it is, and may only be on loopback unless the environment allows it."""
    with pytest.raises(InvalidInput):
        settings_for(cloud="simulator", region="r", environ={})
    with pytest.raises(InvalidInput):
        settings_for(cloud="simulator", region="r", ecs="https://ecs.cn-north-4.myhuaweicloud.com", environ={})


def test_unknown_cloud() -> None:
    """A cloud that does not exist is an error."""
    with pytest.raises(InvalidInput):
        settings_for(cloud="aws", region="r", environ={})
