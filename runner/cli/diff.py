"""`diff`: the dry-run against the live cloud."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.common import App, closed_pipe_is_fine
from runner.cli.options import load_options, template_options
from runner.errors import Exit, InvalidInput, RunnerError, UsageProblem

if TYPE_CHECKING:
    from runner.cli.targets import Session
    from runner.loading.config import LoadedConfig
    from runner.loading.plan import Loaded
    from runner.model.inventory import Inventory
    from runner.model.plan import Plan
    from runner.report.diff import PlanDiff
    from runner.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for, and how to say it again in the command that runs the schedule."""

    target: str | None
    out: Path | None
    repeat: tuple[str, ...]

    def command(self, plan: str, digest: str) -> str:
        """What to type to run exactly this schedule."""
        what = [str(self.out)] if self.out else [plan, *self.repeat]
        return shlex.join(["reboot-runner", "run", *what, "--schedule-digest", digest])


@click.command(
    "diff",
    short_help="Dry-run against the live cloud: waves, servers, exclusions.",
    epilog="""\b
Examples:
  reboot-runner diff plans/web.yaml                   which servers go down together
  reboot-runner diff plans/web.yaml --out web.json    save the schedule for a review
  reboot-runner diff -o markdown plans/               one comment for all plans
  reboot-runner diff --detailed-exitcode plans/       exit 2: there are servers to reboot
""",
)
@click.argument("plans", nargs=-1, required=True, type=click.Path(path_type=Path))
@template_options
@click.option("--target", metavar="NAME", help="A target of the configuration; overrides the plan's.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the schedule of a single plan.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are servers to reboot.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Form of the dry-run on stdout.",
)
@click.pass_context
def command(
    ctx: click.Context,
    plans: tuple[Path, ...],
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    target: str | None,
    out: Path | None,
    detailed_exitcode: bool,
    output: str,
) -> None:
    """Show what PLANS (files, or folders searched for plans) would do to the cloud as it is now.

    Which server goes down in which wave, every exclusion with its reason, the worst case and the expected duration.
    Reads only: nothing is rebooted. Several plans: the exit code is the first of 1, 77, 3, 7, 6, 5, 4, 75, 2, 0 that
    occurs.
    """
    import asyncio

    from runner.report.diff import exit_code

    app: App = ctx.obj
    repeat = [f"--target={target}"] if target else []
    repeat += [f"--var={name}={value}" for name, value in var] + [f"--vars-file={path}" for path in vars_file]
    wish = Wish(target, out, tuple(repeat))
    config, loaded = _load(app, plans, var, vars_file)
    if out and len(loaded) != 1:
        raise UsageProblem(f"--out saves the schedule of one plan, these are {len(loaded)}")
    diffs = asyncio.run(_diff_all(app, config, loaded, wish))
    if out and diffs[0].schedule:
        _save(out, diffs[0])
    with closed_pipe_is_fine():
        _show(ctx, app, output, diffs)
    code = exit_code(diff.code for diff in diffs)
    ctx.exit(Exit.DONE if code == Exit.CHANGES and not detailed_exitcode else code)


def _load(
    app: App, plans: Sequence[Path], var: tuple[tuple[str, str], ...], vars_file: tuple[Path, ...]
) -> tuple[LoadedConfig, list[Loaded]]:
    """Configuration and plans; a plan keeps its own problems. Raises InvalidInput for what is no plan's fault."""
    from runner.loading.config import template_env
    from runner.loading.plan import load_plan
    from runner.loading.search import find_plans

    config = app.load_config()
    options = load_options(var, vars_file, template_env(config.config, os.environ))
    files, problems = find_plans(plans)
    if problems:
        raise InvalidInput(problems)
    return config, [load_plan(path, options) for path in files]


async def _diff_all(app: App, config: LoadedConfig, loaded: Sequence[Loaded], wish: Wish) -> list[PlanDiff]:
    """Each plan by itself: what is wrong with one, or with its target, does not hide the others."""
    with _existing_store(app, config) as store:
        async with AsyncExitStack() as stack:
            planner = _Planner(app, config, store, wish, stack)
            return [await planner.diff(one) for one in loaded]


@dataclass(slots=True)
class _Planner:
    """Plans against live targets. Each target is opened and read once, however many plans there are."""

    app: App
    config: LoadedConfig
    store: SqlStore | None
    wish: Wish
    stack: AsyncExitStack
    _read: dict[str, tuple[Session, Inventory] | RunnerError] = field(default_factory=dict)

    async def diff(self, loaded: Loaded) -> PlanDiff:
        from runner.report.diff import PlanDiff

        if loaded.plan is None:
            return PlanDiff(loaded.name, problems=loaded.problems)
        try:
            return await self._plan(loaded, loaded.plan)
        except InvalidInput as error:
            placed = tuple(loaded.place(p) for p in error.problems)
            return PlanDiff(loaded.name, problems=(*loaded.problems, *placed))
        except RunnerError as error:
            return PlanDiff(
                loaded.name,
                problems=loaded.problems,
                failure=error.message,
                failure_hint=error.hint,
                failure_code=error.exit_code,
            )

    async def _plan(self, loaded: Loaded, plan: Plan) -> PlanDiff:
        from runner.cli.targets import all_targets, choose_target
        from runner.loading.plan import plan_digest
        from runner.planning.forecast import forecast
        from runner.planning.schedule import make_schedule
        from runner.report.diff import PlanDiff

        session, inventory = await self._open(choose_target(self.config, self.wish.target, plan.target))
        cycle = self._cycle(session, plan)
        planned = make_schedule(
            plan,
            plan_digest(plan),
            session.target,
            inventory,
            self._spent(cycle, session.target.project_id),
            now=session.clock.now(),
            cycle=cycle,
            plan_file=loaded.name,
        )
        problems = (*loaded.problems, *(loaded.place(p) for p in planned.problems))
        made = planned.schedule
        if made is None:
            return PlanDiff(loaded.name, problems=problems)
        rate = all_targets(self.config)[session.target.name].rate.servers_per_minute
        return PlanDiff(
            loaded.name,
            made,
            forecast(made, servers_per_minute=rate),
            problems,
            command=self.wish.command(loaded.name, made.digest),
        )

    async def _open(self, name: str) -> tuple[Session, Inventory]:
        """The target and its servers. Raises what opening or reading it raised, for each plan anew."""
        from runner.cli.targets import open_target

        if name not in self._read:
            try:
                session = await self.stack.enter_async_context(open_target(self.app, self.config, name))
                self._read[name] = (session, await session.cloud.inventory())
            except RunnerError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, RunnerError):
            raise found
        return found

    def _cycle(self, session: Session, plan: Plan) -> str:
        from runner.planning.cycle import fresh_cycle

        if not session.is_embedded:
            return plan.campaign
        runs = self.store.runs(plan=plan.name, limit=1_000_000) if self.store else []
        return fresh_cycle(plan.campaign, len(runs))

    def _spent(self, cycle: str, project_id: str) -> frozenset[str]:
        return frozenset(self.store.spent(cycle, project_id)) if self.store else frozenset()


@contextmanager
def _existing_store(app: App, config: LoadedConfig) -> Iterator[SqlStore | None]:
    """The store, or None where it is a local file that nobody has written yet: a dry-run makes none."""
    from runner.cli.targets import base_folder, open_store_of, store_url
    from runner.store.open import is_local_file

    url = store_url(app, config)
    if is_local_file(url) and not (base_folder(config) / url.removeprefix("sqlite:///")).exists():
        yield None
        return
    with open_store_of(app, config) as store:
        yield store


def _save(path: Path, diff: PlanDiff) -> None:
    """Write the schedule beside its final name first: a reader never meets half a file."""
    from runner.report.schedule_json import dump

    if diff.schedule is None:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(dump(diff.schedule), encoding="ascii")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunnerError(f"cannot write {path}: {error.strerror}") from None


def _show(ctx: click.Context, app: App, output: str, diffs: Sequence[PlanDiff]) -> None:
    """The dry-run on stdout; as text, what went wrong is on stderr, with the line of the plan."""
    if output == "json":
        from runner.report.diff import diff_json

        app.echo(diff_json(diffs))
        return
    if output == "markdown":
        from runner.report.diff_markdown import diff_markdown

        app.echo(diff_markdown(diffs), newline=False)
        return
    from runner.report.diff_text import diff_text

    for n, diff in enumerate(diffs):
        first, rest = diff_text(diff).split("\n", 1)
        click.echo(("\n" if n else "") + click.style(first, bold=True), color=ctx.color)
        app.echo(rest, newline=False)
        if diff.errors:
            app.show_problems(diff.errors)
        if diff.failure is not None:
            app.show_error(RunnerError(f"{diff.file}: {diff.failure}", hint=diff.failure_hint))
