"""`retry`: a run's failed and not-started servers as a plan of its own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli.common import App, write_whole

MOST_COMMENTS = 1000


@click.command(
    "retry",
    short_help="Write a plan with what a run left undone.",
    epilog="""\b
Examples:
  reboot-runner retry web                                    print it: plan web's latest run
  reboot-runner retry web --out plans/web-retry.yaml         write it, then review it as any plan:
  reboot-runner diff plans/web-retry.yaml
""",
)
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), metavar="PLAN", help="Write to PLAN instead of stdout.")
@click.pass_obj
def command(app: App, run: str, out: Path | None) -> None:
    """Write a plan that repeats RUN, a closed run, with only the servers that are still to be rebooted: those that
    failed, were not started, were busy, locked or stopped, or were not scheduled for such a reason.

    It has the same groups, rules and cycle. `retry_of` in it lets the servers that failed in RUN go down once more in
    that cycle: once, for a server that another run has asked for since is left alone again. Servers whose outcome is
    unknown, that show a reboot, or that are gone stand in it as comments only. Nothing is sent anywhere.
    """
    from runner.cli.targets import open_store_of
    from runner.errors import Held, UsageProblem
    from runner.execution.journal import replay
    from runner.loading.writing import document_yaml
    from runner.planning.again import comments, retry_of
    from runner.report.safe import plain

    if out is not None and out.exists():
        raise UsageProblem(f"{plain(out)} exists already", hint="name a new file; nothing was written")
    with open_store_of(app) as store:
        row = store.find(run)
        events = store.events(row.id)
    then = replay(row.id, events)
    if then.is_open:
        hint = f"end it first: `reboot-runner resume {row.id}`, or `cancel`"
        raise Held(f"run {row.id} is still {then.word}: what it will leave undone is not known yet", hint=hint)
    plan = events[0].data.get("plan")
    if plan is None:
        raise UsageProblem(f"run {row.id} was begun by an older version, which did not keep its plan")
    made = retry_of(then, plan, _folder(then.schedule.plan_file, out))
    if made is None:
        app.talk(f"nothing to repeat: no server of run {row.id} failed or was not started", run=row.id)
        return
    said = "".join(f"# {plain(line, 300)}".rstrip() + "\n" for line in comments(made, MOST_COMMENTS))
    text = said + document_yaml(made.document)
    if out is None:
        app.echo(text, newline=False)
        return
    write_whole(out, text)
    number = len(made.repeated)
    app.talk(
        f"a plan with {number} servers of run {row.id} is in {plain(out)}; review it: reboot-runner diff", run=row.id
    )


def _folder(plan_file: str, out: Path | None) -> str:
    """From the new file's folder to the old one's, as a relative path with slashes."""
    here = out.parent if out is not None else Path()
    return Path(os.path.relpath(Path(plan_file).parent, here)).as_posix()
