"""`doctor` on one target: endpoints, the way to them, credentials, login, project,
permissions, servers.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.doctor.questions import SLOW, CheckRow, failed, ok, skipped, warning
from runner.app.open_target import Asking, Session, open_target, request_log
from runner.app.targets import is_embedded
from runner.errors import CloudDenied, CloudError, NoProject, OtherProject, RunnerError
from runner.loading.config import LoadedConfig
from runner.model.config import ALL_GRANTED, TargetConfig
from runner.model.inventory import Inventory
from runner.model.machine import NOBODY, is_it
from runner.model.quantity import counted
from runner.net.origin import allowed_hosts
from runner.net.reach import Way, way_to
from runner.net.wire import RequestLog
from runner.ports.provider import LoginOption, Permission, Provider, provider_of
from runner.report.doctor import CheckResult, listed

NEAR_S = 120.0
"""A clock that differs by more is worth a warning."""
LIST_WITHIN = 6
"""The whole list may take so many times as long as one question: a large fleet has many pages."""


@dataclass(slots=True)
class Examined:
    """One target, and what earlier questions found. `asks_alarms`: plans have gates that ask
    Cloud Eye.

    `looks_up`: neither configuration nor login says the project's id. `refused`: why the
    login, or else the list of servers, failed; `is_in`: the login did not. `judged`: the
    action that opening the session tried. `unread`: why the servers could not be read.
    """

    app: App
    loaded: LoadedConfig
    name: str
    config: TargetConfig
    asks_alarms: bool
    within_s: float
    stack: AsyncExitStack
    answers: list[RequestLog] = field(default_factory=list)
    considered: Sequence[LoginOption] = ()
    looks_up: bool = False
    urls: dict[str, str] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    session: Session | None = None
    refused: CloudError | None = None
    is_in: bool = False
    judged: str | None = ""
    inventory: Inventory | None = None
    unread: CheckResult | None = None

    @property
    def open(self) -> Session:
        assert self.session is not None  # noqa: S101 - asked only after `login`
        return self.session

    @property
    def provider(self) -> Provider:
        return provider_of(self.config.cloud)

    @property
    def needs(self) -> tuple[Permission, ...]:
        return self.provider.permissions(alarms=self.asks_alarms, lookup=self.looks_up)

    async def bounded(self, question: Awaitable[object]) -> CloudError | None:
        """Return None if the question was answered, else why not."""
        try:
            async with asyncio.timeout(3 * self.within_s):
                await question
        except CloudError as error:
            return error
        except TimeoutError:
            return CloudError(f"no answer within {3 * self.within_s:g} s", hint=SLOW)
        return None


def _endpoints(it: Examined) -> CheckResult:
    """The services that are asked depend on the login that is taken."""
    config = it.config
    if is_embedded(config):
        return ok("the simulated cloud inside this process: nothing leaves this machine")
    it.considered = it.provider.login_options(config, os.environ)
    reach = it.provider.reach(config, os.environ, alarms=it.asks_alarms)
    it.looks_up, it.urls = reach.is_looked_up, dict(reach.urls)
    words = []
    for service, url in it.urls.items():
        written = getattr(config.endpoints, service) is not None
        by = "configured" if written else "as ecs" if config.cloud == "simulator" else "by the rule"
        words.append(f"{service} {url} ({by})")
    hosts = [f"*{suffix}" for suffix in it.provider.allowed_suffixes(config.region)]
    hosts += allowed_hosts(os.environ)
    return ok("; ".join(words), [f"allowed hosts: {', '.join(hosts) or 'loopback'}"])


def _credentials(it: Examined) -> CheckResult:
    """Which kind is taken, and why the others are not."""
    taken = next((one for one in it.considered if one.taken), None)
    others = [f"{one.kind}: {one.why}" for one in it.considered if one is not taken]
    if taken is not None:
        return ok(f"{taken.kind} is taken: {taken.why}", others)
    error = CloudDenied("no credentials can be used")
    try:
        it.provider.project_of_login(it.config, os.environ)
    except RunnerError as refused:
        error = CloudDenied(refused.message, hint=refused.hint)
    return failed(error, others)


async def _reach(it: Examined) -> list[CheckResult]:
    urls, log = list(dict.fromkeys(it.urls.values())), request_log(it.app)
    it.ways = await asyncio.gather(*(way_to(url, it.within_s, log=log) for url in urls))
    way_of, checks = dict(zip(urls, it.ways, strict=True)), []
    for service, url in it.urls.items():
        steps = tuple(f"{step.name}: {step.said}" for step in way_of[url].steps)
        name, wrong = f"reach {service}", way_of[url].failed
        if wrong is None:
            checks.append(CheckResult(name, "ok", f"{url} answers", details=steps))
        else:
            checks.append(
                CheckResult(name, "failed", f"{wrong.name}: {wrong.said}", wrong.hint, steps[:-1])
            )
    return checks


def _clock(it: Examined) -> CheckResult:
    ahead_s = next((way.ahead_s for way in it.ways if way.ahead_s is not None), None)
    if ahead_s is None:
        return skipped("no server said what time it is")
    if abs(ahead_s) <= NEAR_S:
        return ok("this machine's clock and the cloud's agree")
    direction = "behind" if ahead_s > 0 else "ahead of"
    far_s = it.provider.clock_tolerance.total_seconds()
    said = (
        f"this machine's clock ({datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z) is "
        f"{abs(ahead_s) / 60:.0f} minutes {direction} the cloud's: "
        f"requests are refused from {far_s / 60:.0f} minutes on"
    )
    return CheckResult("", "failed" if abs(ahead_s) > far_s else "warning", said)


async def _login(it: Examined) -> CheckResult | None:
    """A session begins with a login, and with a look-up where nobody says the project's id."""
    asking = Asking(it.within_s, it.answers.append)
    try:
        it.session = await it.stack.enter_async_context(
            open_target(it.app, it.loaded, it.name, asking=asking)
        )
    except RunnerError as error:
        if it.looks_up and isinstance(error, CloudError) and _is_permission(error):
            need = next(need for need in it.needs if need.is_lookup)
            it.judged = need.action
            return _judged(need, error)
        return failed(error, name="project" if isinstance(error, NoProject) else "")
    it.refused = await it.bounded(it.open.cloud.trials.log_in())
    if it.refused is None:
        it.refused = await it.bounded(it.open.cloud.trials.try_read("list"))
        it.is_in = it.refused is None or _is_permission(it.refused)
    if it.refused is not None and not it.is_in:
        return failed(it.refused)
    return ok("the cloud accepts the credentials")


async def _project(it: Examined) -> CheckResult | None:
    """The configured project against the region's own; a sub-project is neither, and
    may be meant.
    """
    denied = isinstance(it.refused, CloudDenied) and not isinstance(it.refused, OtherProject)
    if it.session is None or (denied and not it.is_in):
        return None
    mine, region = it.session.target.project_id, it.config.region
    if it.config.project_id is None:
        return ok(
            f"{mine}, {'looked up by the name of the region' if it.looks_up else 'of the login'}"
        )
    try:
        async with asyncio.timeout(3 * it.within_s):
            own = await it.session.cloud.trials.project_of_region()
    except (CloudError, TimeoutError):
        return skipped(
            f"{mine} is configured; IAM does not tell the region's own project to compare with"
        )
    if own == mine:
        return ok(f"{mine} is configured, and is the project of region {region}")
    said = f"{mine} is configured; the project of region {region} is {own}"
    hint = f"set project_id: {own}, or leave it out; a sub-project may be meant"
    return CheckResult("", "warning" if it.is_in else "failed", said, hint)


def _enterprise_project(it: Examined) -> CheckResult | None:
    if (chosen := it.config.enterprise_project) is None:
        return None
    words = "every one that the credentials can use" if chosen == ALL_GRANTED else f"{chosen} only"
    return ok(f"lists ask for {words}")


async def _permissions(it: Examined) -> list[CheckResult]:
    """Each need, tried where a read can show it. Those that read a server need one, so the
    servers are read first.
    """
    if not it.is_in:
        return [_untried(need, "not tried") for need in it.needs if need.action != it.judged]
    if it.refused is None:
        try:
            async with asyncio.timeout(LIST_WITHIN * it.within_s):
                it.inventory = await it.open.cloud.inventory()
        except CloudError as error:
            it.unread = failed(error)
        except TimeoutError:
            it.unread = warning(
                f"the whole list takes longer than {LIST_WITHIN * it.within_s:g} s", SLOW
            )
    server_id = it.inventory.servers[0].id if it.inventory and it.inventory.servers else ""
    tried: dict[str, CloudError | None] = {"list": it.refused}
    checks = []
    for need in it.needs:
        if need.trial is None:
            checks.append(
                _untried(need, "cannot be checked without rebooting a server, so it was not")
            )
        elif need.reads_server and not server_id:
            checks.append(_untried(need, "not tried: no server is known to read"))
        else:
            if need.trial not in tried:
                tried[need.trial] = await it.bounded(
                    it.open.cloud.trials.try_read(need.trial, server_id)
                )
            checks.append(_judged(need, tried[need.trial]))
    return checks


def _is_permission(error: CloudError) -> bool:
    return isinstance(error, CloudDenied) and error.status == 403


def _purpose(need: Permission) -> str:
    return need.purpose if need.action else f"{need.purpose} (no page names an action)"


def _untried(need: Permission, why: str) -> CheckResult:
    return CheckResult("permission", "skipped", f"{_purpose(need)}: {why}", action=need.action)


def _judged(need: Permission, error: CloudError | None) -> CheckResult:
    if error is None:
        return CheckResult("permission", "ok", f"{_purpose(need)}: allowed", action=need.action)
    denied = isinstance(error, CloudDenied)
    said = f"{_purpose(need)}: {error.message}; without it {need.without}"
    hint = need.how_to_allow if denied else error.hint
    return CheckResult(
        "permission", "failed" if need.is_vital else "warning", said, hint, (), denied, need.action
    )


def _servers(it: Examined) -> CheckResult | None:
    if it.inventory is None:
        return it.unread
    if not it.inventory.servers:
        return warning("the target shows no server at all")
    groups = counted(len(it.inventory.groups), "server group")
    return ok(f"{counted(len(it.inventory.servers), 'server')} and {groups} are visible")


def _this_machine(it: Examined) -> CheckResult | None:
    if it.inventory is None:
        return None
    machine = it.open.spared.machine
    if machine == NOBODY:
        return skipped("the servers are simulated: none of them is this machine")
    found = [
        (server, how)
        for server in it.inventory.servers
        if (how := is_it(machine, server)) is not None
    ]
    if found:
        rows = listed([f"{server.name} ({server.id}): {how}" for server, how in found])
        return ok(f"it is a server of the target, and is never rebooted from here: {rows}")
    is_sure = machine.server_id or machine.stated
    how = "" if is_sure else " by its addresses; no metadata service answers here"
    return ok(f"it is no server of this target{how}")


def _support(it: Examined) -> CheckResult | None:
    if it.inventory is None:
        return None
    spared = it.open.spared
    if not spared.support:
        return ok("nothing is configured that the runner depends on (docs/itself.md)")
    if missing := list(spared.unmatched(it.inventory.servers)):
        return warning(
            f"{listed(missing)}: the target has no such server, so nothing is protected by it"
        )
    return ok(f"{listed([one.name for one in spared.support])}: found among the servers")


async def _advice(it: Examined) -> CheckResult:
    """What only advises: whoever may not read it plans and runs all the same."""
    try:
        async with asyncio.timeout(3 * it.within_s):
            around = await it.open.cloud.surroundings()
    except TimeoutError:
        return warning(f"no answer within {3 * it.within_s:g} s", SLOW)
    if around.unread:
        return warning(f"{'; '.join(around.unread)}; diff cannot warn of them")
    groups, events = counted(len(around.scaling_groups), "auto-scaling group"), len(around.events)
    return ok(f"{groups} and {counted(events, 'scheduled event')} of the provider were read")


def _rate(it: Examined) -> CheckResult:
    rate = it.config.rate
    request = min(rate.servers_per_request, rate.servers_per_minute)
    said = f"{rate.servers_per_minute:,} servers a minute, {request:,} a request"
    if throttled := sum(entry.outcome == "429" for entry in it.answers):
        return warning(f"{said}; {throttled} of {len(it.answers)} requests were throttled (429)")
    return ok(f"{said}; none of {counted(len(it.answers), 'request')} was throttled")


_ENDPOINTS, _IN = {"endpoints": ""}, {"login": ""}
TARGET = (
    CheckRow("endpoints", _endpoints),
    CheckRow("credentials", _credentials, _ENDPOINTS),
    CheckRow("reach", _reach, _ENDPOINTS),
    CheckRow("clock", _clock, _ENDPOINTS, "set this machine's clock by NTP"),
    CheckRow(
        "login",
        _login,
        {
            "endpoints": "its endpoints may not be used",
            "credentials": "there are no credentials",
            **dict.fromkeys(
                ("reach ecs", "reach iam", "reach sts"), "an endpoint cannot be reached"
            ),
        },
    ),
    CheckRow("project", _project),
    CheckRow("enterprise project", _enterprise_project, _IN),
    CheckRow("permission", _permissions),
    CheckRow(
        "servers",
        _servers,
        _IN,
        "check the project; rights in one enterprise project only do not show the others",
    ),
    CheckRow("this machine", _this_machine, _IN),
    CheckRow("support", _support, _IN, "correct support of the target in the configuration"),
    CheckRow(
        "advice",
        _advice,
        _IN,
        "allow the user to read Auto Scaling and scheduled events, if there are any",
    ),
    CheckRow(
        "rate", _rate, _IN, "fewer runs and other programs at once, or a longer rate.poll_every"
    ),
)
EMBEDDED = tuple(
    question
    for question in TARGET
    if question.name not in {"credentials", "reach", "clock", "project", "enterprise project"}
)
"""What is asked of the simulated cloud inside this process, which has no way that leads to
it and no project.
"""
