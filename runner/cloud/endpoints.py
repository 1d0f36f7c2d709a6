"""Where a target's services are: the rule per cloud, and the check of hosts that somebody wrote.

A plan can never name a host. A configuration can, but only one below a suffix of its cloud, loopback, or one that
the environment (not the repository) allows: otherwise a pull request could send the signed requests elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from runner.errors import InvalidInput
from runner.model.problem import Problem
from runner.net.hosts import is_loopback

ALLOWED_HOSTS = "REBOOT_RUNNER_ALLOWED_HOSTS"

_SUFFIXES = {
    # `.eu` is where IAM of the European site eu-west-101 is (region list of the vendor's SDK).
    "huaweicloud": (".myhuaweicloud.com", ".myhuaweicloud.eu"),
    "otc": (".otc.t-systems.com",),
    "simulator": (),
}
_DOMAIN = {"huaweicloud": "myhuaweicloud.com", "otc": "otc.t-systems.com"}
_IAM_ELSEWHERE = {"eu-west-101": "https://iam.eu-west-101.myhuaweicloud.eu"}
# Regions that the SDK's IAM list lacks use the global endpoint (comparison of its EcsRegion and IamRegion).
_IAM_GLOBAL = frozenset({"cn-north-11", "cn-south-4", "cn-southwest-3", "ap-southeast-5", "af-north-1"})
# The STS list of the vendor's SDK (its `endpoint.py`), and what the SDK uses for all other regions.
_STS_REGIONS = frozenset(
    (
        *("cn-north-4", "cn-south-1", "cn-east-3", "cn-southwest-2", "sa-brazil-1", "la-south-2", "af-south-1"),
        *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "tr-west-1"),
    )
)
_STS_DEFAULT = "cn-north-4"
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client needs to know of a target. URLs are origins without a path: `https://host[:port]`.

    `sts_url` is None where no STS is known, `ces_url` (Cloud Eye) and `as_url` (Auto Scaling) where nobody said.
    """

    cloud: str
    region: str
    ecs_url: str
    iam_url: str
    project_id: str | None = None
    sts_url: str | None = None
    ces_url: str | None = None
    as_url: str | None = None


def settings_for(
    *,
    cloud: str,
    region: str,
    project_id: str | None = None,
    ecs: str | None = None,
    iam: str | None = None,
    sts: str | None = None,
    ces: str | None = None,
    autoscaling: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """The endpoints of a target: by the rule `https://ecs.{region}.{domain}`, or those written, if they may be used.

    A simulated target has no rule: its `ecs` must be written, and stands for the others too where those are not.
    Raises InvalidInput for a region that is none, an unknown cloud, and endpoints that are not allowed.
    """
    if cloud not in _SUFFIXES:
        raise _wrong("UnknownCloud", f"there is no cloud {cloud!r}", "huaweicloud, otc or simulator")
    if not _REGION.fullmatch(region):
        raise _wrong("RegionInvalid", f"{region!r} is not a region", "for example eu-west-101")
    allowed = allowed_hosts(environ)
    if cloud == "simulator":
        if ecs is None:
            raise _wrong("EndpointMissing", "a simulated cloud needs its endpoint here", "set endpoints.ecs")
        iam, sts, ces, autoscaling = iam or ecs, sts or ecs, ces or ecs, autoscaling or ecs
    ecs_url = f"https://ecs.{region}.{_DOMAIN[cloud]}" if ecs is None else checked(ecs, cloud, allowed)
    iam_url = _iam(cloud, region) if iam is None else checked(iam, cloud, allowed)
    sts_url = _sts(cloud, region) if sts is None else checked(sts, cloud, allowed)
    ces_url = f"https://ces.{region}.{_DOMAIN[cloud]}" if ces is None else checked(ces, cloud, allowed)
    as_url = f"https://as.{region}.{_DOMAIN[cloud]}" if autoscaling is None else checked(autoscaling, cloud, allowed)
    return Settings(cloud, region, ecs_url, iam_url, project_id, sts_url, ces_url, as_url)


def _iam(cloud: str, region: str) -> str:
    if cloud == "huaweicloud" and region in _IAM_ELSEWHERE:
        return _IAM_ELSEWHERE[region]
    if cloud == "huaweicloud" and region in _IAM_GLOBAL:
        return "https://iam.myhuaweicloud.com"
    return f"https://iam.{region}.{_DOMAIN[cloud]}"


def _sts(cloud: str, region: str) -> str | None:
    """Only Huawei Cloud has this service. Of a region with an IAM of its own nobody says where its STS is."""
    if cloud != "huaweicloud" or region in _IAM_ELSEWHERE:
        return None
    return f"https://sts.{region if region in _STS_REGIONS else _STS_DEFAULT}.{_DOMAIN[cloud]}"


def allowed_hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts of the environment, comma-separated; one that begins with a dot is a suffix (`.cloud.example.com`)."""
    return tuple(h.strip().lower() for h in environ.get(ALLOWED_HOSTS, "").split(",") if h.strip(" ."))


def checked(url: str, cloud: str, allowed: Iterable[str] = ()) -> str:
    """The origin of an endpoint: lower case, without its scheme's own port and without a closing slash.

    Raises InvalidInput for anything but https (http on loopback) to an allowed host, and for URLs with a user,
    a path, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong("EndpointInvalid", "an endpoint is not a URL", "https://host") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.username is not None or parts.password is not None:
        raise _wrong("EndpointInvalid", "an endpoint holds a user name or a password", "https://host")
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _wrong("EndpointInvalid", f"{url!r} is not an endpoint", "https://host, without a path")
    if not is_loopback(host):
        if not _HOST.fullmatch(host):
            raise _wrong("EndpointInvalid", f"{host!r} is not a host name", "https://host")
        if parts.scheme != "https":
            raise _wrong("EndpointInsecure", f"{url!r} is not https", "http is for loopback only")
        if not _is_allowed(host, (*_SUFFIXES[cloud], *allowed)):
            raise _wrong("EndpointNotAllowed", f"{host!r} is no host of {cloud}", _how_to_allow(cloud))
    elif parts.scheme not in ("http", "https"):
        raise _wrong("EndpointInvalid", f"{url!r} is neither http nor https", "http://127.0.0.1:port")
    shown = f"[{host}]" if ":" in host else host
    own = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, own) else "")


def _is_allowed(host: str, patterns: Iterable[str]) -> bool:
    return any(host.endswith(p) if p.startswith(".") else host == p for p in patterns)


def _how_to_allow(cloud: str) -> str:
    names = ", ".join(f"*{s}" for s in _SUFFIXES[cloud]) or "loopback"
    return f"allowed are {names}; others only where the environment variable {ALLOWED_HOSTS} lists them"


def _wrong(code: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput([Problem(code, message, hint=hint)])
