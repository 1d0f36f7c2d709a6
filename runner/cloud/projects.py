"""Which project of a region is meant, where nobody wrote its id.

Page "Querying Project Information Based on the Specified Criteria" (`GET /v3/projects`). A region's own project is
named like the region, those somebody made in it `{region}_{name}`: where there are several, guessing would be choosing
whose servers to reboot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from runner.cloud.auth.credentials import Credentials
from runner.cloud.auth.exchange import PasswordToken
from runner.cloud.endpoints import Settings
from runner.cloud.reader import Answer, Reader
from runner.errors import CloudDenied, NoProject
from runner.net.text import tidy
from runner.net.wire import Outgoing

_HINT = "set project_id in the target's configuration"
_SHOWN = 10
_NAME = 64


async def project_id_of(
    settings: Settings, credentials: Credentials, reader: Reader, wall: Callable[[], datetime]
) -> str:
    """The project's id: that of the login, or of the project it names, else of the only one of the region.

    That one is named like the region. Raises NoProject for none and for several (listed), CloudDenied where IAM
    refuses.
    """
    if credentials.project_id:
        return credentials.project_id
    scope = await _scope(settings, credentials, wall) if isinstance(credentials, PasswordToken) else None
    if scope and isinstance(credentials, PasswordToken) and credentials.names_project:
        return scope
    try:
        answer = await _listed(settings, credentials, reader)
    except CloudDenied:
        if scope:
            return scope  # who may not list projects was given the region's own
        raise
    return _only(settings.region, answer)


async def looked_up(settings: Settings, credentials: Credentials, reader: Reader) -> str:
    """The id of the region's only project, whatever the login says. Raises NoProject for none and for several."""
    return _only(settings.region, await _listed(settings, credentials, reader))


async def _scope(settings: Settings, credentials: PasswordToken, wall: Callable[[], datetime]) -> str | None:
    """The project of the token, which is fetched for it."""
    await credentials.authorize(Outgoing("GET", settings.iam_url, "/v3/projects"), wall())
    return credentials.project_id


async def _listed(settings: Settings, credentials: Credentials, reader: Reader) -> Answer:
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    return await reader.read(Outgoing("GET", settings.iam_url, "/v3/projects", (), headers), credentials)


def _only(region: str, answer: Answer) -> str:
    listed = answer.value.get("projects")
    found = {
        p["id"]: p["name"]
        for p in (listed if isinstance(listed, list) else ())
        if isinstance(p, dict) and isinstance(p.get("id"), str) and p["id"] and _is_of(region, p)
    }
    if list(found.values()) == [region]:
        return str(next(iter(found)))
    request_id = answer.reply.request_id
    if not found:
        raise NoProject(
            f"IAM knows no project of region {region}", hint=f"check region, or {_HINT}", request_id=request_id
        )
    names = [f"{tidy(name, _NAME)} ({tidy(i, _NAME)})" for i, name in sorted(found.items(), key=lambda p: p[1])]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise NoProject(
        f"region {region} has {len(names)} project{'s' * (len(names) > 1)}: {', '.join(names[:_SHOWN])}{more}",
        hint=f"{_HINT} to the one that is meant",
        request_id=request_id,
    )


def _is_of(region: str, project: Mapping[str, Any]) -> bool:
    """Whether a project is of this region and in use."""
    name = project.get("name")
    is_named = isinstance(name, str) and (name == region or name.startswith(f"{region}_"))
    return is_named and project.get("enabled") is not False and project.get("is_domain") is not True
