"""The registered clouds. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CloudEntry:
    """One registered cloud.

    `module`: has a function `provider(cloud)` that returns its `runner.ports.Provider`.
    `region`: what `init` assumes. `secrets`, `variables`: what a generated workflow hands to
    the runner as credentials.
    """

    module: str
    region: str
    secrets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


_HUAWEI = "runner.cloud.huawei.provider"
_SECRETS = ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN")
_VARIABLES = ("HUAWEICLOUD_OIDC_PROVIDER_URN", "HUAWEICLOUD_OIDC_AGENCY_URN")
SIMULATOR = "simulator"
CLOUDS: dict[str, CloudEntry] = {
    "huaweicloud": CloudEntry(_HUAWEI, "eu-west-101", _SECRETS, _VARIABLES),
    "otc": CloudEntry(_HUAWEI, "eu-de", _SECRETS, _VARIABLES),
    SIMULATOR: CloudEntry(_HUAWEI, "eu-west-101", _SECRETS, _VARIABLES),
}
"""Every value of `cloud` in the configuration, the default of `init` first."""


def check_cloud(name: str) -> str:
    """Return the name of a registered cloud. Raises ValueError for any other."""
    if name not in CLOUDS:
        raise ValueError(f"must be {', '.join(list(CLOUDS)[:-1])} or {list(CLOUDS)[-1]}")
    return name
