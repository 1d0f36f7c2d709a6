"""The whole client against the simulated cloud, over HTTP, with both ways to log in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.auth.logins import KeyLogin, Login, PasswordLogin, TokenLogin
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import Settings, settings_for
from runner.cloud.huawei.reader import Answer, Reader
from runner.cloud.huawei.servers import Servers
from runner.errors import CloudDenied, CloudError
from runner.model.job import (
    Accepted,
    Ambiguous,
    Denied,
    Job,
    JobGone,
    NotSent,
    RebootAnswer,
    Refusal,
    Refused,
    Throttled,
)
from runner.net.secret import Secret
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, RequestLog
from runner.ports import Cloud
from runner.simulator import faults
from runner.simulator.faults import Rule, ServerPick
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import Running, serve
from runner.simulator.state import CloudOptions
from runner.simulator.switches import KnownLogins, Switches
from tests.cloud.wild import Connection, Wild, free_port, hang, raw, reply, run, wild

QUICK = ExchangeLimits(connect_s=2, read_s=2, total_s=5)
PLANTED = KnownLogins(
    ak="PLANTEDACCESS",
    sk="planted-secret-key",
    security_token="planted-sts",
    password="planted-pass",
)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


def key(credentials: KnownLogins) -> KeyLogin:
    sts = credentials.security_token
    return KeyLogin(Secret(credentials.ak), Secret(credentials.sk), Secret(sts) if sts else None)


def password(credentials: KnownLogins) -> PasswordLogin:
    return PasswordLogin(Secret(credentials.password), credentials.user, domain=credentials.domain)


@dataclass
class There:
    """A client, the simulated cloud it talks to, and the log of its requests."""

    cloud: HuaweiCloud
    simulated: Running
    log: list[RequestLog] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [s.id for s in self.simulated.state.fleet.servers]

    def calls(self, part: str) -> list[str]:
        return [line.target for line in self.log if part in line.target]

    async def reboot(self, ids: Sequence[str], at: datetime | None = None) -> RebootAnswer:
        return await self.cloud.reboot(ids, "SOFT", at or datetime.now(UTC))


@asynccontextmanager
async def there(
    *rules: Rule,
    servers: int = 30,
    login: str = "key",
    switches: Switches | None = None,
    credentials: KnownLogins = PLANTED,
    cloud: str = "simulator",
    limits: ExchangeLimits = QUICK,
    project: str = "",
    enterprise_project: str | None = None,
    **how: Any,
) -> AsyncIterator[There]:
    options = CloudOptions(
        fleet=FleetOptions(servers=servers),
        credentials=credentials,
        switches=switches or Switches(),
        rules=rules,
        time_scale=100.0,
    )

    async def sleep(seconds: float) -> None:
        pass

    log: list[RequestLog] = []
    async with serve(options) as simulated:
        known = {"": None, "own": simulated.project_id}.get(project, project)
        url, region = simulated.url, simulated.region
        target = settings_for(
            cloud=cloud,
            region=region,
            project_id=known,
            ecs=url,
            iam=url,
            autoscaling=url,
            enterprise_project=enterprise_project,
            environ={},
        )
        ways: dict[str, Login] = {"key": key(credentials), "password": password(credentials)}
        async with HuaweiCloud.open(
            target, ways[login], log=log.append, limits=limits, sleep=sleep, **how
        ) as client:
            yield There(client, simulated, log)


def answer_to(
    *rules: Rule, after: Any = None, **how: Any
) -> tuple[RebootAnswer, dict[str, int], int]:
    """What a reboot of three servers is answered with these faults; how often each went
    down; how many POSTs.
    """

    async def main() -> tuple[RebootAnswer, dict[str, int], int]:
        async with there(*rules, **how) as here:
            found = await here.reboot(here.ids[:3])
            return (
                found,
                dict(here.simulated.state.reboot_counts()),
                len(here.calls("cloudservers/action")),
            )

    return run(main())


# -- both logins, the plain way ------------------------------------------------


@pytest.mark.parametrize("login", ["key", "password"])
def test_the_whole_way(login: str) -> None:
    """List, reboot, job, state and history work with an access key and with a password."""

    async def main() -> None:
        async with there(login=login) as here:
            cloud: Cloud = here.cloud
            inventory = await cloud.inventory()
            assert sorted(here.ids) == [s.id for s in inventory.servers]
            assert here.cloud.project_id == here.simulated.project_id
            answer = await here.reboot(here.ids[:5])
            assert isinstance(answer, Accepted)
            assert answer.request_id
            job = await cloud.job(answer.job_id)
            assert isinstance(job, Job)
            while not job.status.is_final:
                job = await cloud.job(answer.job_id)
                assert isinstance(job, Job)
            assert {p.status.name for p in job.sub_jobs.values()} == {"SUCCESS"}
            assert set(job.sub_jobs) == set(here.ids[:5])
            states = await cloud.read_servers(here.ids[:6])
            assert set(states) == set(here.ids[:6])
            newest = (await cloud.reboot_history(here.ids[0]))[0]
            began = job.sub_jobs[here.ids[0]].began
            assert began
            assert newest == began.replace(microsecond=0)
            assert here.simulated.state.reboot_counts() == dict.fromkeys(here.ids[:5], 1)

    run(main())


def test_tags_zones_and_groups() -> None:
    """What plans select by arrives: names, zones, flavors, tags, enterprise projects and
    server groups.
    """

    async def main() -> None:
        async with there(servers=100) as here:
            inventory = await here.cloud.inventory()
            for truth in here.simulated.state.fleet.servers:
                seen = inventory.by_id[truth.id]
                assert (seen.name, seen.zone, seen.flavor) == (truth.name, truth.zone, truth.flavor)
                assert dict(seen.tags) == dict(truth.tags)
                assert seen.enterprise_project == truth.enterprise_project
                assert seen.server_group == truth.group
            members = {m for g in inventory.groups for m in g.members}
            assert members == {s.id for s in inventory.servers if s.server_group}

    run(main())


def test_many_pages() -> None:
    """A fleet of several pages is read whole, in as few list calls as pages, over few
    connections.
    """

    async def main() -> None:
        async with there(servers=3500) as here:
            inventory = await here.cloud.inventory()
            assert len(inventory.servers) == 3500
            assert len(here.calls("cloudservers/detail")) == 4

    run(main())


def test_servers_that_go_while_paging() -> None:
    """Servers deleted between two pages are not in the list, and nobody that stays is left out."""
    gone = faults.Missing(do="missing", on="list", after=1, servers=ServerPick(count=5))

    async def main() -> None:
        async with there(gone, servers=2500) as here:
            inventory = await here.cloud.inventory()
            assert len(inventory.servers) == 2495
            assert len(here.calls("cloudservers/detail")) == 6

    run(main())


def test_groups_that_may_not_be_read() -> None:
    """Without the right to read server groups the inventory has none, and all servers."""
    for status in (403, 404):

        async def main(status: int = status) -> None:
            rule = faults.Error(
                do="error", on="groups", status=status, code="Pdp.0001", times="all"
            )
            async with there(rule) as here:
                inventory = await here.cloud.inventory()
                assert len(inventory.servers) == 30
                assert inventory.groups == ()

        run(main())


@pytest.mark.parametrize("told", ["always", "to the end", "never"])
def test_pages_of_groups(told: str) -> None:
    """Where a full page does not tell the next one, it is asked for by the last id;
    nobody's groups are cut off.
    """
    ids = [f"{n:04}" for n in range(1002)]
    served: list[Wild] = []

    async def answer(connection: Connection) -> None:
        marker = parse_qs(urlsplit(served[0].seen[-1].target).query).get("marker", [""])[0]
        page = [i for i in ids if i > marker][:1000]
        body: dict[str, Any] = {
            "server_groups": [{"id": i, "name": i, "members": [], "policies": []} for i in page]
        }
        if told != "never":
            is_last = not page or page[-1] == ids[-1]
            body["page_info"] = {
                "next_marker": None if not page or (is_last and told == "to the end") else page[-1]
            }
        await reply(200, body)(connection)

    async def main() -> None:
        async with wild(answer) as server:
            served.append(server)
            transport = Transport(QUICK)
            reader = Reader(transport, lambda: datetime.now(UTC))

            async def get(path: str, *query: tuple[str, str]) -> Answer:
                return await reader.read(Outgoing("GET", server.url, path, query), None)

            found = await Servers(get, "p", False, lambda: datetime.now(UTC)).groups()
            await transport.aclose()
            assert [g.id for g in found] == ids
            assert len([s for s in server.seen if "marker=0999" in s.target]) == 1

    run(main())


@pytest.mark.parametrize(
    ("answer", "says", "is_denied"),
    [
        ({"status": 403, "code": "Ecs.0005"}, "permission", True),
        ({"status": 404, "code": "APIGW.0101"}, "refused", False),
        (
            {"status": 200, "body": "raw", "message": '{"groups": []}'},
            "not as its page documents",
            False,
        ),
        (
            {"status": 200, "body": "raw", "message": '{"server_groups": [{"name": "g"}]}'},
            "not as its page",
            False,
        ),
        (
            {
                "status": 200,
                "body": "raw",
                "message": '{"server_groups": [{"id": "g", "members": {}}]}',
            },
            "not as",
            False,
        ),
    ],
)
def test_server_groups_that_cannot_be_read_never_look_like_none(
    answer: dict[str, Any], says: str, is_denied: bool
) -> None:
    """Denied, without the API, or in another shape: the inventory says so, and has its
    servers all the same.
    """

    async def main() -> None:
        rule = faults.Error.model_validate(
            {"do": "error", "on": "groups", "times": "all", **answer}
        )
        async with there(rule, servers=3) as here:
            found = await here.cloud.inventory()
            assert (len(found.servers), found.groups) == (3, ())
            assert found.groups_unread is not None
            assert says in found.groups_unread.message
            assert found.groups_unread.is_denied == is_denied
            assert ("ecs:cloudServers:list" in found.groups_unread.hint) == is_denied

    run(main())


def test_enterprise_project_goes_with_every_list() -> None:
    """A user of one enterprise project sees its servers when the target names it, and is
    denied when it does not.
    """
    limited = Switches(only_enterprise_project="0")

    async def main() -> None:
        async with there(switches=limited, enterprise_project="0") as here:
            found = await here.cloud.inventory()
            assert {s.enterprise_project for s in found.servers} == {"0"}
            await here.cloud.read_servers(here.ids[:1])
            await here.cloud.trials.try_read("list")
            await here.cloud.surroundings()
            lists = [
                r.target
                for r in here.log
                if "/cloudservers/detail" in r.target or "/scaling_group?" in r.target
            ]
            assert len(lists) >= 4
            assert all("enterprise_project_id=0" in target for target in lists)
        async with there(switches=limited) as here:
            with pytest.raises(CloudDenied, match="ecs:cloudServers:list"):
                await here.cloud.inventory()

    run(main())


def test_groups_that_fail() -> None:
    """Any other error of the groups is an error: a spread over unknown groups would be none."""

    async def main() -> None:
        async with there(faults.Error(do="error", on="groups", status=500, times="all")) as here:
            with pytest.raises(CloudError):
                await here.cloud.inventory()

    run(main())


def test_when_it_was_read() -> None:
    """An inventory is dated by the clock that is given."""
    then = datetime(2030, 1, 1, tzinfo=UTC)

    async def main() -> None:
        async with there(now=lambda: then) as here:
            assert (await here.cloud.inventory()).read_at == then

    run(main())


# -- some servers --------------------------------------------------------------


def test_cheaper_of_filter_and_list() -> None:
    """A few servers are asked for by id; many by the list where that takes fewer requests."""

    async def main() -> None:
        async with there(servers=2100) as here:
            await here.cloud.read_servers(here.ids[:101])
            assert not here.calls("server_id=")
            here.log.clear()
            for number, requests in ((1, 1), (100, 1), (300, 3)):
                found = await here.cloud.read_servers(here.ids[:number])
                assert list(found) == here.ids[:number]
                assert len(here.calls("server_id=")) == len(here.log) == requests
                here.log.clear()
            assert len(await here.cloud.read_servers(here.ids[:301])) == 301
            assert not here.calls("server_id=")
            assert len(here.log) == 3

    run(main())


@pytest.mark.parametrize("login", ["key", "password"])
@pytest.mark.parametrize("cloud", ["simulator", "otc"])
def test_several_projects_of_a_region(login: str, cloud: str) -> None:
    """Nobody guesses which one is meant, whoever logs in; an id that is written settles it,
    a wrong one is told.
    """
    region = FleetOptions().region
    switches = Switches(
        other_projects=(f"{region}_team", "MOS"), cloud="otc" if cloud == "otc" else "huaweicloud"
    )

    async def main() -> None:
        with pytest.raises(
            CloudError, match=rf"has 2 projects: {region} \(\w+\), {region}_team \(\w+\)"
        ):
            async with there(login=login, switches=switches, cloud=cloud):
                pass
        async with there(login=login, switches=switches, cloud=cloud, project="own") as here:
            assert len((await here.cloud.inventory()).servers) == 30
        if login == "key":
            async with there(login=login, switches=switches, cloud=cloud, project="0" * 32) as here:
                with pytest.raises(CloudDenied, match=r"not of this project.*Ecs\.0023") as refused:
                    await here.cloud.inventory()
                assert "project_id" in str(refused.value.hint)

    run(main())


@pytest.mark.parametrize("cloud", ["simulator", "otc"])
def test_missing_servers_are_left_out(cloud: str) -> None:
    """Servers that do not exist are not in the answer, whichever way they are asked for."""
    stranger = "00000000-0000-4000-8000-000000000000"
    how: dict[str, Any] = (
        {"switches": Switches(cloud="otc"), "cloud": "otc"} if cloud == "otc" else {}
    )

    async def main() -> None:
        async with there(**how) as here:
            for ids in (here.ids[:2], here.ids[:20], []):
                assert list(await here.cloud.read_servers([*ids, stranger])) == ids
            if cloud == "otc":
                assert not here.calls("server_id=")
                assert here.calls(f"cloudservers/{stranger}")

    run(main())


def test_a_filter_that_is_silent() -> None:
    """Where the filter's answer says nothing about an id, only the list decides that it
    is missing.
    """
    one, two = ({"id": i, "name": i, "status": "ACTIVE"} for i in "ab")

    async def main() -> None:
        async with wild(
            reply(200, {"count": 1, "servers": [one]}),
            reply(200, {"count": 2, "servers": [one, two]}),
        ) as s:
            async with HuaweiCloud.open(
                Settings("huaweicloud", "r", s.url, s.url, "p"), key(PLANTED)
            ) as cloud:
                assert set(await cloud.read_servers(["a", "b"])) == {"a", "b"}
            assert "server_id=a%2Cb" in s.seen[0].target
            assert "server_id" not in s.seen[1].target

    run(main())


# -- jobs and histories --------------------------------------------------------


@pytest.mark.parametrize("gone", ["400", "404"])
def test_unknown_job(gone: Any) -> None:
    """A job that the cloud does not know is gone, whether it says so with 400 or 404."""

    async def main() -> None:
        async with there(switches=Switches(gone_job=gone)) as here:
            assert await here.cloud.job("ff8080") == JobGone("ff8080")

    run(main())


@pytest.mark.parametrize("body", ["json", "html", "text", "empty"])
@pytest.mark.parametrize("on", ["job", "show"])
def test_a_missing_route_is_no_missing_job_or_server(on: Any, body: Any) -> None:
    """A 404 of the gateway, of a proxy or without a code says nothing about a job or a
    server: it is an error.
    """
    rule = faults.Error(do="error", on=on, status=404, code="APIGW.0101", body=body, times="all")

    async def main() -> None:
        async with there(rule, cloud="otc") as here:
            with pytest.raises(CloudError):
                await (
                    here.cloud.job("ff8080")
                    if on == "job"
                    else here.cloud.read_servers(here.ids[:1])
                )

    run(main())


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "a?b", "a b", "x" * 200])
def test_what_is_no_job_id(job_id: str) -> None:
    """What could lead elsewhere is never put into a path."""

    async def main() -> None:
        async with there() as here:
            here.log.clear()
            with pytest.raises(CloudError):
                await here.cloud.job(job_id)
            assert not here.log

    run(main())


def test_failed_part() -> None:
    """A sub-job that failed has the cloud's code and reason, whatever its parent says."""
    rule = faults.JobFail(
        do="job_fail", servers=ServerPick(count=1), reason="no power", parent="SUCCESS"
    )

    async def main() -> None:
        async with there(rule) as here:
            answer = await here.reboot(here.ids[:3])
            assert isinstance(answer, Accepted)
            job = await here.cloud.job(answer.job_id)
            while isinstance(job, Job) and not job.status.is_final:
                job = await here.cloud.job(answer.job_id)
            assert isinstance(job, Job)
            failed = [p for p in job.sub_jobs.values() if p.status.name == "FAIL"]
            assert [(p.code, p.reason) for p in failed] == [("Ecs.0227", "no power")]

    run(main())


def test_history_that_cannot_be_read() -> None:
    """An unreadable history is an error and never an empty one."""

    async def main() -> None:
        async with there() as here:
            for unknown in ("00000000-0000-4000-8000-000000000000", "..", ""):
                with pytest.raises(CloudError):
                    await here.cloud.reboot_history(unknown)

    run(main())


# -- the reboot's answers ------------------------------------------------------


def test_ambiguous_with_and_without_effect() -> None:
    """A broken answer is ambiguous whether the cloud acted or not; exactly one POST was
    made in each case.
    """
    rules: list[tuple[Rule, int]] = [
        (faults.Error(do="error", on="reboot", status=500, effect=True), 1),
        (faults.Error(do="error", on="reboot", status=502, body="html", effect=True), 1),
        (faults.Error(do="error", on="reboot", status=503, body="empty"), 0),
        (faults.Error(do="error", on="reboot", status=504, body="text"), 0),
        (faults.Reset(do="reset", on="reboot", when="before"), 0),
        (faults.Reset(do="reset", on="reboot", when="after"), 1),
        (faults.Truncate(do="truncate", on="reboot"), 1),
    ]
    for rule, times in rules:
        found, counts, posts = answer_to(rule)
        assert isinstance(found, Ambiguous), rule
        assert posts == 1, rule
        assert set(counts.values()) <= {times}, rule


def test_no_answer_in_time() -> None:
    """An answer that does not come in time is ambiguous."""
    slow = faults.Delay(do="delay", on="reboot", seconds=timedelta(seconds=3), clock="wall")
    found, counts, posts = answer_to(slow, limits=ExchangeLimits(read_s=0.2, total_s=1))
    assert isinstance(found, Ambiguous)
    assert (sorted(counts.values()), posts) == ([1, 1, 1], 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "Common.1503"), (429, "APIGW.0308"), (202, "Common.0024"), (503, "Common.1503")],
)
def test_throttled(status: Any, code: Any) -> None:
    """Flow control is told apart in all its forms, with its waiting time, and nothing went down."""
    rule = faults.Throttle(
        do="throttle", on="reboot", status=status, code=code, retry_after=timedelta(seconds=7)
    )
    found, counts, posts = answer_to(rule)
    assert isinstance(found, Throttled)
    assert (found.code, found.retry_after_s, counts, posts) == (code, 7, {}, 1)


@pytest.mark.parametrize("refusal", ["plain", "details"])
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (faults.Locked(do="locked", servers=ServerPick(count=1)), "Ecs.0605"),
        (faults.Busy(do="busy", servers=ServerPick(count=1)), "Ecs.0603"),
        (faults.NotActive(do="not_active", servers=ServerPick(count=1)), "Ecs.0100"),
        (faults.Missing(do="missing", servers=ServerPick(count=1)), "Ecs.0114"),
        (faults.Frozen(do="frozen", servers=ServerPick(count=1)), "Ecs.0030"),
    ],
)
def test_refused_for_a_server(rule: Rule, code: str, refusal: Any) -> None:
    """One bad server's refusal says that servers are the reason, and nothing went down."""

    async def main() -> None:
        async with there(rule, switches=Switches(refusal=refusal)) as here:
            found = await here.reboot(here.ids)
            assert isinstance(found, Refused)
            assert found.is_divisible
            assert code in (found.code, *found.reason.replace("(", " ").split())
            assert not here.simulated.state.reboot_counts()

    run(main())


def test_every_server_named() -> None:
    """Where the answer names each server with its code, so does ours."""

    async def main() -> None:
        rule = faults.Locked(do="locked")
        async with there(rule, switches=Switches(refusal="named")) as here:
            found = await here.reboot(here.ids[:3])
            assert isinstance(found, Refused)
            assert found.why == (Refusal.LOCKED,)

    run(main())


def test_some_servers_named() -> None:
    """Where the answer names only some servers, it says nothing about the others: ambiguous."""

    async def main() -> None:
        rule = faults.Locked(do="locked", servers=ServerPick(count=1))
        async with there(rule, switches=Switches(refusal="named")) as here:
            assert isinstance(await here.reboot(here.ids), Ambiguous)

    run(main())


def test_nothing_was_sent() -> None:
    """Nobody listens: not sent, with a sentence."""
    url = f"http://127.0.0.1:{free_port()}"

    async def main() -> RebootAnswer:
        async with HuaweiCloud.open(
            Settings("huaweicloud", "r", url, url, "p"), key(PLANTED)
        ) as cloud:
            return await cloud.reboot(["a"], "SOFT", datetime.now(UTC))

    found = run(main())
    assert isinstance(found, NotSent)
    assert "cannot connect" in found.reason


def test_late_request() -> None:
    """The signature carries the instant of the intent: the gateway refuses one that comes
    much later.
    """

    async def main() -> None:
        async with there() as here:
            found = await here.reboot(here.ids[:2], at=datetime.now(UTC) - timedelta(minutes=16))
            assert isinstance(found, Denied)
            assert "clock" in found.hint
            assert not here.simulated.state.reboot_counts()

    run(main())


def test_a_job_id_in_a_broken_answer() -> None:
    """A job id that arrived is a fact, though the connection broke right after it."""
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: r\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def main() -> list[RebootAnswer]:
        found = []
        whole, half = b'13\r\n{"job_id":"ff8080"}\r\n', b'10\r\n{"job_id":"ff808\r\n'
        for body, then in ((whole, "reset"), (whole, "hang"), (half, "reset")):
            async with wild(raw(head, body, then=then)) as server:
                target = Settings("huaweicloud", "r", server.url, server.url, "p")
                limits = ExchangeLimits(read_s=0.2, total_s=1)
                async with HuaweiCloud.open(target, key(PLANTED), limits=limits) as cloud:
                    found.append(await cloud.reboot(["a"], "SOFT", datetime.now(UTC)))
        return found

    accepted = Accepted("ff8080", "r", 200)
    one, two, three = run(main())
    assert (one, two) == (accepted, accepted)
    assert isinstance(three, Ambiguous)


def test_a_batch_that_is_none() -> None:
    """A batch that the API does not take is an error of the caller, and nothing is sent."""

    async def main() -> None:
        async with there() as here:
            here.log.clear()
            for ids in ([], ["a", "a"], [str(n) for n in range(1001)]):
                with pytest.raises(ValueError, match="batch"):
                    await here.reboot(ids)
            assert not here.log

    run(main())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.binary(max_size=40), max_size=4),
    st.sampled_from(
        [
            b"",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 429 x\r\n\r\n",
            b"HTTP/1.1 401 x\r\nContent-Encoding: gzip\r\n\r\n",
        ]
    ),
)
def test_no_answer_raises(parts: list[bytes], head: bytes) -> None:
    """Whatever bytes come back, the reboot has an answer, and random bytes prove nothing."""

    async def main() -> RebootAnswer:
        async with wild(raw(head, *parts)) as server:
            target = Settings("huaweicloud", "r", server.url, server.url, "p")
            async with HuaweiCloud.open(target, key(PLANTED), limits=QUICK) as cloud:
                return await cloud.reboot(["a"], "SOFT", datetime.now(UTC))

    assert isinstance(run(main()), Ambiguous)


# -- credentials ---------------------------------------------------------------


def test_token_that_ends_under_reads() -> None:
    """A token that ends in the middle of a list is renewed once, whoever notices, and the
    list is whole.
    """
    rule = faults.ExpireToken(do="expire_token", on="list", after=1)

    async def main() -> None:
        async with there(rule, servers=4500, login="password") as here:
            assert len((await here.cloud.inventory()).servers) == 4500
            assert len(here.calls("auth/tokens")) == 2

    run(main())


def test_token_that_ends_before_a_reboot() -> None:
    """A reboot refused for an expired token may be asked again at once, after a new intent:
    nothing was begun.
    """
    rule = faults.ExpireToken(do="expire_token", on="reboot")

    async def main() -> None:
        async with there(rule, login="password") as here:
            found = await here.reboot(here.ids[:2])
            assert isinstance(found, Throttled)
            assert found.retry_after_s == 0
            assert not here.simulated.state.reboot_counts()
            assert isinstance(await here.reboot(here.ids[:2]), Accepted)
            assert len(here.calls("auth/tokens")) == 2

    run(main())


def test_token_that_is_refused_again() -> None:
    """A reboot refused right after a renewal is denied: it does not go round and round."""
    rule = faults.ExpireToken(do="expire_token", on="reboot", times="all")

    async def main() -> None:
        async with there(rule, login="password") as here:
            assert isinstance(await here.reboot(here.ids[:2]), Throttled)
            assert isinstance(await here.reboot(here.ids[:2]), Denied)
            assert not here.simulated.state.reboot_counts()

    run(main())


def test_token_is_renewed_before_it_ends() -> None:
    """A token is fetched once, kept, and replaced before its end; its life is measured on
    our clock.
    """
    now = datetime.now(UTC) + timedelta(days=400)

    async def main() -> None:
        nonlocal now
        short = PLANTED.model_copy(update={"token_valid": timedelta(hours=2)})
        async with there(login="password", credentials=short, wall=lambda: now) as here:
            for minutes, tokens in ((1, 1), (100, 1), (20, 2), (60, 2)):
                now += timedelta(minutes=minutes)
                await here.cloud.read_servers(here.ids[:1])
                assert len(here.calls("auth/tokens")) == tokens

    run(main())


def test_ready_made_token() -> None:
    """A token that somebody else fetched is used as it is; when it has ended, that is a denial."""

    async def main() -> None:
        async with serve(CloudOptions(credentials=PLANTED)) as simulated:
            target = settings_for(
                cloud="simulator", region=simulated.region, ecs=simulated.url, environ={}
            )
            with pytest.raises(CloudDenied) as caught:
                async with HuaweiCloud.open(target, TokenLogin(Secret("planted-token"))):
                    pass
            assert caught.value.exit_code == 77

    run(main())


@pytest.mark.parametrize("login", ["key", "password"])
def test_wrong_credentials(login: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong credentials end the opening with exit 77 and a sentence; no secret is in it,
    nor in any log.
    """
    caplog.set_level(logging.DEBUG)
    wrong = PLANTED.model_copy(update={"sk": "planted-wrong-sk", "password": "planted-wrong-pass"})
    log: list[RequestLog] = []

    async def main() -> CloudDenied:
        async with serve(CloudOptions(credentials=PLANTED)) as simulated:
            target = settings_for(
                cloud="simulator", region=simulated.region, ecs=simulated.url, environ={}
            )
            way = key(wrong) if login == "key" else password(wrong)
            with pytest.raises(CloudDenied) as caught:
                async with HuaweiCloud.open(target, way, log=log.append):
                    pass
            return caught.value

    error = run(main())
    assert error.exit_code == 77
    assert error.hint
    shown = [str(error), repr(vars(error)), caplog.text, repr(log)]
    linked: BaseException | None = error
    while linked is not None:
        shown.append(repr(linked) + repr(vars(linked)))
        linked = linked.__cause__ or linked.__context__
    assert "planted" not in "".join(shown).lower()


@pytest.mark.parametrize("login", ["key", "password"])
def test_no_secret_anywhere(login: str, caplog: pytest.LogCaptureFixture) -> None:
    """After a run with every kind of trouble no log line and no object shows a secret."""
    caplog.set_level(logging.DEBUG)
    rules: list[Rule] = [
        faults.Error(do="error", on="list", status=500),
        faults.Reset(do="reset", on="list", after=1),
        faults.Error(
            do="error",
            on="reboot",
            status=401,
            code="APIGW.0301",
            message="planted-sts planted-pass",
        ),
    ]

    async def main() -> list[str]:
        async with there(*rules, login=login) as here:
            shown = [repr(await here.cloud.inventory())]
            shown += [repr(await here.reboot(here.ids[:2])) for _ in range(2)]
            shown += [repr(here.cloud), repr(vars(here.cloud)), repr(here.log)]
            return shown

    shown = "".join(run(main())) + caplog.text
    secrets = ["PLANTEDACCESS", "planted-secret-key"]
    secrets += ["planted-sts"] if login == "key" else ["planted-pass"]
    assert not [s for s in secrets if s in shown]


@pytest.mark.parametrize(
    ("projects", "words"),
    [
        ([], "no project"),
        (None, "no project"),
        ([{"id": "a", "name": "rx"}, {"id": "b", "name": "MOS"}], "no project"),
        ([{"id": "a", "name": "r", "enabled": False}], "no project"),
        ([{"id": "a", "name": "r_x"}], r"has 1 project: r_x \(a\)"),
        ([{"id": "a", "name": "r"}, {"id": "b", "name": "r"}], "2 projects"),
        (
            [{"id": "b", "name": "r_x"}, {"id": "a", "name": "r"}],
            r"has 2 projects: r \(a\), r_x \(b\)",
        ),
        ([{"id": "a", "name": "r"}, {"id": "b", "name": "r_\x1b[31m::error::"}], r"r_ ?\[31m"),
        ([{"id": f"{n}", "name": f"r_{n:02}"} for n in range(30)], "r_09 .9. and 20 more"),
    ],
)
def test_project_that_is_not_found(projects: Any, words: str) -> None:
    """None or several projects of the region: an error that lists them and says to
    configure one.
    """

    async def main() -> CloudError:
        async with wild(reply(200, {"projects": projects})) as server:
            with pytest.raises(CloudError, match=words) as caught:
                async with HuaweiCloud.open(
                    Settings("huaweicloud", "r", server.url, server.url), key(PLANTED)
                ):
                    pass
            assert server.seen[0].target == "/v3/projects"
            return caught.value

    error = run(main())
    assert error.hint is not None
    assert "project_id" in error.hint


def test_login_service_out_of_order() -> None:
    """While no token can be had, a reboot is not sent."""

    async def main() -> RebootAnswer:
        async with wild(reply(503)) as iam, wild(hang()) as ecs:
            target = Settings("huaweicloud", "r", ecs.url, iam.url, "p" * 32)
            async with HuaweiCloud.open(target, password(PLANTED)) as cloud:
                found = await cloud.reboot(["a"], "SOFT", datetime.now(UTC))
                assert not ecs.seen
                return found

    assert isinstance(run(main()), NotSent)
