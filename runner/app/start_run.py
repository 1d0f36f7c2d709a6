"""From a plan to a run: what is in the store already, the schedule, the consent, the
journal's first event.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner import __version__
from runner.app.app import App
from runner.app.prepare import Prepared
from runner.app.sessions import Sessions
from runner.errors import Held, RunnerError, Stale, UsageProblem
from runner.execution.journal import create_run, earlier_in_cycle, read_run, repeated_by
from runner.git.repository import Repository
from runner.loading.plan import require
from runner.loading.writing import plan_document
from runner.model.events import Note
from runner.model.schedule import Schedule
from runner.ports.store import RunRow, Store
from runner.report.run_words import count
from runner.report.safe import plain


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `run` said about consent. `max_age`: of a saved schedule, when its
    run is created.
    """

    yes: bool = False
    schedule_digest: str | None = None
    supersede: bool = False
    max_age: timedelta = timedelta(days=7)


class OlderOpen(Held):
    """Another run of the plan is open: of an older version, or on another target."""

    def __init__(self, row: RunRow, which: str, done: RunRow | None = None) -> None:
        super().__init__(
            f"run {row.id} {which} is open ({row.word})",
            hint=f"`reboot-runner resume {row.id}` follows it to its end; or `cancel {row.id} "
            f"--reason …` stops it, and"
            f" the next `reconcile` or `resume {row.id}` ends it. Then plan or run this version "
            f"again, in GitHub by"
            " running the job again; outside of jobs, `run --supersede` does it all",
        )
        self.row = row
        self.done = done


def earlier_run(store: Store, plan: str, digest: str, targets: Collection[str]) -> RunRow | None:
    """The run that a plan goes on with: an open one of the same digest; or the closed one that
    makes it done, however many other versions of the plan were run since (a change that was
    reverted).

    What was run on another target has not been run on this one. Raises OlderOpen while
    another run of the plan is open: of another version, or on another target; it holds the
    closed one, if there is one.
    """
    done: RunRow | None = None
    older: tuple[RunRow, str] | None = None
    for row in store.runs(plan=plan, limit=1_000_000):
        is_same = row.plan_digest == digest and _is_on(store, row, targets)
        if row.is_open and not is_same:
            which = (
                f"of {plan} on another target"
                if row.plan_digest == digest
                else f"of another version of {plan}"
            )
            older = (row, which)
        if is_same:
            done = done or row
    if older is not None:
        raise OlderOpen(*older, done)
    return done


def _is_on(store: Store, row: RunRow, targets: Collection[str]) -> bool:
    return {t.name for t in read_run(store, row.id).schedule.targets} == set(targets)


def demand_reviewed(digest: str, wish: Wish) -> None:
    """Raises Stale when a schedule of another digest was reviewed."""
    if wish.schedule_digest is not None and wish.schedule_digest != digest:
        raise Stale(
            f"the schedule is {digest}, not {plain(wish.schedule_digest)} as reviewed",
            hint=(
                "look at `reboot-runner diff` again: servers, waves or rules have changed since "
                "the review"
            ),
        )


def demand_consent(app: App, schedule: Schedule, sessions: Sessions, wish: Wish) -> None:
    """The reviewed digest, `--yes`, or the plan's name typed at a terminal. Simulated servers
    need none.

    Raises Stale when the digest is another, UsageProblem when nobody consented.
    """
    demand_reviewed(schedule.digest, wish)
    if wish.schedule_digest is not None or wish.yes or not sessions.is_real:
        return
    where = " and ".join(sessions.by_name)
    servers, waves = count(schedule.servers, "server"), count(len(schedule.waves), "wave")
    typed = app.ask(
        "Plan's name",
        f"{servers} of {where} will be rebooted in {waves}.",
        f"To continue, type the plan's name: {schedule.plan_name}",
    )
    if typed is None:
        raise UsageProblem(
            "nobody is here to confirm",
            hint="give --schedule-digest DIGEST of a reviewed schedule, or --yes",
        )
    if typed.strip() != schedule.plan_name:
        raise UsageProblem("this is not the plan's name; nothing was started")


def begin_run(
    store: Store, sessions: Sessions, prepared: Prepared, notes: Sequence[str], plan_file: Path
) -> str:
    """Store the run, with what is to be remembered of its beginning, and return its id."""
    schedule, found = prepared.demand(), prepared.inventory.by_id
    servers = (s for w in schedule.waves for s in w.servers)
    baseline = {s.id: found[s.id].updated if s.id in found else None for s in servers}
    now = sessions.clock.now()
    said = facts(plan_file) | ({"store_begun": True} if store.begun else {})
    said |= {"clock": sessions.clock_words} if sessions.clock_words else {}
    document = plan_document(require(prepared.loaded))
    earlier = earlier_in_cycle(store, schedule)
    repeats = [run.id for run in repeated_by(store, schedule.retry_of)]
    run_id = create_run(
        store, schedule, now, said, baseline, prepared.skipped, document, earlier, repeats
    )
    if notes:
        store.record(run_id, now, [Note(note) for note in notes])
    return run_id


def facts(plan_file: Path) -> dict[str, Any]:
    """What the report says of the circumstances: tool, actor, commit, CI run. Never a
    credential.
    """
    said = {
        "tool_version": __version__,
        "actor": actor(),
        "commit": _commit(plan_file),
        "ci_run": _ci_run(os.environ),
    }
    return {k: v for k, v in said.items() if v}


def utc_now() -> datetime:
    """The present moment by this machine's clock."""
    return datetime.now(UTC)


def actor() -> str:
    """Who is at it: the CI system's actor, else user@host."""
    ci = os.environ.get("GITHUB_ACTOR")
    if ci:
        return f"{ci} (GitHub)"
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _ci_run(env: Mapping[str, str]) -> str:
    server, repo, run = (
        env.get(k, "") for k in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    return f"{server}/{repo}/actions/runs/{run}" if server and repo and run else ""


def _commit(plan_file: Path) -> str:
    """The commit the plan's folder is at, with `+` when the file differs from it; empty
    outside Git.
    """
    try:
        repository = Repository.find(plan_file.absolute().parent)
        head, changed = repository.resolve("HEAD"), repository.uncommitted()
    except RunnerError:
        return ""
    return head + ("+" if repository.path_of(plan_file.absolute()) in changed else "")
