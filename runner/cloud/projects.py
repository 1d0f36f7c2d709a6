"""Which project of a region is meant, where nobody wrote its id.

Page "Querying Project Information Based on the Specified Criteria" (`GET /v3/projects`). A region's own project is
named like the region, those somebody made in it `{region}_{name}`: where there are several, guessing would be choosing
whose servers to reboot.
"""

from __future__ import annotations

from runner.cloud.auth.credentials import Credentials
from runner.cloud.auth.exchange import PasswordToken
from runner.cloud.endpoints import Settings
from runner.cloud.reader import Answer, Reader
from runner.errors import CloudDenied, NoProject
from runner.inputs.fields import as_list, as_map, as_text
from runner.net.text import tidy
from runner.net.wire import Outgoing

_HINT = "set project_id in the target's configuration"
_SHOWN = 10
_NAME = 64


async def project_id_of(settings: Settings, credentials: Credentials, reader: Reader) -> str:
    """The project's id: that of the login, or of the project it names, else of the only one of the region.

    That one is named like the region. Raises NoProject for none and for several (listed), CloudDenied where IAM
    refuses.
    """
    if credentials.project_id:
        return credentials.project_id
    scope: str | None = None
    if isinstance(credentials, PasswordToken):
        scope = await credentials.scope()
        if scope and credentials.names_project:
            return scope
    try:
        return await looked_up(settings, credentials, reader)
    except CloudDenied:
        if scope:
            return scope  # who may not list projects was given the region's own
        raise


async def looked_up(settings: Settings, credentials: Credentials, reader: Reader) -> str:
    """The id of the region's only project, whatever the login says. Raises NoProject for none and for several."""
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    request = Outgoing("GET", settings.iam_url, "/v3/projects", (), headers)
    return _only(settings.region, await reader.read(request, credentials))


def _only(region: str, answer: Answer) -> str:
    found: dict[str, str] = {}
    for project in map(as_map, as_list(answer.value.get("projects"))):
        name, number = as_text(project.get("name")), as_text(project.get("id"))
        is_used = project.get("enabled") is not False and project.get("is_domain") is not True
        if number and is_used and (name == region or name.startswith(f"{region}_")):
            found[number] = name
    if list(found.values()) == [region]:
        return next(iter(found))
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
