"""Writes what a run left undone as a plan of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from runner.app.app import App
from runner.app.files import write_whole
from runner.app.stores import open_store_of
from runner.errors import Held, InvalidInput, UsageProblem
from runner.execution.journal import replay
from runner.loading.files import git_root, reader_beside
from runner.loading.plan import LoadOptions, load_text
from runner.loading.source import MAX_BYTES
from runner.loading.writing import document_yaml
from runner.model.events import Outcome, RunCreated
from runner.model.problem import Problem
from runner.planning.again import Retry, comments, ids_in, retry_of, with_lists
from runner.report.safe import plain

MOST_COMMENTS = 1000
"""So many servers are listed in comments."""
MOST_IDS = 1000
"""More ids than these are written into files beside the plan."""
MOST_ON_STDOUT = 20_000
"""A plan on stdout holds all its ids: so many of 36 characters fit into one."""


def write_retry(app: App, run: str, out: Path | None) -> None:
    """Write the plan to `out`, or to stdout.

    Raises Held for an open run, UsageProblem if a file exists or the plan is too large,
    InvalidInput if it is wrong.
    """
    if out is not None and out.exists():
        raise UsageProblem(
            f"{plain(out)} exists already", hint="name a new file; nothing was written"
        )
    with open_store_of(app) as store:
        row = store.find(run)
        events = store.events(row.id)
    then = replay(row.id, events)
    if then.is_open:
        hint = f"end it first: `reboot-runner resume {row.id}`, or `cancel`"
        raise Held(
            f"run {row.id} is still {then.word}: what it will leave undone is not known yet",
            hint=hint,
        )
    created = events[0].data
    assert isinstance(created, RunCreated)  # noqa: S101 - it was replayed
    made = retry_of(then, created.plan, _folder(then.schedule.plan_file, out))
    unclear = [s for s in then.servers.values() if s.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
    undecided = sum(not s.may_be_asked_again for s in unclear)
    decide = ""
    if undecided:
        report = f"`reboot-runner report {row.id}` names the commands"
        decide = f"; {undecided} failed or unknown servers wait for a decision: {report}"
    if made is None:
        app.talk(
            f"nothing to repeat: no server of run {row.id} may be rebooted again{decide}",
            run=row.id,
        )
        return
    text, lists = texts(made, out)
    if out is None:
        app.echo(text, newline=False)
        return
    for path, ids in lists.items():
        write_whole(path, ids)
    write_whole(out, text)
    beside = f" (ids in {', '.join(plain(path.name) for path in lists)})" if lists else ""
    app.talk(
        f"a plan with {len(made.repeated)} servers of run {row.id} is in {plain(out)}{beside};"
        f" review it: reboot-runner diff {plain(out)}{decide}",
        run=row.id,
    )


def texts(made: Retry, out: Path | None) -> tuple[str, dict[Path, str]]:
    """Return the text of the plan, and those of the files beside it that hold the ids of
    many servers.

    The plan is read back first. Raises InvalidInput with its problems if it is not
    valid, UsageProblem if it is too large for one file and `out` is None, or if a file
    beside it exists.
    """
    document, most = made.document, MOST_COMMENTS
    lists: dict[str, list[str]] = {}
    if ids_in(document) > MOST_IDS and out is not None:
        document, lists = with_lists(made.document, f"{out.stem}.ids")
        most = MOST_IDS // 10
    if out is None and ids_in(document) > MOST_ON_STDOUT:
        what = f"the plan would name {len(made.repeated):,} servers, which is too much for one file"
        raise UsageProblem(
            what, hint="name a file with --out PLAN: the ids are written into others beside it"
        )
    said = "".join(f"# {plain(line, 300)}".rstrip() + "\n" for line in comments(made, most))
    text = said + document_yaml(document)
    folder = out.parent if out is not None else Path()
    files = {name: "".join(f"{i}\n" for i in ids) for name, ids in lists.items()}
    for name in files:
        if (folder / name).exists():
            raise UsageProblem(
                f"{plain(folder / name)} exists already",
                hint="name another plan; nothing was written",
            )
    on_disk = reader_beside(folder, git_root(folder))
    options = LoadOptions(
        files=lambda name: files[name].encode() if name in files else on_disk(name)
    )
    problems = load_text(text, (out or Path("plan.yaml")).as_posix(), options).problems
    if len(text.encode()) > MAX_BYTES:
        hint = (
            None
            if out is not None
            else "name a file with --out PLAN: the ids are written into others beside it"
        )
        problems = (
            *problems,
            Problem("TooLarge", f"the plan would have {len(text.encode()):,} bytes", hint=hint),
        )
    if any(p.severity == "error" for p in problems):
        raise InvalidInput([replace(p, hint=p.hint or "nothing was written") for p in problems])
    return text, {folder / name: ids for name, ids in files.items()}


def _folder(plan_file: str, out: Path | None) -> str:
    """From the new file's folder to the old one's, as a relative path with slashes."""
    here = out.parent if out is not None else Path()
    return Path(os.path.relpath(Path(plan_file).parent, here)).as_posix()
