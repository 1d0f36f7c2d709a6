"""The environment variables that hold credentials, without the prefix of a target."""

from __future__ import annotations

from runner.cloud.huawei.auth.logins import FAMILIES, ID_TOKEN, REQUEST_TOKEN

CREDENTIAL_NAMES = {ID_TOKEN, REQUEST_TOKEN}.union(
    name
    for family in FAMILIES
    for names in (
        family.access,
        family.secret,
        family.security_token,
        family.token,
        family.password,
    )
    for name in names
)
