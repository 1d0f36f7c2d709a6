"""Denied requests: which answers prove a denial, what caused it, and what to do. Pure.

An answer proves that nothing was begun when the API itself refuses in its own JSON: 401 with a
code, or 403 with a code for permissions (`codes`), with 403 or "forbidden" as the code
of an error object, or with a sentence of the policy engine. A page of HTML, an empty body or a flat
`{"code": 403}` can come from a proxy that inspects responses, after the request was carried out:
these prove nothing.
"""

from __future__ import annotations

import re

from runner.cloud.huawei.bodies import ApiError

REBOOT = "ecs:cloudServers:reboot"
OTHER_PROJECT = frozenset({"Common.0018", "Ecs.0023"})
"""The token's project is not that of the address ("Error Codes"; ECS documents both with 400)."""

_ACCOUNT = re.compile(r"CBC\.\d{4}|Ecs\.00(?:6[6-9]|7[01])")
_ENTERPRISE_PROJECT = re.compile(r"EPS\.\d{4}")
_FORBIDDEN = frozenset({"403", "forbidden", "accessdenied", "unauthorized"})
"""Codes, in lower case, that say 403 once more, in the error object of an API."""
_POLICY = re.compile(
    r"polic(?:y|ies) (?:does not|doesn't|doesn’t|do not|don't) allow|disallowed by policy|not authorized to perform",  # noqa: E501
    re.IGNORECASE,
)
_OF_SERVICE = re.compile(r"(?:Ecs|Common)\.\d{4}")
_ACTION = re.compile(r"\b[a-z][a-z0-9]{1,31}:[A-Za-z][A-Za-z0-9]{0,63}:[A-Za-z][A-Za-z0-9]{0,63}\b")
_MISMATCH = re.compile(r"project_?id.{0,100}(?:does not|doesn't|doesn’t) match", re.IGNORECASE)
_SKEW = re.compile(
    r"signature expired.{0,20}?signature time:\s*([\w:.+-]{8,32}).{0,20}?server time:\s*([\w:.+-]{8,32})"  # noqa: E501
)


def is_denial(error: ApiError) -> bool:
    """Return True if an API denied the request in its own words, so that nothing was begun."""
    if not error.is_json or not 400 <= error.status < 500:
        return False
    if error.denied:
        return True
    if error.status == 401:  # "has not been applied" (RFC 9110, 15.5.2)
        return error.code is not None
    if error.status != 403:
        return False
    code = error.code or ""
    if error.in_object and code.lower() in _FORBIDDEN:
        return True
    # A code of the service that is not on the list can come from the middle of its work.
    return not _OF_SERVICE.fullmatch(code) and _POLICY.search(error.message) is not None


def is_other_project(error: ApiError) -> bool:
    """Return True if the credentials belong to another project than the address names."""
    return error.code in OTHER_PROJECT or (
        error.status in (400, 401, 403) and bool(_MISMATCH.search(error.message))
    )


def denial(error: ApiError, needs: str = "") -> tuple[str, str]:
    """Return why a request was denied, and what to do. `needs`: the permission that the
    request needs.
    """
    skew = _SKEW.search(error.message)
    if skew:
        return (
            f"the signature's time {skew[1]} is too far from the cloud's time {skew[2]}",
            "set this machine's clock (NTP): 15 minutes are allowed",
        )
    code = error.code or ""
    if code in ("APIGW.0307", "APIG.0307"):
        return (
            f"the token does not fit: {error.sentence}",
            "log in again, for the project and region of the target",
        )
    if is_other_project(error):
        return (
            f"the credentials are not of this project: {error.sentence}",
            (
                "check project_id and region of the target; without project_id it is looked up by "
                "region"
            ),
        )
    if _ACCOUNT.fullmatch(code):
        return (
            f"the cloud refuses because of the account, not of a permission: {error.sentence}",
            "check the account's balance, budget and verification in the Billing Center",
        )
    if _ENTERPRISE_PROJECT.fullmatch(code):
        return (
            f"a permission for the enterprise project is missing: {error.sentence}",
            "set enterprise_project of the target to an enterprise project that these "
            "credentials can use,"
            " or to all_granted_eps" + (f"; the request needs {needs}" if needs else ""),
        )
    if error.status == 401:
        return (
            f"the cloud does not accept our credentials: {error.sentence}",
            "check the credentials in the environment",
        )
    named = _ACTION.search(error.message)
    action = named[0] if named else needs
    if action:
        return (
            f"the permission {action} is missing: {error.sentence}",
            f"allow {action}; `reboot-runner doctor --policy` prints the whole policy",
        )
    return (
        f"a permission is missing: {error.sentence}",
        f"reading needs ecs:cloudServers:list and :showServer, restarting {REBOOT}",
    )
