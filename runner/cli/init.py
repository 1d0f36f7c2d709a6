"""`init`: a repository to keep reboot plans in, ready for a first pull request."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner.cli.common import App
from runner.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from runner.starter.files import FillIn
    from runner.starter.wishes import Wishes
    from runner.starter.writing import Step

T = TypeVar("T")

FORMAT_VERSION = 1
SCHEMAS = ("plan.schema.json", "config.schema.json", "policy.schema.json")
DID = {"write": "wrote", "overwrite": "overwrote", "same": "unchanged", "keep": "kept"}


class Checked(click.ParamType[T]):
    """A text that a function of `runner.starter.wishes` understands, by its name: imported when it is used."""

    def __init__(self, name: str, function: str) -> None:
        self.name = name
        self.function = function

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        from runner.starter import wishes

        parse: Callable[[str], T] = getattr(wishes, self.function)
        try:
            return parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    "init",
    short_help="Write a starter repository: configuration, policy, a plan, workflows.",
    epilog="""\b
Examples:
  reboot-runner init                                  in the root of a repository, or in an empty folder
  reboot-runner init fleet --target prod-eu --region eu-west-101 --owners @example/sre
  reboot-runner init --no-github                      for another CI system
""",
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target", type=Checked[str]("NAME", "name"), default="prod", show_default=True, help="Name of the target."
)
@click.option(
    "--cloud",
    type=click.Choice(["huaweicloud", "otc", "simulator"]),
    default="huaweicloud",
    show_default=True,
    help="Of the target.",
)
@click.option("--region", type=Checked[str]("NAME", "name"), help="Of the target, for example eu-west-101.")
@click.option(
    "--release",
    type=Checked[str]("LINE", "release"),
    help="What the workflows install: reboot-runner==VERSION --hash=sha256:HASH.",
)
@click.option(
    "--workflows",
    "source",
    type=Checked[Any]("OWNER/NAME@SHA", "source"),
    help="Whose reusable workflows are called: reboot-runner's repository at a full commit.",
)
@click.option("--owners", type=Checked[Any]("NAMES", "owners"), help="Who must review: @user, @organisation/team.")
@click.option("--no-github", is_flag=True, help="Without the files in .github/.")
@click.option("--force", is_flag=True, help="Overwrite files that are there with another content.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form on stdout."
)
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    target: str,
    cloud: str,
    region: str | None,
    release: str | None,
    source: Any,
    owners: Any,
    no_github: bool,
    force: bool,
    output: str,
) -> None:
    """Write a repository for reboot plans into FOLDER (default: this one).

    Files that are there are kept unless --force is given. What was not said is a placeholder that can do nothing
    (a commit and a hash of zeros); at the end it is told what to fill in. Nothing is sent anywhere.
    """
    from runner.starter.files import fill_ins, starter_files
    from runner.starter.wishes import Wishes
    from runner.starter.writing import survey, write

    if target == "simulator" and cloud != "simulator":
        raise click.BadParameter(
            "simulator is the embedded cloud, name a real target differently", param_hint="--target"
        )
    app: App = ctx.obj
    wishes = Wishes(target, cloud, region, release, source, owners or (), not no_github)
    place = folder or _here()
    steps = survey(place, starter_files(wishes, _schemas()), force=force)
    write(place, steps)
    written = {step.file.path for step in steps if step.is_written}
    missing = [one for one in fill_ins(wishes) if written.intersection(one.files)]
    if output == "json":
        _show_json(app, place, steps, missing, wishes)
    else:
        _show_text(app, place, steps, missing, wishes)
    ctx.exit(Exit.DONE)


def _here() -> Path:
    """The working directory. Raises UsageProblem in a subfolder of a repository: GitHub reads the root only."""
    from runner.loading.files import git_root

    here = Path.cwd()
    root = git_root(here)
    if root is not None and root != here:
        raise UsageProblem(
            f"this folder is inside the repository {root}",
            hint="call `reboot-runner init` in the repository's root, or say which folder: `reboot-runner init .`",
        )
    return Path()


def _schemas() -> dict[str, str]:
    """What editors check the files against, offline."""
    from runner.loading.schemas import FILES, as_json

    return {name: as_json(FILES[name]()) for name in SCHEMAS if name in FILES}


def _show_text(app: App, folder: Path, steps: Sequence[Step], missing: Sequence[FillIn], wishes: Wishes) -> None:
    from runner.report.safe import line_start, plain

    lines = [f"{DID[step.action]:<10}{plain(folder / step.file.path)}" for step in steps]
    for one in missing:
        lines += ["", f"fill in   {one.what}", *(f"          {plain(folder / file)}" for file in one.files)]
    lines += ["", *(f"{'' if n else 'next':<10}{plain(line)}" for n, line in enumerate(_next(folder, wishes)))]
    for line in lines:
        app.echo(line_start(line))
    for note in _notes(folder, steps, wishes):
        app.talk(f"note: {note}")


def _show_json(app: App, folder: Path, steps: Sequence[Step], missing: Sequence[FillIn], wishes: Wishes) -> None:
    from runner.report.log_lines import json_text

    made = {
        "format_version": FORMAT_VERSION,
        "folder": str(folder),
        "files": [{"path": step.file.path, "result": DID[step.action]} for step in steps],
        "fill_in": [{"files": list(one.files), "what": one.what} for one in missing],
        "notes": _notes(folder, steps, wishes),
        "next": _next(folder, wishes),
    }
    app.echo(json_text(made, indent=2))


def _next(folder: Path, wishes: Wishes) -> list[str]:
    """Three command lines for a shell: check, try, hand in."""
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    what = "open a pull request" if wishes.github else "have it reviewed"
    return [
        f"{go}reboot-runner validate plans/",
        "reboot-runner run plans/example.yaml    # on the embedded simulated cloud, no account needed",
        f"git add . && git commit -m 'Reboot plans'    # and {what}; README.md says the rest",
    ]


def _notes(folder: Path, steps: Sequence[Step], wishes: Wishes) -> list[str]:
    from runner.loading.files import git_root

    notes = []
    kept = [step.file.path for step in steps if step.action == "keep"]
    if kept:
        notes.append(f"kept as they were: {', '.join(kept)}. --force overwrites them.")
    if ".gitignore" in kept and ".reboot-runner/" not in (folder / ".gitignore").read_text(errors="replace").split():
        notes.append("add the line .reboot-runner/ to .gitignore: journals stay out of the repository")
    root = git_root(folder)
    if wishes.github and root is not None and root != folder.resolve():
        notes.append(f"GitHub reads .github/ only in the root of the repository, which is {root}")
    return notes
