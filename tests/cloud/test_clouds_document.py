"""docs/clouds.md says what the code does: each host of its tables, each domain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.cloud.huawei.hosts import DOMAINS, FURTHER_DOMAINS, PARTNERS, SERVICES, host_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "clouds.md").read_text(encoding="utf-8")
REGIONS = (
    *(
        "eu-west-101",
        "cn-north-11",
        "cn-south-4",
        "cn-southwest-3",
        "ap-southeast-5",
        "af-north-1",
        "cn-north-4",
    ),
    *("eu-de", "eu-nl", "eu-ch2"),
)
KEYS: dict[str, str] = {("as" if s == "autoscaling" else s): s for s in SERVICES}


def rows(head: str) -> list[list[str]]:
    """The cells of the table below this line of heads."""
    below = TEXT[TEXT.index(head) :].splitlines()[2:]
    table = below[: next(i for i, line in enumerate(below) if not line.startswith("|"))]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


EXCEPTIONS = [tuple(r[:4]) for r in rows("| `cloud` | region | service | host |")]


@pytest.mark.parametrize(("cloud", "region", "service", "host"), EXCEPTIONS)
def test_hosts(cloud: str, region: str, service: str, host: str) -> None:
    """Each host of the table is the one that is used; `none` is none."""
    assert host_of(cloud, region, KEYS[service]) == (None if host.startswith("none") else host)


@pytest.mark.parametrize("service", ["ecs", "iam", "ces", "as"])
@pytest.mark.parametrize("cloud", ["huaweicloud", "otc"])
def test_the_rule_holds_elsewhere(cloud: str, service: str) -> None:
    """Where the table has no line, the rule above it says where a service is."""
    (rule,) = [r[2] for r in rows("| `cloud` | what it is | rule |") if r[0] == cloud]
    listed = {(c, r, s) for c, r, s, _ in EXCEPTIONS}
    for region in REGIONS:
        if (region in ("eu-de", "eu-nl", "eu-ch2")) != (cloud == "otc") or (
            cloud,
            region,
            service,
        ) in listed:
            continue
        if (cloud, region) == ("otc", "eu-ch2"):
            continue  # its other services are below the domain that the table shows
        expected = (
            rule.removeprefix("https://").replace("SERVICE", service).replace("REGION", region)
        )
        assert host_of(cloud, region, KEYS[service]) == expected


def test_partners_and_domains() -> None:
    """The table of partners is the code's, and every domain is named."""
    assert [tuple(r) for r in rows("| partner | region |")] == [
        (p.name, p.region, p.domain) for p in PARTNERS
    ]
    for domain in (*DOMAINS.values(), *(d for more in FURTHER_DOMAINS.values() for d in more)):
        assert re.search(rf"\b{re.escape(domain)}`", TEXT), domain
