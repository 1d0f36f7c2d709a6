"""`doctor` on one target: endpoints, the way to them, credentials, login, project, permissions, servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.doctor.making import counted, failed, ok, skipped, warning
from runner.app.doctor.servers import servers
from runner.app.open_target import Asking, Session, endpoints_of, open_target, request_log
from runner.app.targets import is_embedded
from runner.cloud.auth.choice import choose_login, explain_choice
from runner.cloud.denials import OtherProject
from runner.cloud.endpoints import Settings, suffixes_of
from runner.cloud.permissions import Need, needs
from runner.errors import CloudDenied, CloudError, NoProject, RunnerError
from runner.loading.config import LoadedConfig
from runner.model.config import ALL_GRANTED, TargetConfig
from runner.net.origin import allowed_hosts
from runner.net.reach import Way, way_to
from runner.net.wire import RequestLog
from runner.report.doctor import Check, Section, Status

NEAR_S, FAR_S = 120.0, 900.0
"""Clocks that differ by more than the second are refused (API Signing Guide: 15 minutes); the first is told early."""


@dataclass(slots=True)
class Examination:
    """One target being looked at. `asks_alarms`: plans have gates that ask Cloud Eye. `looks_up`: neither configuration
    nor login says the project's id."""

    app: App
    loaded: LoadedConfig
    name: str
    config: TargetConfig
    asks_alarms: bool
    within_s: float
    checks: list[Check] = field(default_factory=list)
    answers: list[RequestLog] = field(default_factory=list)
    looks_up: bool = False

    async def section(self) -> Section:
        """Every check, in the order in which one builds on another. Raises nothing that a target can cause."""
        title = f"target {self.name} ({self.config.cloud}, {self.config.region})"
        if is_embedded(self.config):
            self.checks.append(ok("endpoints", "the simulated cloud inside this process: nothing leaves this machine"))
            await self._inside(None)
        else:
            await self._from_outside()
        return Section("target", title, tuple(self.checks), self.name)

    async def _from_outside(self) -> None:
        try:
            settings = endpoints_of(self.config, os.environ, self.config.project_id)
        except RunnerError as error:
            self.checks.append(failed("endpoints", error))
            return self._leave_out("its endpoints may not be used")
        kind = self._credentials()
        urls = self._needed(settings, kind)
        self.checks.insert(0, _endpoints(self.config, urls))
        ways = await self._ways(urls)
        self.checks += [_reached(service, url, ways[url]) for service, url in urls.items()]
        self.checks.append(_clock([*ways.values()]))
        if kind is None:
            return self._leave_out("there are no credentials")
        if any(ways[urls[service]].failed for service in ("ecs", "iam", "sts") if service in urls):
            return self._leave_out("an endpoint cannot be reached")
        return await self._inside(settings)

    def _leave_out(self, why: str) -> None:
        self.checks.append(skipped("login", f"not tried: {why}"))
        self._leave_permissions()

    def _leave_permissions(self, but: str | None = None) -> None:
        """None of them was tried, but the one for an action."""
        self.checks += [_untried(need, "not tried") for need in self._needs() if but is None or need.action != but]

    def _needs(self) -> tuple[Need, ...]:
        return needs(self.config.cloud, alarms=self.asks_alarms, lookup=self.looks_up)

    def _credentials(self) -> str | None:
        """Which kind is taken, and why the others are not. None, with a check that says so, where there is none."""
        considered = explain_choice(self.config, os.environ)
        taken = next((one for one in considered if one.taken), None)
        self.looks_up = self.config.project_id is None
        others = tuple(f"{one.kind}: {one.why}" for one in considered if one is not taken)
        if taken is not None:
            named = choose_login(self.config.auth, os.environ, self.config.env_prefix or "").project_id is not None
            self.looks_up = self.looks_up and not named and taken.kind != "password"
            self.checks.append(ok("credentials", f"{taken.kind} is taken: {taken.why}", details=others))
            return taken.kind
        error: RunnerError = CloudDenied("no credentials can be used")
        try:
            choose_login(self.config.auth, os.environ, self.config.env_prefix or "")
        except RunnerError as refused:
            error = CloudDenied(refused.message, hint=refused.hint)
        self.checks.append(failed("credentials", error, details=others))
        return None

    def _needed(self, settings: Settings, kind: str | None) -> dict[str, str]:
        """The services that this target asks, with their addresses."""
        urls = {"ecs": settings.ecs_url}
        if kind == "password" or self.looks_up:
            urls["iam"] = settings.iam_url
        if kind == "oidc" and settings.sts_url is not None:
            urls["sts"] = settings.sts_url
        if self.asks_alarms and settings.ces_url is not None:
            urls["ces"] = settings.ces_url
        return urls

    async def _ways(self, urls: Mapping[str, str]) -> dict[str, Way]:
        different = list(dict.fromkeys(urls.values()))
        log = request_log(self.app)
        ways = await asyncio.gather(*(way_to(url, self.within_s, log=log) for url in different))
        return dict(zip(different, ways, strict=True))

    async def _inside(self, settings: Settings | None) -> None:
        """What only a session shows. `settings`: None for the embedded cloud."""
        asking = Asking(self.within_s, self.answers.append)
        done = len(self.checks)
        try:
            async with open_target(self.app, self.loaded, self.name, asking=asking) as session:
                await self._ask(session, is_own=settings is None)
        except RunnerError as error:
            if len(self.checks) > done:  # pragma: no cover - what is asked in there makes checks of its errors
                self.checks.append(failed("session", error))
                return
            said = self._not_opened(error)
            self.checks.append(said)
            self._leave_permissions(said.action)

    def _not_opened(self, error: RunnerError) -> Check:
        """A session begins with a login, and with a look-up where nobody says the project's id."""
        if self.looks_up and isinstance(error, CloudError) and _is_permission(error):
            need = next(need for need in self._needs() if need.trial == "projects")
            return _judged(need, error)
        return failed("project" if isinstance(error, NoProject) else "login", error)

    async def _ask(self, session: Session, *, is_own: bool) -> None:
        refusal = await self._bounded(session.trials.log_in())
        is_in = refusal is None
        if is_in:
            refusal = await self._bounded(session.trials.try_read("list"))
        if refusal is not None and not (is_in and _is_permission(refusal)):
            self.checks.append(failed("login", refusal))
            if not is_own and (not isinstance(refusal, CloudDenied) or isinstance(refusal, OtherProject)):
                self.checks.append(await self._project(session, refusal))
            return self._leave_permissions()
        self.checks.append(ok("login", "the cloud accepts the credentials"))
        if not is_own:
            self.checks.append(await self._project(session, None))
            self._say_enterprise_project()
        found, checks = (None, []) if refusal is not None else await servers(session, self.within_s)
        await self._permissions(session, refusal, next(iter(found.servers), None) if found else None)
        self.checks += checks
        self.checks.append(await self._surroundings(session))
        self.checks.append(self._rate())

    async def _surroundings(self, session: Session) -> Check:
        """What only advises: whoever may not read it plans and runs all the same."""
        try:
            async with asyncio.timeout(3 * self.within_s):
                around = await session.surveyor.surroundings()
        except TimeoutError:
            return warning("advice", f"no answer within {3 * self.within_s:g} s", "give more time with --timeout")
        if around.unread:
            hint = "allow the user to read Auto Scaling and scheduled events, if there are any"
            return warning("advice", f"{'; '.join(around.unread)}; diff cannot warn of them", hint)
        groups, events = counted(len(around.scaling_groups), "auto-scaling group"), len(around.events)
        return ok("advice", f"{groups} and {counted(events, 'scheduled event')} of the provider were read")

    async def _bounded(self, question: Awaitable[object]) -> CloudError | None:
        """None if the question was answered, else why not."""
        try:
            async with asyncio.timeout(3 * self.within_s):
                await question
        except CloudError as error:
            return error
        except TimeoutError:
            return CloudError(f"no answer within {3 * self.within_s:g} s", hint="give more time with --timeout")
        return None

    async def _project(self, session: Session, refusal: CloudError | None) -> Check:
        """The configured project against the region's own; a sub-project is neither, and may be meant."""
        mine = session.target.project_id
        if self.config.project_id is None:
            return ok(
                "project", f"{mine}, {'looked up by the name of the region' if self.looks_up else 'of the login'}"
            )
        try:
            async with asyncio.timeout(3 * self.within_s):
                own = await session.trials.project_of_region()
        except (CloudError, TimeoutError):
            return skipped(
                "project", f"{mine} is configured; IAM does not tell the region's own project to compare with"
            )
        if own == mine:
            return ok("project", f"{mine} is configured, and is the project of region {self.config.region}")
        said = f"{mine} is configured; the project of region {self.config.region} is {own}"
        hint = f"set project_id: {own}, or leave it out; a sub-project may be meant"
        return Check("project", "failed" if refusal is not None else "warning", said, hint)

    def _say_enterprise_project(self) -> None:
        chosen = self.config.enterprise_project
        if chosen is not None:
            words = "every one that the credentials can use" if chosen == ALL_GRANTED else f"{chosen} only"
            self.checks.append(ok("enterprise project", f"lists ask for {words}"))

    async def _permissions(self, session: Session, listing: CloudError | None, server: object) -> None:
        """Each need, tried where a read can show it."""
        tried: dict[str, CloudError | None] = {"list": listing}
        server_id = str(getattr(server, "id", ""))
        for need in self._needs():
            if need.trial is None:
                self.checks.append(_untried(need, "cannot be checked without rebooting a server, so it was not"))
            elif need.trial in ("show", "history") and not server_id:
                self.checks.append(_untried(need, "not tried: no server is known to read"))
            else:
                if need.trial not in tried:
                    tried[need.trial] = await self._bounded(session.trials.try_read(need.trial, server_id))
                self.checks.append(_judged(need, tried[need.trial]))

    def _rate(self) -> Check:
        rate = self.config.rate
        request = min(rate.servers_per_request, rate.servers_per_minute)
        said = f"{rate.servers_per_minute:,} servers a minute, {request:,} a request"
        throttled = sum(entry.outcome == "429" for entry in self.answers)
        if throttled:
            hint = "fewer runs and other programs at once, or a longer rate.poll_every"
            return warning("rate", f"{said}; {throttled} of {len(self.answers)} requests were throttled (429)", hint)
        return ok("rate", f"{said}; none of {counted(len(self.answers), 'request')} was throttled")


def _is_permission(error: CloudError) -> bool:
    return isinstance(error, CloudDenied) and error.status == 403


def _untried(need: Need, why: str) -> Check:
    return skipped("permission", f"{_purpose(need)}: {why}", action=need.action)


def _purpose(need: Need) -> str:
    return need.purpose if need.action else f"{need.purpose} (no page names an action)"


def _judged(need: Need, error: CloudError | None) -> Check:
    if error is None:
        return ok("permission", f"{_purpose(need)}: allowed", action=need.action)
    denied = _is_permission(error) or isinstance(error, CloudDenied)
    said = f"{_purpose(need)}: {error.message}; without it {need.without}"
    hint = need.how_to_allow if denied else error.hint
    status: Status = "failed" if need.is_vital else "warning"
    return Check("permission", status, said, hint, (), denied, need.action)


def _endpoints(config: TargetConfig, urls: Mapping[str, str]) -> Check:
    words = []
    for service, url in urls.items():
        written = getattr(config.endpoints, service) is not None
        by = "configured" if written else "as ecs" if config.cloud == "simulator" else "by the rule"
        words.append(f"{service} {url} ({by})")
    hosts = [f"*{suffix}" for suffix in suffixes_of(config.cloud, config.region)] + [*allowed_hosts(os.environ)]
    return ok("endpoints", "; ".join(words), details=(f"allowed hosts: {', '.join(hosts) or 'loopback'}",))


def _reached(service: str, url: str, way: Way) -> Check:
    steps = tuple(f"{step.name}: {step.said}" for step in way.steps)
    wrong = way.failed
    if wrong is None:
        return ok(f"reach {service}", f"{url} answers", details=steps)
    return Check(f"reach {service}", "failed", f"{wrong.name}: {wrong.said}", wrong.hint, steps[:-1])


def _clock(ways: Sequence[Way]) -> Check:
    told = [way for way in ways if way.ahead_s is not None]
    if not told:
        return skipped("clock", "no server said what time it is")
    ahead_s = next(way.ahead_s for way in told if way.ahead_s is not None)
    if abs(ahead_s) <= NEAR_S:
        return ok("clock", "this machine's clock and the cloud's agree")
    now = datetime.now(UTC)
    direction = "behind" if ahead_s > 0 else "ahead of"
    said = (
        f"this machine's clock ({now:%Y-%m-%d %H:%M:%S}Z) is {abs(ahead_s) / 60:.0f} minutes {direction} the cloud's:"
        " signatures are refused from 15 minutes on"
    )
    return Check("clock", "failed" if abs(ahead_s) > FAR_S else "warning", said, "set this machine's clock by NTP")
