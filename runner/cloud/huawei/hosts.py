"""The clouds, and where their services are: one table, with its sources. Pure.

The rule is `{service}.{region}.{domain}`. Sources, in the order in which they count: the
region lists of the vendor's SDK 3.1.219 (`EcsRegion`, `IamRegion`, `CesRegion`, `AsRegion`,
and `endpoint.py` of its core for IAM and STS); the page "Regions and Endpoints" of Open
Telekom Cloud (regions eu-de and eu-nl); for what neither has, the endpoints that public
configurations of the cloud's own Terraform provider name.

Below the same domains anybody can rent a host: a bucket is
`{bucket}.obs.{region}.{domain}`, an API of the gateway
`{id}.apic.{region}.otc.t-systems.com`. So a written endpoint must have the whole shape of
its service, not only the domain as its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

SERVICES = ("ecs", "iam", "sts", "ces", "autoscaling")
"""Services by the keys of `endpoints` in the configuration."""

DOMAINS: Mapping[str, str] = MappingProxyType(
    {"huaweicloud": "myhuaweicloud.com", "otc": "otc.t-systems.com"}
)
"""The domain of the rule. A simulated cloud has none: it is where its endpoint says."""

FURTHER_DOMAINS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # The European site: IAM is there (`IamRegion`), Terraform's provider takes all its
        # services from there. Auto Scaling was seen answering below myhwclouds.com too.
        "huaweicloud": ("myhuaweicloud.eu", "myhwclouds.com"),
        # Swiss OTC, region eu-ch2.
        "otc": ("sc.otc.t-systems.com",),
    }
)
"""Other domains of the same operator, allowed where they are written."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A cloud that somebody else runs with the same services, in a region of its own, below
    a domain of its own.
    """

    name: str
    region: str
    domain: str


PARTNERS: tuple[Partner, ...] = (
    # `auth_url` of Terraform's providers flexibleengine and sbercloud.
    Partner("Flexible Engine (Orange Business)", "eu-west-0", "prod-cloud-ocb.orange-business.com"),
    Partner("SberCloud", "ru-moscow-1", "hc.sbercloud.ru"),
    # Clients of that cloud that use the vendor's SDK with this endpoint.
    Partner("TM ONE Alpha Edge", "my-kualalumpur-1", "alphaedge.tmone.com.my"),
    # The SDK's own lists for VPC, ELB and LTS in this region.
    Partner("G42 Cloud", "ae-ad-1", "g42cloud.com"),
)
"""The vendor's SDK has these regions below its own domain, so that is the rule; the partner's
is allowed in its region, and one endpoint that is written there takes the other services
along.
"""

_LABELS: Mapping[str, str] = MappingProxyType(
    {"ecs": "ecs", "iam": "iam", "sts": "sts", "ces": "ces", "autoscaling": "as"}
)
_REGION_DOMAINS = {("otc", "eu-ch2"): "sc.otc.t-systems.com"}
_EXCEPTIONS: Mapping[tuple[str, str, str], str | None] = MappingProxyType(
    {
        ("huaweicloud", "eu-west-101", "iam"): "iam.eu-west-101.myhuaweicloud.eu",
        (
            "huaweicloud",
            "eu-west-101",
            "sts",
        ): None,  # a site with an IAM of its own; nobody says where its STS is
        ("otc", "eu-ch2", "iam"): "iam-pub.eu-ch2.sc.otc.t-systems.com",
    }
)
# Regions that the SDK's IAM list lacks use the global endpoint (comparison of its EcsRegion
# and IamRegion).
_IAM_GLOBAL = frozenset(
    {"cn-north-11", "cn-south-4", "cn-southwest-3", "ap-southeast-5", "af-north-1"}
)
# The STS list of the SDK, and what it uses for all other regions.
_STS_REGIONS = frozenset(
    (
        *(
            "cn-north-4",
            "cn-south-1",
            "cn-east-3",
            "cn-southwest-2",
            "sa-brazil-1",
            "la-south-2",
            "af-south-1",
        ),
        *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "tr-west-1"),
    )
)
_STS_DEFAULT = "cn-north-4"

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# `{service}`, perhaps with a suffix (`iam-pub`), perhaps a region: never two further
# labels, never storage.
_SHAPE = re.compile(
    r"([a-z]+)(?:-[a-z0-9]+)?(?:\.((?!obs|oss|xn-)[a-z]{2,}-[a-z0-9-]{0,60}[a-z0-9]))?"
)


_ANYWHERE = ("iam", "sts")
"""An account is the same in all regions of a cloud: these services may be asked elsewhere."""


def is_region(text: str) -> bool:
    """Whether a text can be part of a host name, as a region must."""
    return bool(_REGION.fullmatch(text))


def host_of(cloud: str, region: str, service: str, domain: str | None = None) -> str | None:
    """The host of a service by the rule; None where no source says one. `domain`: another
    one, of a partner.
    """
    if domain is not None:
        return None if service == "sts" else f"{_LABELS[service]}.{region}.{domain}"
    if (cloud, region, service) in _EXCEPTIONS:
        return _EXCEPTIONS[cloud, region, service]
    if service == "sts":
        if cloud != "huaweicloud":
            return None
        region = region if region in _STS_REGIONS else _STS_DEFAULT
    elif service == "iam" and cloud == "huaweicloud" and region in _IAM_GLOBAL:
        return f"iam.{DOMAINS[cloud]}"
    return f"{_LABELS[service]}.{region}.{_REGION_DOMAINS.get((cloud, region), DOMAINS[cloud])}"


def domains_of(cloud: str, region: str) -> tuple[str, ...]:
    """The domains below which endpoints of this cloud and region may be written."""
    if cloud not in DOMAINS:
        return ()
    partners = tuple(p.domain for p in PARTNERS if cloud == "huaweicloud" and p.region == region)
    return (DOMAINS[cloud], *FURTHER_DOMAINS.get(cloud, ()), *partners)


def is_host_of(host: str, cloud: str, region: str, service: str) -> bool:
    """Whether a host (lower case) has the shape of this service's hosts in this cloud."""
    for domain in domains_of(cloud, region):
        if host.endswith("." + domain):
            shape = _SHAPE.fullmatch(host.removesuffix("." + domain))
            if shape is not None and shape[1] == _LABELS[service]:
                return service in _ANYWHERE or not region or shape[2] in (None, region)
    return False


def other_domain(ecs_host: str, cloud: str, region: str, allowed: Iterable[str]) -> str | None:
    """The domain that a written ECS host takes the other services along to; None where the
    rule's stays.

    That of a partner, and one that the environment allows as a suffix, where the host
    follows the rule in it.
    """
    head, dot, domain = ecs_host.partition(f"ecs.{region}.")
    if head or not dot:
        return None
    own = {p.domain for p in PARTNERS if cloud == "huaweicloud" and p.region == region}
    suffixes = tuple(a for a in allowed if a.startswith("."))
    return domain if domain in own or f".{domain}".endswith(suffixes) else None


def how_to_allow(cloud: str, region: str, service: str) -> str:
    """Which hosts may be written, for a hint."""
    names = (
        ", ".join(f"{_LABELS[service]}.REGION.{d}" for d in domains_of(cloud, region)) or "loopback"
    )
    return (
        f"allowed are {names}; others only where REBOOT_RUNNER_ALLOWED_HOSTS in the "
        f"environment lists them"
    )
