"""The job of a pull request: what the changed plans would do, said where people review them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from runner.app.app import App
from runner.app.changed_plans import Selection, select, tell_selection
from runner.app.diff_plans import OLDER_OPEN, DiffWish, diff_all, save, with_problems
from runner.app.github_job import GitHubJob, do
from runner.app.github_run import LABEL
from runner.app.policy import Police, rules_of
from runner.app.rules import loosened_rules
from runner.errors import Exit, RunnerError, UsageProblem
from runner.git.repository import Repository
from runner.github.api import GitHub, GitHubError
from runner.github.artifacts import merged_at
from runner.github.comment import CommentKey, Reviewed, exists, retire, upsert
from runner.github.event import GitHubEvent
from runner.loading.config import LoadedConfig, template_env
from runner.loading.plan import Loaded, LoadOptions, load_plan
from runner.loading.together import across
from runner.model.problem import Location, Problem
from runner.planning.lifted import Lift
from runner.report.diff import PlanDiff, exit_code
from runner.report.diff_markdown import diff_markdown
from runner.report.problems import problems_text
from runner.report.run_words import count
from runner.report.safe import markdown, plain

COMMENT_LIMIT = 60_000
SECTION_LIMIT = 400_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the job was asked for. `plans`: instead of what the event changed; `base`:
    instead of the event's.
    """

    plans: list[Path]
    base: str
    schedules: Path
    comment: str
    offline: bool


def plan_job(app: App, wanted: Wanted) -> int:
    """Validate and show; the exit code of the step."""
    job = GitHubJob(app, wanted.schedules, timedelta(0), None, "")

    def work(event: GitHubEvent) -> int:
        _demand_empty(wanted.schedules)
        repository = Repository.find(Path.cwd(), os.environ)
        selection = select(wanted.plans, "", os.environ, Path.cwd())
        tell_selection(app, selection)
        review = _Review.of(job, wanted, event, repository, selection)
        found = asyncio.run(review.look())
        if found.problems:
            app.show_problems(found.problems)
        job.problems += [
            replace(p, severity="error") if p.code == OLDER_OPEN else p for p in found.problems
        ]
        outputs = {"plans": [f.as_posix() for f in selection.files]} | found.outputs()
        return asyncio.run(job.end(found.code, None, outputs, event))

    return do(job, "plan", work)


def _demand_empty(folder: Path) -> None:
    """What is in the folder will be stored as reviewed, so nothing may be there that a pull
    request could bring.

    Raises UsageProblem.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UsageProblem(
            f"{plain(folder)} is not an empty folder, and what is in it would be stored as "
            f"reviewed",
            hint="name one outside of the checkout: REBOOT_RUNNER_GITHUB_SCHEDULES",
        )


@dataclass(slots=True)
class _Found:
    """What the job has found, and where it has said so."""

    problems: list[Problem]
    diffs: list[PlanDiff] = field(default_factory=list)
    comments: list[int] = field(default_factory=list)
    has_no_comment: bool = False

    @property
    def code(self) -> int:
        if any(p.severity == "error" for p in self.problems):
            return exit_code([Exit.INVALID, *(d.code for d in self.diffs)])
        held = [Exit.HELD for p in self.problems if p.code == OLDER_OPEN]
        unsaid = [Exit.ERROR] if self.has_no_comment else []
        code = exit_code([*held, *unsaid, *(d.code for d in self.diffs)])
        return Exit.DONE if code == Exit.CHANGES else code

    def outputs(self) -> dict[str, list[int] | dict[str, str]]:
        digests = {
            d.file: d.schedule.digest for d in self.diffs if d.schedule is not None and is_sound(d)
        }
        return {"schedule-digests": digests, "comment-ids": self.comments}


@dataclass(slots=True)
class _Review:
    job: GitHubJob
    wanted: Wanted
    event: GitHubEvent
    repository: Repository
    selection: Selection
    base: str
    config: LoadedConfig
    police: Police
    notes: list[str] = field(default_factory=list)
    rules: tuple[Lift, ...] = ()
    """Rules of the policy that the pull request loosens."""
    blocked: str = ""
    """What must happen before a merge can apply any of the plans."""

    @classmethod
    def of(
        cls,
        job: GitHubJob,
        wanted: Wanted,
        event: GitHubEvent,
        repository: Repository,
        selection: Selection,
    ) -> _Review:
        """Configuration and policy of the base revision; what the pull request makes of
        them is only shown.
        """
        base = repository.resolve(wanted.base) if wanted.base else selection.base
        config, police = rules_of(job.app, base)
        return cls(job, wanted, event, repository, selection, base, config, police)

    async def look(self) -> _Found:
        loaded = self._load()
        problems = [*self.config.problems, *self.police.loaded.problems, *self._of_head()]
        problems += self._across(loaded)
        is_usable = not any(
            p.severity == "error" for p in [*self.config.problems, *self.police.loaded.problems]
        )
        if self._is_offline:
            problems += [p for one in loaded for p in (*one.problems, *self.police.judge(one))]
            found = _Found(list(dict.fromkeys(problems)))
            self._summarise_offline(found, loaded)
            return found
        diffs = await self._diffs(loaded) if is_usable else [_unjudged(one) for one in loaded]
        for diff in diffs:
            if diff.failure is not None:
                error = RunnerError(diff.failure, hint=diff.failure_hint)
                self.job.app.show_error(error)
                problems.append(
                    Problem("NotPlanned", diff.failure, Location(diff.file), diff.failure_hint)
                )
        found = _Found(
            list(dict.fromkeys([*problems, *(p for d in diffs for p in d.problems)])), diffs
        )
        for diff in diffs:
            if diff.schedule is not None and is_sound(diff):
                self.wanted.schedules.mkdir(parents=True, exist_ok=True)
                save(self.wanted.schedules / f"{diff.schedule.plan_name}.json", diff)
        self._show(diffs)
        self._summarise(loaded)
        try:
            found.comments = await self._comment(diffs)
        except GitHubError as error:
            said = f"the pull request has no comment with this dry run: {error.message}"
            hint = (
                "the merge is refused without it: see that the job may write comments, then "
                "run it again"
            )
            self.job.fail(RunnerError(said, hint="; ".join(h for h in (error.hint, hint) if h)))
            self.blocked = (
                "run this job again when it can write its comment; a merge before that is refused."
            )
            found.has_no_comment = True
        if self.blocked:
            self._show(diffs)
        return found

    def _show(self, diffs: Sequence[PlanDiff]) -> None:
        """Write each plan's part of the summary."""
        for diff in diffs:
            text = diff_markdown(
                [diff], SECTION_LIMIT, in_pull_request=True, blocked=self._blocked(diff)
            )
            self.job.section(diff.file, text)

    def _blocked(self, diff: PlanDiff) -> str:
        """Return what must happen before a merge can apply the plan; empty where a merge does."""
        older = (p.hint for p in diff.problems if p.code == OLDER_OPEN)
        first = [
            f"end the older run first; merged before that, this is refused. {hint}."
            for hint in older
        ]
        return " ".join([*first, self.blocked]).strip()

    async def _diffs(self, loaded: Sequence[Loaded]) -> list[PlanDiff]:
        """The dry-runs. Of two plans of one name none is sound: files, comments and runs go
        by the name.
        """
        wish = DiffWish(base=self.base, options=self._options, rules=self.rules)
        diffs = await diff_all(self.job.app, self.config, loaded, wish, self.police)
        return with_problems(diffs, (p for p in self._across(loaded) if p.code == "SamePlanName"))

    def _across(self, loaded: Sequence[Loaded]) -> list[Problem]:
        """What is wrong with the plans together, those that the pull request leaves
        alone included.
        """
        rest = [
            load_plan(path, self._options)
            for path in self.police.plans_among(self.selection.unchanged)
        ]
        found = across(loaded, self.config, rest)
        return [replace(p, severity="error") if p.code == "SamePlanName" else p for p in found]

    @property
    def _is_offline(self) -> bool:
        return self.wanted.offline or self.event.is_fork or self.event.pull_number is None

    @property
    def _options(self) -> LoadOptions:
        return LoadOptions(env=template_env(self.config.config, os.environ))

    def _load(self) -> list[Loaded]:
        return [
            load_plan(path, self._options) for path in self.police.plans_among(self.selection.files)
        ]

    def _of_head(self) -> list[Problem]:
        """The pull request's own configuration and policy: checked, and a change of them told."""
        config, police = rules_of(self.job.app, None)
        self.rules = loosened_rules(self.job.app, self.base, police)
        for what, was, now in (
            ("configuration", self.config.config, config.config),
            ("policy", self.police.loaded.policy, police.loaded.policy),
        ):
            if was != now:
                self.notes.append(
                    f"The {what} is changed by this pull request: what is shown here was judged "
                    f"by the one of the base"
                    " branch, the run after the merge is judged by the new one. A plan that "
                    "needs the new one comes"
                    " in a pull request of its own, after this one."
                )
        return [*config.problems, *police.loaded.problems]

    def _summarise(self, loaded: Sequence[Loaded]) -> None:
        lines = [f"> [!IMPORTANT]\n> {note}\n" for note in self.notes]
        gone = (
            "was deleted: no run of it begins any more. A run that is open goes on; `cancel` "
            "stops it."
        )
        lines += [f"- {markdown(path)} {gone}\n" for path in self.selection.deleted]
        if not loaded:
            which = "No other" if self.selection.deleted else "No"
            lines.append(f"{which} reboot plan has changed.\n")
        if lines:
            self.job.section("notes", "\n".join(lines))

    def _summarise_offline(self, found: _Found, loaded: Sequence[Loaded]) -> None:
        errors = sum(p.severity == "error" for p in found.problems)
        checked = f"{count(len(loaded), 'plan')} validated offline, {count(errors, 'error')}"
        head = f"**{checked}.** The cloud was not asked.\n"
        body = problems_text(found.problems)
        fence = "~" * 12
        shown = f"\n{fence}text\n{body.replace(fence, '~ ~')}\n{fence}\n" if body else ""
        if self.event.is_fork:
            head += f"\n> [!IMPORTANT]\n> {_FORK}\n"
        self.job.section("validate", head + shown)
        self._summarise(loaded)

    async def _comment(self, diffs: Sequence[PlanDiff]) -> list[int]:
        """One comment a plan; those of plans that are no longer part of the pull request say so."""
        pull, repo = self.event.pull_number, self.event.repository
        if self.wanted.comment == "never" or pull is None:
            return []
        made: list[int] = []
        keys: list[CommentKey] = []
        async with GitHub(os.environ) as api:
            early = _merged_early(await merged_at(api, repo, pull))
            if early:
                self.blocked = (
                    "open a new pull request that touches the plan; this one was merged already."
                )
            notes = [*self.notes, *early]
            for diff in diffs:
                keys.append(CommentKey(LABEL, self._path(diff)))
                is_quiet = (
                    self.wanted.comment == "on-change"
                    and diff.code == Exit.DONE
                    and not diff.problems
                )
                if is_quiet and not await exists(api, repo, pull, keys[-1]):
                    continue
                body = "".join(f"> [!IMPORTANT]\n> {note}\n\n" for note in notes)
                body += diff_markdown(
                    [diff],
                    COMMENT_LIMIT - len(body) - 2_000,
                    in_pull_request=True,
                    blocked=self._blocked(diff),
                )
                made.append(await upsert(api, repo, pull, keys[-1], body, self._reviewed(diff)))
            await retire(api, repo, pull, LABEL, keys)
        return made

    def _path(self, diff: PlanDiff) -> str:
        return self.repository.path_of(Path.cwd() / diff.file) or diff.file

    def _reviewed(self, diff: PlanDiff) -> Reviewed | None:
        if diff.schedule is None or self.event.head_sha is None or not is_sound(diff):
            return None
        return Reviewed(diff.schedule.digest, diff.schedule.plan_digest, self.event.head_sha)


_FORK = (
    "This pull request comes from a fork, and GitHub gives its jobs no credentials: there "
    "is no dry run, and a merge"
    " runs nothing. Push the change to a branch of this repository and open a pull request "
    "from there."
)


def _merged_early(when: datetime | None) -> list[str]:
    """Return what to say on a pull request that was merged while its dry run was made."""
    if when is None:
        return []
    return [
        f"This pull request was merged at {when:%Y-%m-%d %H:%M:%SZ}, before this dry run ended. "
        f"The merge runs nothing:"
        " open a new pull request that touches the plan, and merge it when its dry run is there."
    ]


def _unjudged(loaded: Loaded) -> PlanDiff:
    """A plan that nobody can judge: the rules that it is held to cannot be read."""
    return PlanDiff(
        loaded.name,
        problems=loaded.problems,
        failure="the configuration or the policy of the base branch cannot be used",
        failure_hint="mend it in a pull request of its own first",
        failure_code=Exit.INVALID,
    )


def is_sound(diff: PlanDiff) -> bool:
    """Whether its schedule may run: only then it is stored, and only then its digest is told."""
    return diff.code in (Exit.CHANGES, Exit.DONE)
