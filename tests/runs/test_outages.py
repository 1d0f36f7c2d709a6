"""The cloud cannot be reached, processes die, credentials end, days pass: every run comes
to a correct end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from runner.cloud.huawei.ecs import HuaweiCloud
from runner.errors import CloudDenied, CloudError
from runner.execution.effects import Tuning
from runner.model.events import Event
from runner.model.inventory import Inventory, Server
from runner.model.job import Job, JobGone, RebootAnswer
from runner.model.owner import Owner
from runner.model.run import Evidence, Run
from runner.model.schedule import RebootType
from runner.ports import Capabilities
from tests.runs.harness import Field, LoginKind, options_of, plan_of, simulated

SLOWLY = Tuning(poll_every_s=30)
OUTAGE: Mapping[str, Any] = {"do": "reset", "on": "any", "times": "all"}


def reasons(run: Run) -> set[str]:
    return {f"{s.outcome} {s.reason}" for s in run.servers.values()}


def once_each(field: Field, servers: int) -> bool:
    counts = field.state.reboot_counts()
    return len(counts) == servers and set(counts.values()) == {1}


@pytest.mark.parametrize("speaks", ["huaweicloud", "otc"])
@pytest.mark.parametrize("login", ["aksk", "password"])
def test_a_run_resumed_after_two_days(login: LoginKind, speaks: str) -> None:
    """Killed in its second wave and resumed when the job is gone: history tells, the rest
    of the run follows.
    """

    async def scene() -> None:
        async with simulated(
            options_of(9, switches={"cloud": speaks}), login=login, tuning=SLOWLY
        ) as field:
            run_id = await field.begin(plan_of("3"))
            run = await field.follow(run_id, until=lambda r: 2 in r.batches)
            assert run.batches[2].job_id
            field.clock.jump(days=2)
            run = await field.follow(run_id)
            assert run.word == "done"
            assert once_each(field, 9)
            assert len(field.calls("reboot")) == 3
            seen = [s for s in run.servers.values() if s.wave == 2]
            assert {(s.outcome, s.reason, s.evidence) for s in seen} == {
                ("ready", "RebootSeen", Evidence.STATE)
            }
            others = [s for s in run.servers.values() if s.wave != 2]
            assert {(s.outcome, s.reason) for s in others} == {("ready", "Rebooted")}

    asyncio.run(scene())


def test_a_run_resumed_after_two_days_finds_one_in_error_and_one_deleted() -> None:
    """Two days later each server is what it is then: back, in ERROR, gone, or never touched."""

    async def scene() -> None:
        rules = [
            {"do": "server_error", "servers": {"names": ["api-001"]}},
            {"do": "missing", "servers": {"names": ["db-001"]}, "at": "1d"},
            {"do": "stays_in_reboot", "servers": {"names": ["web-001"]}},
        ]
        async with simulated(options_of(6, *rules), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6", max_failures="100%"))
            await field.follow(run_id, until=lambda r: r.batches and r.batches[1].job_id)
            field.clock.jump(days=2)
            run = await field.follow(run_id)
            found = {s.ref.name: f"{s.outcome} {s.reason}" for s in run.servers.values()}
            assert found.pop("api-001") == "failed ServerError"
            assert found.pop("db-001") == "unknown JobVanished"
            assert found.pop("web-001") == "failed NotReady"
            assert set(found.values()) == {"ready RebootSeen"}
            assert once_each(field, 6)

    asyncio.run(scene())


def test_an_outage_before_the_wave_is_waited_for() -> None:
    """The cloud cannot be read for five minutes before the first wave: nothing is sent,
    then all goes well.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            await field.line.cut()
            run = await field.follow(
                run_id, until=lambda r: field.clock.now() - r.created > timedelta(minutes=5)
            )
            assert not run.batches
            await field.line.mend()
            run = await field.follow(run_id)
            assert reasons(run) == {"ready Rebooted"}
            assert once_each(field, 6)

    asyncio.run(scene())


def test_an_outage_before_the_wave_that_lasts_ends_the_process_not_the_run() -> None:
    """After `ready.timeout` without a reading the process gives up with the cloud's error;
    the run can be resumed.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            await field.line.cut()
            with pytest.raises(CloudError, match="connect"):
                await field.follow(run_id)
            assert (
                timedelta(minutes=15)
                <= field.clock.now() - field.read(run_id).created
                <= timedelta(minutes=17)
            )
            assert field.read(run_id).is_open
            assert not field.read(run_id).batches
            await field.line.mend()
            field.clock.jump(minutes=1)
            assert reasons(await field.follow(run_id)) == {"ready Rebooted"}

    asyncio.run(scene())


def test_an_outage_at_the_request_proves_that_nothing_was_sent() -> None:
    """A refused connection is no lost request: the batch is asked for again, and once only,
    when the line is back.
    """

    async def scene() -> None:
        tuning = Tuning(poll_every_s=30, servers_per_request=3, servers_per_minute=3)
        async with simulated(options_of(6), tuning=tuning) as field:
            run_id = await field.begin(plan_of("6"))
            await field.follow(run_id, until="come back")
            await field.line.cut()
            run = await field.follow(
                run_id, until=lambda r: field.clock.now() - r.created > timedelta(minutes=6)
            )
            phases = [str(b.phase) for b in run.batches.values()]
            assert phases.count("accepted") == 1
            assert set(phases[1:]) == {"not_sent"}
            await field.line.mend()
            run = await field.follow(run_id)
            assert reasons(run) == {"ready Rebooted"}
            assert once_each(field, 6)
            assert len(field.calls("reboot")) == 2

    asyncio.run(scene())


@pytest.mark.parametrize("minutes", [5, 14])
def test_an_outage_while_polling_is_endured(minutes: int) -> None:
    """Jobs cannot be read for a while: no verdict is made of it."""

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            await field.follow(run_id, until="come back")
            field.add_rules({**OUTAGE, "until": f"{minutes}m"})
            run = await field.follow(run_id)
            assert reasons(run) == {"ready Rebooted"}
            assert once_each(field, 6)
            assert run.ended
            assert (
                timedelta(minutes=minutes)
                <= run.ended - run.created
                <= timedelta(minutes=minutes + 2)
            )

    asyncio.run(scene())


def test_an_outage_while_polling_that_lasts_makes_servers_unknown() -> None:
    """When nobody could look until the deadline and two minutes more, the servers are
    unknown, not failed.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("3"))
            await field.follow(run_id, until="come back")
            field.add_rules(OUTAGE)
            run = await field.follow(run_id)
            assert run.word == "stopped"
            assert reasons(run) == {"unknown CannotSee", "not_started FailureBudgetExceeded"}
            assert run.ended
            assert timedelta(minutes=15) <= run.ended - run.created <= timedelta(minutes=19)
            assert once_each(field, 3)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("until", "expected"), [("4m", "ready Rebooted"), (None, "unknown CannotSee")]
)
def test_an_outage_while_reading_back(until: str | None, expected: str) -> None:
    """The job has ended well, but states cannot be read: for a while that is endured, at
    the deadline it is unknown.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:

            def watch(run: Run, event: Event) -> None:
                if event.type == "job.polled":
                    field.add_rules({**OUTAGE, **({"until": until} if until else {})})

            field.watch = watch
            run = await field.run(plan_of("6", max_failures="100%"))
            assert reasons(run) == {expected}
            assert once_each(field, 6)
            assert run.ended
            assert run.ended - run.created <= timedelta(minutes=19)

    asyncio.run(scene())


def test_credentials_that_end_in_mid_run_are_a_persons_matter() -> None:
    """Three refusals in a row end the process with what to do; with good credentials the
    run goes on where it was.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            await field.follow(run_id, until="come back")
            denied = {
                "do": "error",
                "on": "job",
                "status": 401,
                "code": "APIGW.0301",
                "times": "all",
            }
            field.add_rules({**denied, "until": "20m"})
            with pytest.raises(CloudDenied) as caught:
                await field.follow(run_id)
            assert caught.value.exit_code == 77
            assert field.clock.now() - field.read(run_id).created < timedelta(minutes=3)
            field.clock.jump(minutes=25)
            assert reasons(await field.follow(run_id)) == {"ready Rebooted"}
            assert once_each(field, 6)

    asyncio.run(scene())


POLICY = "Policy doesn't allow ecs:cloudServers:reboot to be performed."
DENIALS = {
    "policy engine": {"status": 403, "code": "Pdp.0001"},
    "Nova": {
        "status": 403,
        "body": "raw",
        "message": json.dumps({"forbidden": {"message": POLICY, "code": 403}}),
    },
    "enterprise project": {"status": 401, "code": "EPS.0003"},
}


@pytest.mark.parametrize("denied", DENIALS.values(), ids=DENIALS.keys())
def test_a_denied_request_reboots_nothing_and_can_be_repeated(denied: dict[str, Any]) -> None:
    """The permission is missing: exit 77, nothing spent, and with the permission the same
    run goes on.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            field.add_rules({"do": "error", "on": "reboot"} | denied)
            with pytest.raises(CloudDenied) as caught:
                await field.follow(run_id)
            assert caught.value.exit_code == 77
            assert "ecs:cloudServers:reboot" in f"{caught.value} {caught.value.hint}"
            assert {s.outcome for s in field.read(run_id).servers.values()} == {None}
            assert not field.state.reboot_counts()
            assert (
                field.store.spent(field.read(run_id).schedule.cycle, field.target.project_id) == {}
            )
            field.clock.jump(minutes=1)
            assert reasons(await field.follow(run_id)) == {"ready Rebooted"}
            assert once_each(field, 6)

    asyncio.run(scene())


def test_a_signed_request_that_arrives_too_late_is_refused() -> None:
    """A request that hangs on its way for 16 minutes is refused by its date: it reboots nothing."""

    async def scene() -> None:
        async with simulated(options_of(6), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("6"))
            field.add_rules({"do": "delay", "on": "reboot", "seconds": "16m", "when": "before"})
            with pytest.raises(CloudDenied, match=r"APIGW\.0301"):
                await field.follow(run_id)
            assert not field.state.reboot_counts()

    asyncio.run(scene())


class Death(BaseException):
    """The process is gone."""


class LastCall:
    """The port, behind which the process dies when the answer to its reboot request arrives."""

    def __init__(self, cloud: HuaweiCloud) -> None:
        self._cloud = cloud

    @property
    def capabilities(self) -> Capabilities:
        return self._cloud.capabilities

    def held_s(self) -> float:
        return self._cloud.held_s()

    async def inventory(self) -> Inventory:
        return await self._cloud.inventory()

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        return await self._cloud.read_servers(ids)

    async def reboot(
        self, ids: Collection[str], kind: RebootType, intended: datetime
    ) -> RebootAnswer:
        await self._cloud.reboot(ids, kind, intended)
        raise Death

    async def job(self, job_id: str) -> Job | JobGone:
        return await self._cloud.job(job_id)

    async def reboot_history(self, server_id: str) -> tuple[datetime, ...]:
        return await self._cloud.reboot_history(server_id)


ELSEWHERE = Owner("another-host", 4711, boot="b", namespace="n", started="1")


@pytest.mark.parametrize(
    ("login", "when", "dead", "expected", "posts", "least"),
    [
        ("aksk", "after", False, "ready RebootSeen", 1, timedelta(0)),
        ("password", "after", False, "ready RebootSeen", 1, timedelta(0)),
        ("aksk", "before", True, "ready Rebooted", 2, timedelta(minutes=4)),
        ("aksk", "before", False, "ready Rebooted", 2, timedelta(minutes=20)),
        ("password", "before", True, "ready Rebooted", 2, timedelta(minutes=4)),
        ("password", "before", False, "unknown NoTrace", 1, timedelta(0)),
    ],
)
def test_a_request_of_a_process_that_vanished(
    login: LoginKind, when: str, dead: bool, expected: str, posts: int, least: timedelta
) -> None:
    """With `retry`, what another process sent is repeated only when its request cannot
    arrive any more.
    """

    async def scene() -> None:
        async with simulated(options_of(2), login=login, tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("2", on_unknown="retry", max_failures="100%"))
            field.add_rules({"do": "reset", "on": "reboot", "when": when})
            first = field.driver(run_id, owner=ELSEWHERE, cloud=LastCall(field.cloud))
            with pytest.raises(Death):
                await field.follow(run_id, driver=first)
            field.clock.jump(seconds=61)
            second = field.driver(run_id, is_dead=lambda owner: dead and owner == ELSEWHERE)
            run = await field.follow(run_id, driver=second)
            assert reasons(run) == {expected}
            requests = field.calls("reboot")
            assert len(requests) == posts
            if posts == 2:
                assert timedelta(milliseconds=requests[1].at - requests[0].at) >= least
            assert max(field.state.reboot_counts().values(), default=0) <= 1

    asyncio.run(scene())
