"""Everything the simulated cloud can do wrong, one run each: what becomes of every server,
judged by the cloud's log.

The fleet is six servers in one wave, in the order of names: api-001, batch-001, db-001,
web-001, web-002, web-003.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runner.execution.effects import Tuning
from runner.model.events import Outcome
from runner.model.run import Run
from runner.net.transport import ExchangeLimits
from tests.runs.harness import Field, LoginKind, options_of, plan_of, simulated

Fault = Mapping[str, Any]
ONE = {"names": ["web-001"]}
QUICK_ENOUGH = Tuning(poll_every_s=21)
PATIENT = Tuning(poll_every_s=60)
"""For runs that wait for a deadline: fewer polls, less time."""
READY = "ready Rebooted"
SEEN = "ready RebootSeen"


@dataclass(frozen=True)
class Case:
    """Faults, and what they come to.

    `rules` hold from the start, `later` from when the schedule was made. `one`: what
    becomes of web-001, `all`: of the others (and of it, where `one` is not given). `posts`:
    reboot requests, a range where the back-off spreads them. `down`: how often web-001 went
    down by us; the others go down once if they end ready, or as `others_down` says.
    `least_s`: the run lasts at least so long, `most_s`: at most. `age_s`: so much later is
    the schedule made.
    """

    name: str
    rules: tuple[Fault, ...] = ()
    later: tuple[Fault, ...] = ()
    switches: Fault = field(default_factory=dict)
    on_unknown: str = "hold"
    word: str = "done"
    all: str = READY
    one: str = ""
    posts: int | range = 1
    down: int | None = None
    others_down: int | None = None
    least_s: float = 0.0
    most_s: float = 1_500.0
    age_s: float = 0.0
    login: LoginKind = "aksk"
    waves: str = "6"
    tuning: Tuning = QUICK_ENOUGH
    limits: ExchangeLimits | None = None
    wait_at_most: str = ""

    @property
    def expected_one(self) -> str:
        return self.one or self.all


def rule(do: str, on: str = "", **more: Any) -> Fault:
    return {"do": do, **({"on": on} if on else {}), **more}


def throttled() -> list[Case]:
    """Flow control, in every form, on the request and on readings: nothing was accepted, so
    it is asked again.
    """
    reboot = [
        Case(
            "429, no hint: back-off",
            (rule("throttle", "reboot", times=3),),
            posts=4,
            least_s=45,
            most_s=90,
        ),
        Case(
            "429 with Retry-After",
            (rule("throttle", "reboot", retry_after="90s"),),
            posts=2,
            least_s=130,
            most_s=180,
        ),
        Case("202 with Common.0024", (rule("throttle", "reboot", status=202),), posts=2, most_s=90),
        Case("503 with Common.1503", (rule("throttle", "reboot", status=503),), posts=2, most_s=90),
        Case(
            "a limit in the text, far from used up",
            (rule("throttle", "reboot", code="APIGW.0308"),),
            posts=2,
            most_s=90,
        ),
        Case(
            "for ever",
            (rule("throttle", "reboot", times="all"),),
            all="failed NotAccepted",
            wait_at_most="1h",
            posts=range(17, 21),
            least_s=3600,
            most_s=4000,
        ),
    ]
    reads = [
        Case(
            f"readings: {status} on {call}",
            (rule("throttle", call, status=status, times=3, after=1),),
        )
        for status, call in ((429, "job"), (202, "job"), (503, "list"), (202, "list"))
    ]
    quota = [
        Case(
            f"quota as {shape}{', Retry-After' if hint else ''}",
            switches={"quota": shape, "quota_servers": 3, "quota_retry_after": hint},
            tuning=Tuning(poll_every_s=21, servers_per_request=2),
            posts=posts,
            least_s=160,
            most_s=330,
        )
        for shape, hint, posts in (
            ("429", False, range(11, 15)),
            ("429", True, 5),
            ("202", False, range(11, 15)),
            ("202", True, 5),
            ("429-gateway", False, range(4, 7)),
            ("503", False, range(11, 15)),
            ("503", True, 5),
        )
    ]
    return reboot + reads + quota


def lost() -> list[Case]:
    """Answers to the request that prove nothing: settled by evidence; with `retry` and no
    trace, repeated.
    """
    cases = []
    no_effect = {
        "500": rule("error", "reboot", status=500),
        "500, a code of the middle of the work": rule(
            "error", "reboot", status=500, code="Ecs.0227"
        ),
        "502, a proxy's page": rule("error", "reboot", status=502, body="html"),
        "503, empty": rule("error", "reboot", status=503, body="empty"),
        "504 of the gateway": rule("error", "reboot", status=504, code="APIGW.0201"),
        "reset before acceptance": rule("reset", "reboot", when="before"),
    }
    for name, fault in no_effect.items():
        cases.append(
            Case(
                f"{name}; hold",
                (fault,),
                all="unknown NoTrace",
                word="stopped",
                posts=1,
                least_s=240,
                most_s=300,
            )
        )
        cases.append(
            Case(f"{name}; retry", (fault,), on_unknown="retry", posts=2, least_s=280, most_s=360)
        )
    effect = {
        "500 with effect": rule("error", "reboot", status=500, effect=True),
        "502 with effect": rule("error", "reboot", status=502, body="html", effect=True),
        "503 with effect": rule("error", "reboot", status=503, body="text", effect=True),
        "throttled by its words, with effect": rule(
            "error", "reboot", status=500, code="Common.0001", effect=True
        ),
        "reset after acceptance": rule("reset", "reboot", when="after"),
        "truncated answer": rule("truncate", "reboot"),
    }
    cases += [
        Case(f"{name}; {word}", (fault,), on_unknown=word, all=SEEN, posts=1, most_s=100)
        for name, fault in effect.items()
        for word in ("hold", "retry")
    ]
    cases += [
        Case(
            "no answer within the time limit",
            (rule("delay", "reboot", seconds="1200ms", clock="wall"),),
            on_unknown="retry",
            all=SEEN,
            limits=ExchangeLimits(total_s=0.8, read_s=0.8),
        ),
        Case("a slow answer", (rule("delay", "reboot", seconds="50s"),), least_s=50, most_s=120),
        Case(
            "a slow acceptance",
            (rule("delay", "reboot", seconds="50s", when="before"),),
            least_s=90,
            most_s=150,
        ),
        Case(
            "lost three times without a trace; retry",
            (rule("reset", "reboot", times="all"),),
            on_unknown="retry",
            all="unknown NoTrace",
            word="stopped",
            posts=3,
        ),
        Case(
            "lost, and lists and history lag; retry",
            (rule("reset", "reboot", when="after"),),
            switches={"state_lag": "150s", "history_lag": "150s"},
            on_unknown="retry",
            all=SEEN,
        ),
        Case(
            "lost, then refused for a state as if the first were at work; retry",
            (rule("reset", "reboot"), rule("busy", "reboot", after=1, servers=ONE)),
            switches={"refusal": "details"},
            on_unknown="retry",
            all="unknown MixedEvidence",
            posts=2,
        ),
        Case(
            "lost without effect, one server touched meanwhile; retry",
            (rule("reset", "reboot"), rule("tags", "actions", tags={"role": "web"}, servers=ONE)),
            on_unknown="retry",
            all="unknown MixedEvidence",
        ),
    ]
    return cases


def jobs() -> list[Case]:
    """What a job can say, and not say."""
    return [
        Case(
            "a sub-job fails, parent FAIL",
            (rule("job_fail", servers=ONE, parent="FAIL"),),
            one="failed JobFailed",
        ),
        Case(
            "a sub-job fails, parent SUCCESS",
            (rule("job_fail", servers=ONE, parent="SUCCESS"),),
            one="failed JobFailed",
        ),
        Case(
            "a sub-job fails untouched",
            (rule("job_fail", servers=ONE, goes_down=False),),
            one="failed JobFailed",
            down=0,
        ),
        Case("all sub-jobs fail", (rule("job_fail"),), all="failed JobFailed"),
        Case(
            "a sub-job that never ends",
            (rule("job_stuck", servers=ONE),),
            one=SEEN,
            tuning=PATIENT,
            least_s=900,
        ),
        Case("unknown for half a minute", (rule("job_unknown", seconds="30s"),)),
        Case(
            "unknown for ten minutes", (rule("job_unknown", seconds="10m"),), all=SEEN, most_s=300
        ),
        Case(
            "unknown as 404",
            (rule("job_unknown", seconds="10m"),),
            switches={"gone_job": "404"},
            all=SEEN,
        ),
        Case("jobs visible late", switches={"job_visible_after": "20s"}),
        Case("a sub-job is missing", (rule("sub_job_missing", servers=ONE),), one=SEEN),
        Case("all sub-jobs are missing", (rule("sub_job_missing"),), all=SEEN),
        Case("ERROR, sub-job FAIL", (rule("server_error", servers=ONE),), one="failed JobFailed"),
        Case(
            "ERROR, sub-job SUCCESS",
            (rule("server_error", servers=ONE, sub_job="SUCCESS"),),
            one="failed ServerError",
        ),
        Case(
            "ERROR, sub-job RUNNING",
            (rule("server_error", servers=ONE, sub_job="RUNNING"),),
            one="failed ServerError",
            tuning=PATIENT,
            least_s=900,
        ),
        Case(
            "REBOOT, sub-job SUCCESS",
            (rule("stays_in_reboot", servers=ONE),),
            one="failed NotReady",
            tuning=PATIENT,
            least_s=900,
        ),
        Case(
            "REBOOT, sub-job FAIL",
            (rule("stays_in_reboot", servers=ONE, sub_job="FAIL"),),
            one="failed JobFailed",
        ),
        Case(
            "REBOOT, sub-job RUNNING",
            (rule("stays_in_reboot", servers=ONE, sub_job="RUNNING"),),
            one="failed NotReady",
            tuning=PATIENT,
            least_s=900,
        ),
        Case(
            "fourteen minutes",
            (rule("slow", servers=ONE, seconds="14m"),),
            tuning=PATIENT,
            least_s=840,
            most_s=930,
        ),
        Case(
            "twenty minutes",
            (rule("slow", servers=ONE, seconds="20m"),),
            one="failed NotReady",
            tuning=PATIENT,
            most_s=1000,
        ),
        Case("states lag", (rule("state_lag", servers=ONE, seconds="60s"),)),
        Case("states of all lag", switches={"state_lag": "20s"}, least_s=60),
        Case("a parent that ends late", switches={"parent_lag": "5m"}, most_s=60),
        Case("polls fail", (rule("error", "job", status=500, times=6),)),
        Case(
            "polls break off",
            (rule("truncate", "job", times=3), rule("reset", "job", times=3, after=5)),
        ),
        Case(
            "readings break off",
            (rule("truncate", "list", after=1, times=3), rule("reset", "list", after=4, times=3)),
        ),
        Case("polls are slow", (rule("delay", "job", seconds="20s", times=2),)),
    ]


def servers() -> list[Case]:
    """A server that changes between the schedule and its wave, or between the wave's look
    and the request.
    """
    cases = []
    troubles: dict[str, tuple[Fault, str]] = {
        "locked": (rule("locked", servers=ONE), "Locked"),
        "frozen": (rule("frozen", servers=ONE), "Frozen"),
        "busy": (rule("busy", servers=ONE), "Busy"),
        "not active": (rule("not_active", servers=ONE), "NotActive"),
        "missing": (rule("missing", servers=ONE), "Missing"),
    }
    for name, (fault, reason) in troubles.items():
        refused = "unknown MixedEvidence" if name == "busy" else f"skipped {reason}"
        cases.append(Case(f"{name} before the wave", later=(fault,), one=f"skipped {reason}"))
        at_once = {**fault, "on": "reboot"}
        for told in ("plain", "details") if name in ("locked", "busy") else ("plain",):
            switches = {"refusal": told}
            cases.append(
                Case(
                    f"{name} at the request, {told}",
                    (at_once,),
                    switches=switches,
                    one=refused,
                    posts=range(2, 4),
                )
            )
        # An answer that names some servers says nothing of the others: they may be rebooting.
        named = {"refusal": "named"}
        cases.append(
            Case(
                f"{name} at the request, named",
                (at_once,),
                switches=named,
                all="unknown MixedEvidence",
            )
        )
        cases.append(
            Case(
                f"{name} at the request, only its sub-job fails",
                (at_once,),
                switches={"bad_servers": "sub_job"},
                one="failed JobFailed",
                down=0,
            )
        )
    return [
        *cases,
        Case(
            "busy for a minute",
            later=(rule("busy", servers=ONE, **{"for": "60s"}),),
            least_s=100,
            most_s=150,
        ),
        Case(
            "busy as Ecs.0100",
            (rule("busy", "reboot", servers=ONE),),
            switches={"busy_code": "Ecs.0100"},
            one="unknown MixedEvidence",
            posts=2,
        ),
        Case(
            "missing as Ecs.0614",
            (rule("missing", "reboot", servers=ONE),),
            switches={"missing_code": "Ecs.0614"},
            one="skipped Missing",
            posts=3,
        ),
        Case(
            "rebooted by somebody before the wave",
            later=(rule("rebooted_by_somebody", servers=ONE, at="1s"),),
            one="skipped RebootedByOther",
            waves="2",
            posts=3,
        ),
        Case(
            "rebooted by somebody between look and request",
            (
                rule("throttle", "reboot", retry_after="10s"),
                rule("rebooted_by_somebody", servers=ONE, at="5s"),
            ),
            one=SEEN,
            down=0,
            posts=2,
        ),
        Case(
            "rebooted by somebody long before, then touched",
            (rule("rebooted_by_somebody", servers=ONE),),
            age_s=600,
            later=(rule("tags", tags={"role": "web"}, servers=ONE, at="1s"),),
        ),
        Case(
            "deleted while it reboots",
            later=(rule("missing", "job", servers=ONE),),
            one="failed Missing",
        ),
    ]


def logins() -> list[Case]:
    """Tokens that end in mid-run are renewed, whatever call finds it out."""
    return [
        Case(
            f"a token ends at a {call}",
            (rule("expire_token", call, after=after),),
            login="password",
            posts=posts,
        )
        for call, after, posts in (("list", 1, 1), ("reboot", 0, 2), ("job", 0, 1), ("job", 3, 1))
    ]


CASES = [*throttled(), *lost(), *jobs(), *servers(), *logins()]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_one_fault(case: Case) -> None:
    """Whatever goes wrong, each server gets the outcome that can be known, and none is
    rebooted twice.
    """
    asyncio.run(_play(case))


@pytest.mark.parametrize("case", CASES[::3], ids=lambda c: c.name)
def test_one_fault_on_the_other_cloud(case: Case) -> None:
    """The same on the cloud without an id filter: each third case, of every kind some."""
    asyncio.run(_play(replace(case, switches={**case.switches, "cloud": "otc"})))


async def _play(case: Case) -> None:
    options = options_of(6, *case.rules, switches=case.switches)
    async with simulated(
        options, tuning=case.tuning, login=case.login, limits=case.limits
    ) as field:
        text = plan_of(
            case.waves,
            max_failures="100%",
            on_unknown=case.on_unknown,
            wait_at_most=case.wait_at_most,
        )
        field.clock.jump(seconds=case.age_s)
        run_id = await field.begin(text)
        if case.later:
            field.add_rules(*case.later)
            field.clock.jump(seconds=1.5)
        run = await field.follow(run_id)
        assert run.word == case.word
        found = {s.ref.name: f"{s.outcome} {s.reason}" for s in run.servers.values()}
        assert found == {
            name: case.expected_one if name == "web-001" else case.all for name in found
        }
        _assert_reboots(field, run, case)
        posts = case.posts if isinstance(case.posts, range) else (case.posts,)
        assert len(field.calls("reboot")) in posts
        assert run.ended
        lasted = (run.ended - run.created).total_seconds()
        assert case.least_s <= lasted <= case.most_s


def _assert_reboots(field: Field, run: Run, case: Case) -> None:
    """The cloud's log: nothing twice, what is ready went down, what was skipped or never
    started did not.
    """
    counts = field.state.reboot_counts()
    for server in run.servers.values():
        times = counts[server.ref.id]
        assert times <= 1
        if server.ref.name == "web-001" and case.down is not None:
            assert times == case.down
        elif server.outcome is Outcome.READY:
            assert times == 1
        elif server.outcome in (Outcome.SKIPPED, Outcome.NOT_STARTED) or server.reason in (
            "NoTrace",
            "NotAccepted",
        ):
            assert times == 0
