"""Where the services are, and which hosts a configuration may name."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.endpoints import checked, settings_for
from runner.cloud.huawei.hosts import PARTNERS, Partner, domains_of
from runner.errors import InvalidInput
from runner.net.hosts import is_loopback
from runner.ports.provider import provider_of


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
    """A region list of the vendor's SDK, from its own file: its package would import
    thousands of models.
    """
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
    found = settings_for(
        cloud="otc", region="eu-de", ecs="https://ecs.eu-de.otc.t-systems.com/", environ={}
    )
    assert found.ecs_url == "https://ecs.eu-de.otc.t-systems.com"
    assert found.iam_url == "https://iam.eu-de.otc.t-systems.com"
    simulated = settings_for(cloud="simulator", region="r", ecs="http://127.0.0.1:8080", environ={})
    assert simulated.iam_url == simulated.ecs_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://ECS.cn-north-4.MyHuaweiCloud.com", "https://ecs.cn-north-4.myhuaweicloud.com"),
        (
            "https://ecs.cn-north-4.myhuaweicloud.com:443",
            "https://ecs.cn-north-4.myhuaweicloud.com",
        ),
        (
            "https://ecs.cn-north-4.myhuaweicloud.com:8443",
            "https://ecs.cn-north-4.myhuaweicloud.com:8443",
        ),
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
    """Hosts outside of the cloud, plain HTTP and tricks with URLs are refused; a password
    in one is not repeated.
    """
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
        found = settings_for(
            cloud="huaweicloud", region="r", ecs=f"https://{host}", environ=environ
        )
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
    """A simulated target has to say where it is, and may only be on loopback unless the
    environment allows it.
    """
    with pytest.raises(InvalidInput):
        settings_for(cloud="simulator", region="r", environ={})
    with pytest.raises(InvalidInput):
        settings_for(
            cloud="simulator",
            region="r",
            ecs="https://ecs.cn-north-4.myhuaweicloud.com",
            environ={},
        )


def test_unknown_cloud() -> None:
    """A cloud that does not exist is an error."""
    with pytest.raises(InvalidInput):
        settings_for(cloud="aws", region="r", environ={})


# -- hosts that somebody rents below the same domain, and partners -------------


@pytest.mark.parametrize(
    ("cloud", "region", "service", "url"),
    [
        (
            "otc",
            "eu-de",
            "ecs",
            "https://e5beede1b02a41d3b1e7060974ed6a62.apic.eu-de.otc.t-systems.com",
        ),
        ("otc", "eu-de", "ecs", "https://ecs.apic.eu-de.otc.t-systems.com"),
        ("otc", "eu-de", "ecs", "https://ecs.obs.eu-de.otc.t-systems.com"),
        ("otc", "eu-de", "ecs", "https://ecs.obs.otc.t-systems.com"),
        ("otc", "eu-de", "ecs", "https://ecs.obs-website.otc.t-systems.com"),
        ("otc", "eu-de", "ecs", "https://obs.eu-de.otc.t-systems.com"),
        ("otc", "eu-de", "iam", "https://ecs.eu-de.otc.t-systems.com"),
        ("otc", "eu-de", "iam", "https://iamx.eu-de.otc.t-systems.com"),
        ("otc", "eu-de", "ecs", "https://ecs.xn--eu-de.otc.t-systems.com"),
        ("huaweicloud", "cn-north-4", "iam", "https://iam.obs.cn-north-4.myhuaweicloud.com"),
        ("huaweicloud", "cn-north-4", "iam", "https://iam.obs.myhuaweicloud.com"),
        ("huaweicloud", "ru-moscow-1", "ecs", "https://0123.apicapis.ru-moscow-1.hc.sbercloud.ru"),
        ("huaweicloud", "eu-west-101", "ecs", "https://ecs.ru-moscow-1.hc.sbercloud.ru"),
        ("otc", "ru-moscow-1", "ecs", "https://ecs.ru-moscow-1.hc.sbercloud.ru"),
    ],
)
def test_hosts_that_anybody_can_rent(cloud: str, region: str, service: str, url: str) -> None:
    """A bucket, an API of the gateway, another service, a partner of another region: no
    endpoint of the service.
    """
    with pytest.raises(InvalidInput) as caught:
        settings_for(cloud=cloud, region=region, **{service: url}, environ={})
    assert [p.code for p in caught.value.problems] == ["EndpointNotAllowed"]
    hint = str(caught.value.problems[0].hint)
    assert "REBOOT_RUNNER_ALLOWED_HOSTS" in hint
    assert provider_of(cloud).check_endpoint(service, url, region, ()) is not None


def test_swiss_otc() -> None:
    """Region eu-ch2 is below a domain of its own, and its IAM has another name."""
    found = settings_for(cloud="otc", region="eu-ch2", environ={})
    assert found.ecs_url == "https://ecs.eu-ch2.sc.otc.t-systems.com"
    assert found.iam_url == "https://iam-pub.eu-ch2.sc.otc.t-systems.com"
    assert checked(found.iam_url, "otc", service="iam") == found.iam_url


@pytest.mark.parametrize("partner", PARTNERS, ids=lambda p: p.region)
def test_partner_clouds(partner: Partner) -> None:
    """One endpoint at the partner takes the others along: no credential goes to the
    operator of the rule.
    """
    url = f"https://ecs.{partner.region}.{partner.domain}"
    found = settings_for(cloud="huaweicloud", region=partner.region, ecs=url, environ={})
    assert found.ecs_url == url
    assert found.iam_url == f"https://iam.{partner.region}.{partner.domain}"
    assert found.ces_url == f"https://ces.{partner.region}.{partner.domain}"
    assert found.as_url == f"https://as.{partner.region}.{partner.domain}"
    assert found.sts_url is None
    rule = settings_for(cloud="huaweicloud", region=partner.region, environ={})
    assert rule.ecs_url == f"https://ecs.{partner.region}.myhuaweicloud.com"  # the SDK's list


def test_a_cloud_that_the_environment_allows() -> None:
    """A suffix of the environment takes the other services along, an exact host does not;
    written ones win.
    """
    environ = {"REBOOT_RUNNER_ALLOWED_HOSTS": ".cloud.example.com login.example.com"}
    url = "https://ecs.r-1.cloud.example.com"
    found = settings_for(cloud="huaweicloud", region="r-1", ecs=url, environ=environ)
    assert found.iam_url == "https://iam.r-1.cloud.example.com"
    found = settings_for(
        cloud="huaweicloud", region="r-1", ecs=url, iam="https://login.example.com", environ=environ
    )
    assert found.iam_url == "https://login.example.com"
    with pytest.raises(InvalidInput):
        settings_for(cloud="huaweicloud", region="r-1", ecs=url, environ={})
    environ = {"REBOOT_RUNNER_ALLOWED_HOSTS": "10.0.0.5, 2001:db8::5"}
    for address in ("https://10.0.0.5:8443", "https://[2001:db8::5]"):
        assert (
            settings_for(cloud="huaweicloud", region="r-1", ecs=address, environ=environ).ecs_url
            == address
        )
    for address in (
        "https://10.0.0.6",
        "https://10.5",
        "https://[2001:db8::0005]",
        "http://10.0.0.5",
    ):
        with pytest.raises(InvalidInput):
            settings_for(cloud="huaweicloud", region="r-1", ecs=address, environ=environ)


def test_all_services_of_the_vendors_regions() -> None:
    """Cloud Eye is where the vendor's SDK has it in every region."""
    for region, endpoints in regions_of_the_sdk(
        "huaweicloudsdkces", "v1/region/ces_region.py", "CesRegion"
    ).items():
        assert settings_for(cloud="huaweicloud", region=region, environ={}).ces_url in endpoints


# -- tricks --------------------------------------------------------------------

ALLOWED = (".partner.example",)
TRICKS = [
    *("https://ecs.eu-de.otc.t-systems.com.", "https://ecs.eu-de.otc.t-systems.com..", "https://localhost."),
    *("https://еcs.eu-de.otc.t-systems.com", "https://ecs.eu-de.otc.t-systems.com。", "https://ecs。evil.com"),
    *("https://ecs.eu-de.otc.t‐systems.com", "https://ecs.eu-de.otc.t-systems.com\u200b", "https://ｅcs.evil.com"),
    *("https://ecs.eu-de.otc.t-systems.com:", "https://ecs.eu-de.otc.t-systems.com:0", "https://[::1]:0443"),
    *("https://ecs.eu-de.otc.t-systems.com:٤٤٣", "https://ecs.eu-de.otc.t-systems.com:+443"),
    *("https://ecs.eu-de.otc.t-systems.com:443:443", "https://ecs.eu-de.otc.t-systems.com:65536"),
    *("https://ecs.eu-de.otc.t-systems.com:443@evil.com", "https://@ecs.eu-de.otc.t-systems.com"),
    *("https://evil.com:443\\@ecs.eu-de.otc.t-systems.com", "https:\\\\ecs.eu-de.otc.t-systems.com"),  # noqa: E501
    *("https://[::ffff:169.254.169.254]", "https://[fe80::1%25eth0]", "https://[::1]evil.com", "https://[2001:db8::1]"),
    *("https://[::1].otc.t-systems.com", "https://0x7f.1", "https://127.1", "https://2852039166", "https://1.2.3.4"),
    *("https:ecs.eu-de.otc.t-systems.com", "https:///ecs.eu-de.otc.t-systems.com", "https://ecs.eu-de.otc.t-systems.com//"),
    *("https://ecs.eu-de.otc.t-systems.com/v1", "https://ecs.eu-de.otc.t-systems.com\t", "https://ecs..otc.t-systems.com"),
    *("https://-ecs.eu-de.otc.t-systems.com", "https://ecs.eu-de-.otc.t-systems.com", "https://.otc.t-systems.com"),
    *("https://ecs%2eeu-de.otc.t-systems.com", "https://ecs.eu-de.otc.t-systems.com%00.evil.com"),
    *("https://partner.example", "https://a_b.partner.example", f"https://{'a' * 64}.partner.example"),  # noqa: E501
    "https://" + "a." * 130 + "partner.example",
]  # fmt: skip


@pytest.mark.parametrize("url", TRICKS)
def test_tricks(url: str) -> None:
    """Look-alikes, closing dots, users, odd ports, odd addresses: refused at both doors, in
    a sentence on one line.
    """
    with pytest.raises(InvalidInput) as caught:
        checked(url, "otc", ALLOWED)
    assert caught.value.problems[0].message.isprintable()
    assert provider_of("otc").check_endpoint("ecs", url, "eu-de", ALLOWED) is not None


PIECES = [
    "https://",
    "http://",
    "ecs",
    "iam",
    ".",
    "eu-de",
    "otc.t-systems.com",
    ".sc",
    "obs",
    "evil.com",
    "127.0.0.1",
]
PIECES += [
    "localhost",
    "[::1]",
    ":443",
    ":8443",
    "@",
    "/",
    "\\",
    "#",
    "?",
    "%2e",
    "。",
    "е",
    "xn--",
    "-",
    " ",
    "a:b@",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
@example("https://ecs.eu-de.otc.t-systems.com:8443")
@example("http://[::1]:8443/")
def test_what_is_accepted_is_read_alike(url: str) -> None:
    """Whatever passes leads, for the HTTP client and for Python's own parser, to this
    machine or to the service.
    """
    try:
        found = checked(url, "otc")
    except InvalidInput:
        assert provider_of("otc").check_endpoint("ecs", url, "eu-de", ()) is not None
        return
    assert provider_of("otc").check_endpoint("ecs", url, "eu-de", ()) is None
    assert checked(found, "otc") == found
    for text in (url, found):
        client, own = httpx.URL(text), urlsplit(text)
        assert client.host == own.hostname
        assert (client.userinfo, own.username, client.path, client.query) == (b"", None, "/", b"")
        if not is_loopback(client.host):
            assert client.scheme == own.scheme == "https"
            assert re.fullmatch(
                r"ecs(-\w+)?(\.[a-z]+-[\w-]+)?(\.sc)?\.otc\.t-systems\.com", client.host
            )


def test_partner_domains_are_none_of_each_other() -> None:
    """Regions and domains of partners are told apart, and no domain lies below another's."""
    assert len({p.region for p in PARTNERS}) == len({p.domain for p in PARTNERS}) == len(PARTNERS)
    for partner in PARTNERS:
        assert partner.domain in domains_of("huaweicloud", partner.region)
        assert partner.domain not in domains_of("huaweicloud", "eu-west-101")
