"""The ECS service of one project, as the core wants it (`runner.ports.Cloud`).

Reads go through `Reader` (repeated, paced), those of servers through `Servers`; the reboot
goes its own way: one exchange on a fresh connection, and its answer sorted by what it
proves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from runner.cloud.huawei import alarms, decode
from runner.cloud.huawei import surroundings as around
from runner.cloud.huawei.auth.credentials import Credentials
from runner.cloud.huawei.auth.exchange import Exchange, OnSecret, PasswordToken, credentials_for
from runner.cloud.huawei.auth.logins import Login, PasswordLogin, TokenLogin
from runner.cloud.huawei.endpoints import Settings
from runner.cloud.huawei.paging import Get, together
from runner.cloud.huawei.permissions import CloudTrials, permissions
from runner.cloud.huawei.reader import Answer, Patience, Reader
from runner.cloud.huawei.reboot import JOB_ID, classify, job_id_of, reboot_body
from runner.cloud.huawei.servers import Servers, is_unknown_job, segment
from runner.cloud.huawei.throttle import RequestPace, Sleep
from runner.errors import CloudDenied, CloudError, NoProject
from runner.inputs.fields import as_list, as_map, as_text
from runner.model.inventory import Inventory, Server, ServerGroup, Unread
from runner.model.job import (
    Accepted,
    Ambiguous,
    Denied,
    Job,
    JobGone,
    NotSent,
    RebootAnswer,
    Throttled,
)
from runner.model.schedule import RebootType
from runner.model.surroundings import Surroundings
from runner.net.secret import scrubber
from runner.net.text import tidy
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, RequestLog, Unreachable
from runner.ports import Capabilities, EvidenceKind

JSON = "application/json;charset=UTF-8"
CAPABILITIES = Capabilities(
    servers_per_request=1000,  # "Restarting ECSs in a Batch", `servers`
    servers_per_minute=1000,  # the same page, quota of a project
    evidence=frozenset(EvidenceKind),
)
SIGNATURE_LIFE = timedelta(minutes=20)
"""The gateway refuses a signature more than 15 minutes old (API Signing Guide, APIGW.0301);
five more for its clock.
"""
_SET_PROJECT = "set project_id in the target's configuration"
_SHOWN, _NAME = 10, 64
_RENEWAL_IS_NEWS = timedelta(minutes=1)


class HuaweiCloud:
    """One project of one region. Made by `open`."""

    def __init__(
        self,
        settings: Settings,
        project_id: str,
        credentials: Credentials,
        transport: Transport,
        reader: Reader,
        *,
        wall: Callable[[], datetime],
        now: Callable[[], datetime],
        is_signed: bool,
    ) -> None:
        self.project_id = project_id
        self._settings = settings
        self._credentials = credentials
        self._transport = transport
        self._reader = reader
        self._wall = wall
        self._now = now
        self._servers = Servers(self._get, project_id, not settings.is_otc, now, settings.filters)
        self._renewed_at: datetime | None = None
        valid_for = SIGNATURE_LIFE if is_signed else None
        self.capabilities = replace(CAPABILITIES, valid_for=valid_for)

    def __repr__(self) -> str:
        return f"HuaweiCloud({self._settings.cloud}, {self._settings.region}, {self.project_id})"

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        login: Login,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        now: Callable[[], datetime] | None = None,
        log: Callable[[RequestLog], None] | None = None,
        patience: Patience | None = None,
        limits: ExchangeLimits | None = None,
        sleep: Sleep = asyncio.sleep,
        on_secret: OnSecret | None = None,
        pace: RequestPace | None = None,
    ) -> AsyncIterator[Self]:
        """A client for this target; its connections close at the end.

        `wall` is real time: signatures and tokens live by it. `now` dates an inventory (default:
        `wall`). `on_secret` is told each secret that the login obtains. The project id is that of
        the settings, of the login, or looked up by the region. Raises CloudDenied or CloudError
        where login or look-up fail.
        """
        transport = Transport(limits, log=log)
        try:
            reader = Reader(transport, wall, patience, sleep, pace)
            credentials = credentials_for(login, Exchange(settings, reader, wall, on_secret, log))
            project_id = settings.project_id or await project_id_of(settings, credentials, reader)
            yield cls(
                settings,
                project_id,
                credentials,
                transport,
                reader,
                wall=wall,
                now=now or wall,
                is_signed=not isinstance(login, TokenLogin | PasswordLogin),
            )
        finally:
            await transport.aclose()

    async def inventory(self) -> Inventory:
        """All servers and server groups. Groups that cannot be read are told as unread;
        servers always raise.
        """
        read_at = self._now()
        servers, (groups, unread) = await together(self._servers.all(), self._groups())
        in_group = {member: group.id for group in groups for member in group.members}
        found = (
            replace(s, server_group=in_group[s.id])
            if s.server_group is None and s.id in in_group
            else s
            for s in servers.values()
        )
        return Inventory(tuple(sorted(found, key=lambda s: s.id)), read_at, groups, unread)

    async def _groups(self) -> tuple[tuple[ServerGroup, ...], Unread | None]:
        """Return the server groups, or why the cloud or the permissions have none for us
        (403, 404, another shape).
        """
        try:
            return await self._servers.groups(), None
        except CloudError as error:
            if error.status not in (200, 403, 404):
                raise
            is_denied = isinstance(error, CloudDenied)
            hint = error.hint or ""
            if is_denied:
                needs = permissions(self._settings.cloud, alarms=False, lookup=False)
                hint = next(one for one in needs if one.trial == "groups").how_to_allow
            return (), Unread(error.message, hint, is_denied)

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        """These servers now; those the cloud does not know are left out."""
        return await self._servers.some(ids)

    async def job(self, job_id: str) -> Job | JobGone:
        """One job with all its sub-jobs (page "Querying Job Execution Status")."""
        if not JOB_ID.fullmatch(job_id):
            raise CloudError("that is no job id of this cloud")
        try:
            answer = await self._get(f"/v1/{self.project_id}/jobs/{job_id}")
        except CloudError as error:
            if is_unknown_job(error):
                return JobGone(job_id)
            raise
        try:
            return decode.job(answer.value, job_id, answer.reply.request_id)
        except ValueError as error:
            raise CloudError(str(error), status=answer.reply.status) from None

    async def reboot_history(self, server_id: str) -> tuple[datetime, ...]:
        """Read the action history of one server (page "Querying the actions of a server").

        Raises CloudError where it cannot be read, 404 included.
        """
        answer = await self._get(
            f"/v2.1/{self.project_id}/servers/{segment(server_id)}/os-instance-actions"
        )
        try:
            return decode.reboot_history(answer.value)
        except ValueError:
            raise CloudError(
                "the action history cannot be read", status=answer.reply.status
            ) from None

    async def alarming(self, ids: Collection[str]) -> Mapping[str, str]:
        """Those of the servers that a Cloud Eye alarm is on for, each with the alarm's name
        (`runner.ports.Alarms`).
        """
        return await alarms.alarming(self._ces(), self.project_id, ids)

    async def surroundings(self) -> Surroundings:
        """Auto-scaling groups and scheduled events (`runner.ports.provider.CloudClient`)."""
        settings = self._settings
        scaling = self._getter(settings.as_url, "Auto Scaling", "autoscaling", around.BRIEF)
        ecs = self._getter(settings.ecs_url, "ECS", "ecs", around.BRIEF)
        events = None if settings.is_otc else ecs
        return await around.surroundings(scaling, events, self.project_id, settings.filters)

    def _ces(self) -> Get:
        return self._getter(self._settings.ces_url, "Cloud Eye", "ces")

    def _getter(
        self, origin: str | None, service: str, key: str, patience: Patience | None = None
    ) -> Get:

        async def get(path: str, *query: tuple[str, str]) -> Any:
            if origin is None:
                raise CloudError(
                    f"the address of {service} is not known", hint=f"set endpoints.{key}"
                )
            headers = {"Content-Type": JSON, "X-Project-Id": self.project_id}
            request = Outgoing("GET", origin, path, tuple(query), headers)
            return (await self._reader.read(request, self._credentials, patience=patience)).value

        return get

    @property
    def trials(self) -> CloudTrials:
        """The reads that show what is allowed (`runner.ports.Trials`)."""
        settings, credentials = self._settings, self._credentials
        return CloudTrials(
            self.project_id,
            lambda: credentials.authorize(self._request("GET", "/"), self._wall()),
            self._getter(settings.ecs_url, "ECS", "ecs"),
            self._ces(),
            lambda: looked_up(settings, credentials, self._reader),
            settings.filters,
        )

    async def reboot(
        self, ids: Collection[str], kind: RebootType, intended: datetime
    ) -> RebootAnswer:
        """Ask for one batch, once. A signature is dated with `intended`.

        Raises ValueError for a batch that is none (empty, over 1,000, a server twice);
        nothing else.
        """
        body = reboot_body(ids, kind)
        request = self._request("POST", f"/v1/{self.project_id}/cloudservers/action", body=body)
        try:
            ready = await self._credentials.authorize(request, intended)
        except CloudDenied as error:
            return Denied(
                error.code or "login",
                error.message,
                error.status or 401,
                error.request_id,
                error.hint or "",
            )
        except CloudError as error:
            return NotSent(f"no token: {error.message}")
        self._reader.pace.count(ready.origin)
        try:
            reply = await self._transport.send_once(ready)
        except Unreachable as error:
            return _lost(error)
        hide = scrubber(self._credentials.secrets())
        answer = classify(reply.status, reply.headers, reply.body, asked=ids, scrub=hide)
        if isinstance(answer, Denied):
            return await self._after_denial(ready, answer)
        if isinstance(answer, Throttled):
            self._reader.pace.reboot_throttled(answer.retry_after_s, answer.limit, ready.origin)
        return answer

    def held_s(self) -> float:
        """Real seconds until a reboot may be sent: 0, or more after "too many" was the
        answer to whatever request.
        """
        return self._reader.pace.left_s(self._settings.ecs_url)

    async def _after_denial(self, request: Outgoing, answer: Denied) -> RebootAnswer:
        """A token that ended meanwhile is renewed: nothing was begun, and asking again at once
        makes sense.

        The request itself is not repeated here: each attempt needs its own intent in the
        journal first. A second refusal right after a renewal is final.
        """
        news = self._renewed_at is None or self._wall() - self._renewed_at > _RENEWAL_IS_NEWS
        if answer.status != 401 or not news:
            return answer
        try:
            renewed = await self._credentials.renew(request)
        except CloudError:
            return answer
        if not renewed:
            return answer
        self._renewed_at = self._wall()
        return Throttled(
            answer.code,
            f"{answer.reason}; the token is renewed",
            0.0,
            answer.request_id,
            answer.status,
        )

    def _request(
        self, method: Any, path: str, query: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Outgoing:
        headers = {"Content-Type": JSON, "X-Project-Id": self.project_id}
        return Outgoing(method, self._settings.ecs_url, path, tuple(query), headers, body)

    async def _get(self, path: str, *query: tuple[str, str]) -> Answer:
        return await self._reader.read(self._request("GET", path, query), self._credentials)


def _lost(error: Unreachable) -> RebootAnswer:
    """No whole answer. What had arrived may still hold the job id: that is a fact, whatever
    broke afterwards.
    """
    if not error.sent:
        return NotSent(error.message)
    partial = error.partial
    if partial is not None and 200 <= partial.status < 300:
        job_id = job_id_of(partial.body)
        if job_id is not None:
            return Accepted(job_id, partial.request_id, partial.status)
    return Ambiguous(error.message, error.status, None, error.request_id)


async def project_id_of(settings: Settings, credentials: Credentials, reader: Reader) -> str:
    """The project's id: that of the login, or of the project it names, else of the only one of
    the region.

    Page "Querying Project Information Based on the Specified Criteria" (`GET /v3/projects`). A
    region's own project is named like the region, those somebody made in it `{region}_{name}`:
    where there are several, guessing would be choosing whose servers to reboot. Raises NoProject
    for none and for several (listed), CloudDenied where IAM refuses.
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
    """The id of the region's only project, whatever the login says. Raises NoProject for
    none and for several.
    """
    request = Outgoing("GET", settings.iam_url, "/v3/projects", (), {"Content-Type": JSON})
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
            f"IAM knows no project of region {region}",
            hint=f"check region, or {_SET_PROJECT}",
            request_id=request_id,
        )
    names = [
        f"{tidy(name, _NAME)} ({tidy(i, _NAME)})"
        for i, name in sorted(found.items(), key=lambda p: p[1])
    ]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise NoProject(
        f"region {region} has {len(names)} project{'s' * (len(names) > 1)}: "
        f"{', '.join(names[:_SHOWN])}{more}",
        hint=f"{_SET_PROJECT} to the one that is meant",
        request_id=request_id,
    )
