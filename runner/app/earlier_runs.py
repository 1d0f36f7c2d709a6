"""What a dry-run is compared with: the plan in another revision of the repository, and the
plan's last run.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runner.errors import RunnerError, StoreError
from runner.execution.journal import read_run
from runner.git.repository import Repository
from runner.loading.plan import Loaded, LoadOptions
from runner.loading.revision import find_at, load_plan_at
from runner.model.plan import Plan
from runner.model.run import Run
from runner.model.schedule import Schedule, ServerRef
from runner.planning.compare import Changes
from runner.planning.lifted import Lift, lifted
from runner.ports.store import Store
from runner.report.diff_since import SinceBase, SinceRun
from runner.report.run_words import counts_words

_RUNS = 20
"""So many of a plan's runs are looked at for one on the target."""


@dataclass(frozen=True)
class Revision:
    """A revision of the repository as plans are compared with it. `written` is what the
    caller called it.
    """

    repository: Repository
    written: str
    commit: str

    @classmethod
    def open(cls, written: str) -> Revision:
        """Raises UnknownRevision, GitError."""
        repository = Repository.find(Path.cwd(), os.environ)
        return cls(repository, written, repository.resolve(written))

    def plan(self, now: Loaded, options: LoadOptions) -> Earlier:
        """The plan as it was there: at its path, where it was renamed from, or under its
        name in the same folder.
        """
        path = self.repository.path_of(Path.cwd() / now.name)
        if path is None:
            raise RunnerError(f"{now.name} is not in the repository {self.repository.root}")
        name = now.plan.name if now.plan else None
        found = find_at(self._read, self._files, path, name, renamed=self._renamed, options=options)
        if found is None:
            return Earlier(self, None)
        return Earlier(self, found, found != path, load_plan_at(self._read, found, options))

    def _read(self, path: str) -> bytes | None:
        return self.repository.read(self.commit, path)

    @cached_property
    def _files(self) -> list[str]:
        return self.repository.files(self.commit)

    @cached_property
    def _renamed(self) -> Mapping[str, str]:
        """New path to old, as far as it is committed."""
        changes = self.repository.changes(self.commit, self.repository.resolve("HEAD"))
        return {c.path: c.old_path for c in changes if c.old_path is not None}


@dataclass(frozen=True)
class Earlier:
    """A plan in a revision: its file there, None for a new plan."""

    revision: Revision
    file: str | None
    renamed: bool = False
    loaded: Loaded | None = None

    @property
    def plan(self) -> Plan | None:
        return self.loaded.plan if self.loaded else None

    def since(
        self,
        plan: Plan,
        changes: Changes | None = None,
        notes: tuple[str, ...] = (),
        moves: Iterable[Lift] = (),
    ) -> SinceBase:
        """Return the comparison: of guardrails if both plans are valid, of servers if
        `changes` are known.

        `moves`: the guardrails that are looser for servers which changed their group.
        """
        revision, was = self.revision, self.plan
        if self.file is not None and was is None:
            notes = (
                f"the plan of then is not valid, so nothing is compared: {_first(self.loaded)}",
                *notes,
            )
        lifts = (*lifted(was, plan), *moves) if was else ()
        return SinceBase(
            revision.written, revision.commit, self.file, self.renamed, notes, lifts, changes
        )


def _first(loaded: Loaded | None) -> str:
    errors = [p for p in loaded.problems if p.severity == "error"] if loaded else []
    if not errors:
        return "it cannot be read"
    where = errors[0].location
    return errors[0].message + (f" ({where.file}:{where.line})" if where else "")


def last_run(store: Store, plan: str, projects: Collection[str]) -> Run | None:
    """The plan's latest run on one of the projects; None without one, or where its journal
    cannot be read.
    """
    for row in store.runs(plan=plan, limit=_RUNS):
        try:
            run = read_run(store, row.id)
        except StoreError:
            return None
        if any(t.project_id in projects for t in run.schedule.targets):
            return run
    return None


def since_run(run: Run, new: Schedule) -> SinceRun:
    """What is different from a run. A server that was rebooted and is excluded for it now
    is not gone.
    """
    there = {s.id for w in run.schedule.waves for s in w.servers}
    here = {s.id for w in new.waves for s in w.servers}
    known = here | {e.server.id for e in new.exclusions}
    return SinceRun(
        run=run.id,
        created=run.created,
        state=run.word,
        outcome=f"{run.word}, {counts_words(run.counts())}",
        added=tuple(s for s in _servers(new) if s.id not in there),
        removed=tuple(s for s in _servers(run.schedule) if s.id not in known),
    )


def is_news(since: SinceRun) -> bool:
    """Whether there is more to say than that the plan has run and ended well."""
    return bool(since.added or since.removed or since.state != "done")


def _servers(schedule: Schedule) -> list[ServerRef]:
    return [s for w in schedule.waves for s in w.servers]
