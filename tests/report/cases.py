"""Runs to report on: real ones, driven in virtual time, with whatever text a test wants in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from runner.execution.journal import create_run, replay
from runner.model.events import Event
from runner.model.inventory import PowerState
from runner.model.job import RebootAnswer, Refused
from runner.model.run import Run
from runner.model.schedule import Exclusion, Pause, Schedule, ServerRef, together
from runner.report.run_build import build_report
from runner.report.run_report import RunReport
from tests.execution.memory_cloud import MemoryCloud, lost_before_acceptance
from tests.execution.setup import Bench, schedule_of
from tests.journal import made

HOSTILE = (
    "::error file=a,line=1::boom",
    "##[error]boom",
    "x ##[add-mask]e",
    "`rm -rf`",
    "a|b|c",
    "@everyone",
    "line\nbreak",
    "\r\n::warning::x",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=1>",
    "]]>--><![CDATA[",
    "EOF\nEOF",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(1)",
    "**bold** _it_ [a](http://evil.example) ![i](x)",
    "www.evil.example",
    "[red]rich[/red] :smile:",
    "\u202egnp.exe",
    "\ud800 lone",
    "\ufffe nonchar \x00 nul \x7f",
    "&lt;b&gt; &#60;",
    "",
    "名前-ä-🚀",
)
"""Text that some channel would read as more than text."""


@dataclass(frozen=True)
class Case:
    """A run as its journal tells, and its report."""

    run: Run
    events: Sequence[Event]

    @property
    def report(self) -> RunReport:
        return build_report(self.run, self.events)


def begin(bench: Bench, schedule: Schedule, facts: Mapping[str, Any]) -> str:
    """A new run with facts, in the bench's store."""
    baseline = {i: s.updated for i in bench.cloud.servers if (s := bench.cloud.see(i))}
    return create_run(bench.store, schedule, bench.clock.now(), facts, baseline)


def case_of(bench: Bench, run_id: str) -> Case:
    return Case(bench.read(run_id), bench.store.events(run_id))


def plain_run(waves: Sequence[int] = (1, 4, 5), **options: Any) -> Case:
    """A run in which everything goes well."""
    bench = Bench.of(sum(waves))
    run_id = bench.start(schedule_of(waves, **options))
    bench.follow(run_id)
    return case_of(bench, run_id)


def troubled_run(text: str = "boot failed", extra: str = "ordinary") -> Case:
    """A run with each outcome: ready, failed, unknown, skipped, not started; approved,
    cancelled, resolved.

    `text` is in every place where other people's words can be; `extra` is one more of them,
    for names only.
    """
    run_id, events = _troubled(text, extra)
    return Case(replay(run_id, list(events)), events)


@cache
def _troubled(text: str, extra: str) -> tuple[str, tuple[Event, ...]]:
    """Its journal, as the store gives it back."""
    bench = Bench.of(12)
    schedule = _with_text(
        schedule_of([2, 3, 4, 3], max_failures=9, pause=Pause("approval")), text, extra
    )
    bench.cloud.fails = {"s-001": text}
    bench.cloud.servers["s-003"] = replace(
        bench.cloud.servers["s-003"], state=PowerState.STOPPED, words=f"status SHUTOFF{text}"
    )
    bench.cloud.answers = [
        None,
        lambda c, i: Refused("Ecs.0005", text, 400, f"req {text}"),
        lost_and_changed,
    ]
    facts = {"tool_version": "0.1.0", "actor": text, "commit": text, "ci_run": text}
    run_id = begin(bench, schedule, facts)
    for question in ("pause:1", "pause:2", "proof:2"):
        if question == "proof:2":
            bench.follow(run_id, until="came back ready")
        else:
            bench.follow(run_id, until="asks for an approval")
        record(bench, run_id, "approval.given", {"question": question, "by": text, "reason": text})
    bench.follow(run_id, until="asks for an approval")
    record(bench, run_id, "cancel.requested", {"by": text, "reason": text})
    bench.follow(run_id)
    resolved = {"server": "s-005", "resolved_as": "rebooted", "by": text, "reason": text}
    bench.store.record(
        run_id, bench.clock.now(), [made("server.resolved", resolved)], open_only=False
    )
    return run_id, tuple(bench.store.events(run_id))


def lost_and_changed(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    """The answer is lost, and one server changes: what is seen proves nothing."""
    first = min(ids)
    cloud.servers[first] = replace(cloud.servers[first], updated="later")
    return lost_before_acceptance(cloud, ids)


def record(bench: Bench, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
    bench.store.record(run_id, bench.clock.now(), [made(kind, data)])


def _with_text(schedule: Schedule, text: str, extra: str) -> Schedule:
    """The schedule with `text` in every place that other people fill."""
    waves = tuple(
        replace(
            w,
            servers=tuple(
                ServerRef(s.id, f"{text}{extra}" if n else text, text)
                for n, s in enumerate(w.servers)
            ),
        )
        for w in schedule.waves
    )
    excluded = together([Exclusion(ServerRef("s-900", text, text), "web", "Locked", text)])
    return replace(
        schedule,
        waves=waves,
        excluded=excluded,
        plan=replace(schedule.plan, file=text, description=text),
    )
