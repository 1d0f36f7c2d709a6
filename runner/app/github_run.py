"""The jobs that execute: after a merge exactly what was reviewed, and on a schedule what is due."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from runner.app.changed_plans import select, tell_selection
from runner.app.execute_run import Result
from runner.app.follow_run import Manner
from runner.app.github_job import (
    GitHubJob,
    do,
    earliest,
    failure_section,
    no_run_section,
    to_be_acted_on,
)
from runner.app.orders import Order, read_order, read_schedule
from runner.app.policy import Police
from runner.app.reconcile import tick
from runner.app.run_plan import Runner, open_runs_of_deleted
from runner.app.start_run import OlderOpen, Wish, earlier_run
from runner.app.stores import open_store_of
from runner.app.targets import WantedTargets, all_targets, choose_targets, is_embedded
from runner.errors import Exit, InvalidInput, RunnerError, Stale, UsageProblem
from runner.execution.journal import read_run
from runner.git.errors import NoRange
from runner.git.repository import Repository
from runner.github.api import GitHub, tolerated
from runner.github.artifacts import Artifact, MergedPull, download, find_schedules, merged_pull
from runner.github.comment import CommentKey, exists, read_digest, upsert
from runner.github.event import GitHubEvent, is_first_push
from runner.github.step import group
from runner.loading.config import LoadedConfig, template_env
from runner.loading.plan import Loaded, LoadOptions, load_plan
from runner.loading.search import find_plans, is_plan
from runner.model.problem import Problem
from runner.model.schedule import Schedule
from runner.report.diff import exit_code
from runner.report.safe import markdown, plain

LABEL = "plan"
"""Of the comments that show a dry run."""
RUN_LABEL = "run"
"""Of the comments that say why a merge ran nothing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where plans and schedules come from. `plans`: named ones; none: those that the event changed.

    `comment`: with `never` there is no comment on the pull request that a stored schedule
    could be compared with.
    """

    plans: list[Path]
    folder: Path
    artifact: str
    plan_workflow: str | None
    max_age: timedelta
    comment: str
    store_is_persistent: bool


def demand_default_branch(event: GitHubEvent) -> None:
    """Raise UsageProblem on another branch: only what was merged is run, by the configuration
    that was merged.

    The event of a schedule may not name the default branch. GitHub starts schedules there
    only (page "Events that trigger workflows").
    """
    if event.default_branch and event.ref != f"refs/heads/{event.default_branch}":
        raise UsageProblem(
            f"this job runs on {plain(event.ref, 200) or 'no branch'}, and plans run on the "
            f"default branch,"
            f" {plain(event.default_branch, 200)}, only",
            hint="start the workflow on the default branch",
        )


def run_job(job: GitHubJob, sources: Sources) -> int:
    """Run what the event is about; the exit code of the step."""

    def work(event: GitHubEvent) -> int:
        demand_default_branch(event)
        config = job.app.load_config()
        mine = _Work(job, sources, event, config, Repository.find(Path.cwd(), os.environ))
        return asyncio.run(mine.go(mine.files()))

    return do(job, "run", work)


@dataclass(slots=True)
class _Work:
    job: GitHubJob
    sources: Sources
    event: GitHubEvent
    config: LoadedConfig
    repository: Repository
    began: float = field(default_factory=time.monotonic)
    fetched: dict[int, Path] = field(default_factory=dict)
    """Artifacts that are unpacked already: several plans of one pull request lie in one."""
    pulls: dict[Path, MergedPull] = field(default_factory=dict)
    """The pull request that a plan came from, as far as it is known."""
    has_deleted: bool = False
    """Whether the push deleted plans."""

    def files(self) -> list[Path]:
        """Return the plans to run: files that were named, else those that the push changed in
        the folders.

        Reports the open runs of deleted plans.
        """
        is_push, named = self.event.name == "push", self.sources.plans
        if named and not (is_push and not any(is_plan(path.name) for path in named)):
            files, problems = find_plans(named)
            if any(p.severity == "error" for p in problems):
                raise InvalidInput(problems)
            self.job.problems += problems
            return Police.of(self.config).plans_among(files)
        if is_first_push(self.event):
            return []
        try:
            selection = select(named, "", os.environ, Path.cwd())
        except NoRange as error:
            hint = (
                "name the plan files: the workflow's input `plans`, or REBOOT_RUNNER_GITHUB_PLANS"
            )
            raise UsageProblem(error.message, hint=hint) from None
        tell_selection(self.job.app, selection)
        self.has_deleted = bool(selection.deleted)
        for path, said, hint in open_runs_of_deleted(self.job.app, self.config, selection):
            self.job.warn(f"{said}; {hint}")
            self.job.section(
                path, f"> [!WARNING]\n> {markdown(said, 1000)}: {markdown(hint, 500)}.\n"
            )
            self.job.problems.append(
                Problem("DeletedPlanRuns", said, None, hint, severity="warning")
            )
        return selection.files

    async def go(self, files: list[Path]) -> int:
        """Plan after plan; what is wrong with one does not keep the others from running."""
        results: dict[str, Result] = {}
        for n, file in enumerate(files):
            with group(os.environ, str(file), sys.stderr):
                results[file.as_posix()] = await self._run(file)
            is_told = results[file.as_posix()].code in (Exit.INTERRUPTED, Exit.TERMINATED)
            if is_told or self._left_s() == 0.0:
                why = "the job was cancelled" if is_told else "the job's deadline is over"
                results |= {f.as_posix(): self._not_begun(f, why) for f in files[n + 1 :]}
                break
        if not files:
            self.job.section("nothing", f"{self._why_nothing()}: nothing was begun.\n")
        codes = [r.code for r in results.values()]
        code = next(
            (c for c in codes if c in (Exit.INTERRUPTED, Exit.TERMINATED)), exit_code(codes)
        )
        due_s = earliest(r.due_s for r in results.values())
        return await self.job.end(code, due_s, {"plans": list(results)}, self.event)

    def _why_nothing(self) -> str:
        if is_first_push(self.event):
            return "The branch is new, so no pull request was merged into it"
        if self.has_deleted:
            return "Reboot plans were deleted, and no other has changed"
        return "No reboot plan has changed"

    def _left_s(self) -> float | None:
        """Seconds until the job's deadline, which is one for all plans; None without one."""
        deadline = self.job.deadline
        return (
            None
            if deadline is None
            else max(0.0, deadline.total_seconds() - (time.monotonic() - self.began))
        )

    def _not_begun(self, file: Path, why: str) -> Result:
        """A plan whose turn did not come: nobody begins it by himself, so that is a failure."""
        self.job.fail(
            RunnerError(f"{plain(file)} was not begun: {why}", hint="run the job again"), file
        )
        return Result(Exit.ERROR)

    async def _run(self, file: Path) -> Result:
        order: Order | None = None
        try:
            order = read_order(file, None, self._load)
            runner = self._runner(None)
            if not self._is_there(order):
                saved = await self._reviewed(order, file)
                order = replace(
                    order,
                    saved=saved,
                    digest=saved.plan_digest,
                    wanted=WantedTargets(tuple(t.name for t in saved.targets)),
                )
                runner = self._runner(saved.digest)
            result = await runner.run(order)
        except RunnerError as error:
            self.job.fail(error, file)
            if order is not None:
                self._keep_open(order.plan_name)
            is_refused = isinstance(error, Stale | OlderOpen | InvalidInput | UsageProblem)
            said = (
                "The merge did not run this plan."
                if is_refused
                else "The job that runs this plan failed."
            )
            with tolerated(self.job.warn):
                await self._tell_pull_request(
                    file, f"> [!CAUTION]\n> {said}\n\n{failure_section(error, file)}"
                )
            return Result(error.exit_code)
        if result.run_id is None:
            self.job.tell_no_run(file, result.code, result.note)
            said = no_run_section(file, result.note) if result.code != Exit.DONE else ""
        else:
            with open_store_of(self.job.app, self.config) as store:
                run = read_run(store, result.run_id)
                self.job.keep(store, run, is_old=result.is_old)
            said = "" if result.is_old else to_be_acted_on(run)
        with tolerated(self.job.warn):
            await (
                self._tell_pull_request(file, said) if said else self._correct_pull_request(file)
            )
        return result

    def _keep_open(self, plan: str) -> None:
        """The reports of a run that this process could not follow to its end."""
        with open_store_of(self.job.app, self.config) as store:
            for row in store.runs(plan=plan, open_only=True):
                self.job.keep(store, read_run(store, row.id))

    def _load(self, path: Path) -> Loaded:
        return load_plan(path, LoadOptions(env=template_env(self.config.config, os.environ)))

    def _runner(self, digest: str | None) -> Runner:
        manner = Manner(self.job.wait.total_seconds(), self._left_s(), self.job.watch(self.config))
        wish = Wish(schedule_digest=digest, max_age=self.sources.max_age)
        return Runner(self.job.app, self.config, wish, manner, self.sources.store_is_persistent)

    def _is_there(self, order: Order) -> bool:
        """Whether a run goes on, or was finished, without any schedule: then nothing
        new is begun.
        """
        targets, _ = choose_targets(self.config, None, order.wanted)
        is_tried = is_embedded(all_targets(self.config)[targets[0]])
        with open_store_of(self.job.app, self.config) as store:
            try:
                row = earlier_run(store, order.plan_name, order.digest, targets)
            except OlderOpen:
                return True  # the runner says so, with what to do about it
        return row is not None and (row.is_open or not is_tried)

    async def _reviewed(self, order: Order, file: Path) -> Schedule:
        """Return the schedule that the pull request's last diff has stored. Raises Stale
        without one.
        """
        why = "no pull request was merged with this commit"
        async with GitHub(os.environ) as api:
            async for pull in self._pulls(api, [*self._commits(file), *self._last_change(file)]):
                name = f"{self.sources.artifact}-{pull.head_sha}"
                stored = await find_schedules(
                    api, self.event.repository, pull.head_sha, name, self.sources.plan_workflow
                )
                found = [a for a in stored if a.created_at <= pull.merged_at]
                if not found:
                    why = _why_unstored(pull, name, is_late=bool(stored))
                    continue
                saved = await self._fetch(api, found[0], order.plan_name)
                if saved is None:
                    why = (
                        f"the artifact {name} of pull request {pull.number} holds no schedule "
                        f"of {order.plan_name}"
                    )
                    continue
                self.pulls[file] = pull
                await self._demand_shown(api, saved, pull.number, pull.head_sha, file)
                return saved
        raise Stale(
            f"{plain(file)}: there is no reviewed schedule: {why}",
            hint="open a pull request that touches the plan, and merge it when its dry run is "
            "there; a schedule that"
            " was not reviewed is never run",
        )

    async def _pulls(self, api: GitHub, commits: Iterable[str]) -> AsyncIterator[MergedPull]:
        """Yield the pull requests that brought these commits, each once."""
        seen: set[int] = set()
        for commit in dict.fromkeys(commits):
            pull = await merged_pull(api, self.event.repository, commit)
            if pull is not None and pull.number not in seen:
                seen.add(pull.number)
                yield pull

    def _commits(self, file: Path) -> list[str]:
        """Return the commits of the event that can have brought the plan here, the newest first.

        A merge queue pushes several pull requests at once, and a rebase makes several
        commits of one.
        """
        name, before = self._name(file), self.event.before
        found = [self.event.after or self.event.sha]
        if name and before is not None and self.repository.has(before):
            found += self.repository.mainline_since(name, before)
        return [commit for commit in found if commit]

    def _last_change(self, file: Path) -> list[str]:
        name = self._name(file)
        last = self.repository.last_change(name) if name else None
        return [last] if last else []

    def _name(self, file: Path) -> str | None:
        """Return the plan's path in the repository."""
        return self.repository.path_of(Path.cwd() / file)

    async def _tell_pull_request(self, file: Path, body: str) -> None:
        """Say on the pull request that brought the plan what a person must know or do.
        Raise GitHubError.
        """
        async with GitHub(os.environ) as api:
            pulls = [pull async for pull in self._pulls(api, self._commits(file))]
            pull = self.pulls.get(file) or (pulls[-1] if pulls else None)
            if pull is None or self.sources.comment == "never":
                return
            await upsert(
                api,
                self.event.repository,
                pull.number,
                self._key(RUN_LABEL, file),
                body + self._link(),
            )

    async def _correct_pull_request(self, file: Path) -> None:
        """Withdraw what an earlier attempt of this job said on the pull request. Raises
        GitHubError.
        """
        pull, key = self.pulls.get(file), self._key(RUN_LABEL, file)
        if pull is None or self.sources.comment == "never":
            return
        async with GitHub(os.environ) as api:
            if await exists(api, self.event.repository, pull.number, key):
                body = f"A later attempt ran `{markdown(file)}`.\n" + self._link()
                await upsert(api, self.event.repository, pull.number, key, body)

    def _link(self) -> str:
        """Return where the job is on GitHub, as Markdown."""
        event = self.event
        if not (event.server_url and event.repository and event.run_id):
            return ""
        return (
            f"\n[The job]({event.server_url}/{event.repository}/actions/runs/{event.run_id}) "
            f"has the details.\n"
        )

    def _key(self, label: str, file: Path) -> CommentKey:
        return CommentKey(label, self._name(file) or file.as_posix())

    async def _download(self, api: GitHub, artifact: Artifact) -> Path:
        """A new folder with the artifact's files: what a checkout could have brought is
        never taken for them.
        """
        self.sources.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{artifact.id}-", dir=self.sources.folder))
        await download(api, artifact, folder)
        return folder

    async def _fetch(self, api: GitHub, artifact: Artifact, plan_name: str) -> Schedule | None:
        if artifact.id not in self.fetched:
            self.fetched[artifact.id] = await self._download(api, artifact)
        path = self.fetched[artifact.id] / f"{plan_name}.json"
        if not path.is_file():
            return None
        try:
            return read_schedule(path)
        except InvalidInput as error:
            said = "; ".join(p.message for p in error.problems[:3])
            raise Stale(f"the schedule that was stored cannot be used: {said}") from None

    async def _demand_shown(
        self, api: GitHub, saved: Schedule, pull: int, head_sha: str, file: Path
    ) -> None:
        """What the pull request's comment shows of the same commit must be what was stored:
        people read the comment.

        Raises Stale where it shows something else, or nothing; GitHubError where nobody can tell.
        """
        if self.sources.comment == "never":
            return
        shown = await read_digest(api, self.event.repository, pull, self._key(LABEL, file))
        if shown is None or shown.head != head_sha:
            raise Stale(
                f"no comment of pull request {pull} shows the schedule that was stored for its "
                f"last commit",
                hint="what nobody was shown is not run; where the pull request's job writes no "
                "comments, give this one"
                " `comment: never` too",
            )
        if shown.schedule_digest != saved.digest:
            raise Stale(
                f"the stored schedule is {saved.digest}, the comment of pull request {pull} shows"
                f" {shown.schedule_digest}",
                hint=(
                    "somebody has edited the comment, or stored another schedule: plan again in "
                    "a new pull request"
                ),
            )


def _why_unstored(pull: MergedPull, name: str, *, is_late: bool) -> str:
    if is_late:
        return (
            f"pull request {pull.number} was merged at {pull.merged_at:%Y-%m-%d %H:%M:%SZ}, "
            f"before its dry run ended"
            f" and stored {name}"
        )
    return (
        f"pull request {pull.number} had stored no artifact {name} for its last commit when it "
        f"was merged"
    )


def reconcile_job(job: GitHubJob) -> int:
    """Go on with what is due; the exit code of the step."""

    def work(event: GitHubEvent) -> int:
        demand_default_branch(event)
        config = job.app.load_config()
        deadline_s = job.deadline.total_seconds() if job.deadline else None
        ticked = asyncio.run(tick(job.app, job.wait.total_seconds(), deadline_s, job.watch(config)))
        with open_store_of(job.app, config) as store:
            for run_id in ticked.codes:
                job.keep(store, read_run(store, run_id))
        code = ticked.code
        if not code and any(run.is_open for run in job.runs.values()):
            code = Exit.SUSPENDED
        if not job.runs:
            job.app.talk("no open run is due")
            job.section("nothing", "No open run is due.\n")
        return asyncio.run(job.end(code, ticked.next_s, {}, event))

    return do(job, "reconcile", work)
