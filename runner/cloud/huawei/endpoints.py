"""Where a target's services are: by the rule of `hosts`, or where the
configuration says.

A plan can never name a host. A configuration can, but only one of its cloud, loopback, or
one that the environment (not the repository) allows: otherwise a pull request could send
the signed requests elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.cloud.huawei.hosts import (
    DOMAINS,
    host_of,
    how_to_allow,
    is_host_of,
    is_region,
    other_domain,
)
from runner.errors import InvalidInput
from runner.model.problem import Problem
from runner.net.origin import BadOrigin, allowed_hosts, host_of_origin, is_listed, origin


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client needs to know of a target. URLs are origins without a path:
    `https://host[:port]`.

    `sts_url` is None where no STS is known, `ces_url` (Cloud Eye) and `as_url` (Auto
    Scaling) where nobody said.
    """

    cloud: str
    region: str
    ecs_url: str
    iam_url: str
    project_id: str | None = None
    sts_url: str | None = None
    ces_url: str | None = None
    as_url: str | None = None
    enterprise_project: str | None = None

    @property
    def urls(self) -> dict[str, str]:
        """Return the known URLs by the keys of `endpoints` in the configuration."""
        known = {
            "ecs": self.ecs_url,
            "iam": self.iam_url,
            "sts": self.sts_url,
            "ces": self.ces_url,
            "autoscaling": self.as_url,
        }
        return {service: url for service, url in known.items() if url is not None}

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """Return the query that goes with every list of servers and AS groups, where the
        cloud takes it.
        """
        if self.enterprise_project is None or self.is_otc:
            return ()
        return (("enterprise_project_id", self.enterprise_project),)

    @property
    def is_otc(self) -> bool:
        """Whether it is Open Telekom Cloud; all others speak as Huawei Cloud does.

        Its list of servers has no filter `server_id` ("Querying Details About ECSs"; it would
        answer with the first page of all servers), the lists of servers and of AS groups no
        `enterprise_project_id`, and it has no `instance-scheduled-events`. Where an answer can be
        read in both ways, one code reads both. docs/clouds.md lists all of it.
        """
        return self.cloud == "otc"


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
    enterprise_project: str | None = None,
    environ: Mapping[str, str],
) -> Settings:
    """The endpoints of a target: by the rule `https://ecs.{region}.{domain}`, or those
    written, if they may be used.

    A simulated target has no rule: its `ecs` must be written, and stands for the others too
    where those are not. An `ecs` below a partner's domain, or below a suffix of the
    environment, takes the others along. Raises InvalidInput for a region that is none, an
    unknown cloud, and endpoints that are not allowed.
    """
    if cloud not in DOMAINS and cloud != "simulator":
        raise _wrong(
            "UnknownCloud", f"there is no cloud {cloud!r}", "huaweicloud, otc or simulator"
        )
    if not is_region(region):
        raise _wrong("RegionInvalid", f"{region!r} is not a region", "for example eu-west-101")
    if cloud == "simulator" and ecs is None:
        raise _wrong(
            "EndpointMissing", "a simulated cloud needs its endpoint here", "set endpoints.ecs"
        )
    allowed = allowed_hosts(environ)
    written: dict[str, str | None] = {
        "ecs": ecs,
        "iam": iam,
        "sts": sts,
        "ces": ces,
        "autoscaling": autoscaling,
    }
    urls = {
        service: checked(url, cloud, allowed, service=service, region=region)
        for service, url in written.items()
        if url is not None
    }
    domain = (
        other_domain(host_of_origin(urls["ecs"]), cloud, region, allowed) if "ecs" in urls else None
    )
    for service in written:
        host = urls["ecs"] if cloud == "simulator" else host_of(cloud, region, service, domain)
        if service not in urls and host is not None:
            urls[service] = host if cloud == "simulator" else f"https://{host}"
    return Settings(
        cloud,
        region,
        urls["ecs"],
        urls["iam"],
        project_id,
        urls.get("sts"),
        urls.get("ces"),
        urls.get("autoscaling"),
        enterprise_project,
    )


def checked(
    url: str,
    cloud: str,
    allowed: tuple[str, ...] = (),
    *,
    service: str = "ecs",
    region: str = "",
) -> str:
    """The origin of an endpoint: lower case, without its scheme's own port and without a
    closing slash.

    Raises InvalidInput for anything but https (http on loopback) to an allowed host, and
    for URLs with a user, a path, a query or a fragment.
    """
    try:
        return origin(
            url, lambda host: is_listed(host, allowed) or is_host_of(host, cloud, region, service)
        )
    except BadOrigin as error:
        hint = (
            how_to_allow(cloud, region, service)
            if error.code == "EndpointNotAllowed"
            else "https://host"
        )
        raise _wrong(error.code, f"endpoints.{service} {error.message}", hint) from None


def _wrong(code: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput([Problem(code, message, hint=hint)])
