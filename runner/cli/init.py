"""`init`: a repository to keep reboot plans in, ready for a first pull request."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner import REPOSITORY
from runner.app.app import App
from runner.errors import Exit, UsageProblem
from runner.inputs.files import read_regular

if TYPE_CHECKING:
    from runner.starter.files import FillIn
    from runner.starter.request import Source, StarterRequest
    from runner.starter.writing import Step

T = TypeVar("T")

FORMAT_VERSION = 1
SCHEMAS = ("plan.schema.json", "config.schema.json", "policy.schema.json")
DID = {"write": "wrote", "overwrite": "overwrote", "same": "unchanged", "keep": "kept"}


class Checked(click.ParamType[T]):
    """A text that a function of `runner.starter.request` understands, by its name: imported when it is used."""

    def __init__(self, name: str, function: str) -> None:
        self.name = name
        self.function = function

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        from runner.starter import request

        parse: Callable[[str], T] = getattr(request, self.function)
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
  reboot-runner init --hardened --workflows example/reboot-runner@0123456789abcdef0123456789abcdef01234567
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
    "--hardened", is_flag=True, help="Workflows with every action pinned by its commit, a job per permission."
)
@click.option(
    "--workflows",
    "source",
    type=Checked[Any]("OWNER/NAME[@REF]", "source"),
    help="Where the action comes from: reboot-runner's repository, or your copy of it, at a tag or a full commit.",
)
@click.option(
    "--owners", type=Checked[Any]("NAMES", "owners"), help="Who must review, for CODEOWNERS: @user, @organisation/team."
)
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
    hardened: bool,
    source: Any,
    owners: Any,
    no_github: bool,
    force: bool,
    output: str,
) -> None:
    """Write a repository for reboot plans into FOLDER (default: this one).

    Files that are there are kept unless --force is given. Every file works as it is written. At the end `init` lists
    the values that it had to assume. Nothing is sent anywhere.
    """
    from runner.starter.files import fill_ins, starter_files
    from runner.starter.request import Source, StarterRequest
    from runner.starter.writing import survey, write

    if target == "simulator" and cloud != "simulator":
        raise click.BadParameter(
            "simulator is the embedded cloud, name a real target differently", param_hint="--target"
        )
    app: App = ctx.obj
    request = StarterRequest(
        target=target,
        cloud=cloud,
        region=region,
        source=source or Source(),
        owners=owners or (),
        github=not no_github,
        hardened=hardened,
        branch=_default_branch(folder or Path()),
    )
    if hardened and not request.source.is_commit:
        raise UsageProblem(
            "--hardened pins the action by a full commit, and --workflows names none",
            hint=_how_to_find_the_commit(request.source),
        )
    place = folder or _here()
    steps = survey(place, starter_files(request, _schemas()), force=force)
    write(place, steps)
    written = {step.file.path for step in steps if step.is_written}
    missing = [one for one in fill_ins(request) if written.intersection(one.files)]
    if output == "json":
        _show_json(app, place, steps, missing, request)
    else:
        _show_text(app, place, steps, missing, request)
    ctx.exit(Exit.DONE)


def _how_to_find_the_commit(source: Source) -> str:
    """Return the command that prints the commit of the tag, and where it belongs."""
    ask = f"git ls-remote https://github.com/{source.repository} 'refs/tags/{source.revision}*'"
    return f"the last line of `{ask}` begins with it; write --workflows {source.repository}@COMMIT"


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


def _default_branch(folder: Path) -> str | None:
    """Return the default branch of the repository that holds the folder, as far as it is known."""
    from runner.git.errors import GitError
    from runner.git.repository import Repository

    try:
        return Repository.find(folder).default_branch() if folder.is_dir() else None
    except GitError:
        return None


def _schemas() -> dict[str, str]:
    """What editors check the files against, offline."""
    from runner.loading.schemas import FILES, as_json

    return {name: as_json(FILES[name]()) for name in SCHEMAS if name in FILES}


def _show_text(
    app: App, folder: Path, steps: Sequence[Step], missing: Sequence[FillIn], request: StarterRequest
) -> None:
    from runner.report.safe import line_start, plain

    lines = [f"{DID[step.action]:<10}{plain(folder / step.file.path)}" for step in steps]
    for one in missing:
        lines += ["", f"fill in   {one.what}", *(f"          {plain(folder / file)}" for file in one.files)]
    lines += ["", *(f"{'' if n else 'next':<10}{plain(line)}" for n, line in enumerate(_next(folder, request)))]
    for line in lines:
        app.echo(line_start(line))
    for note in _notes(folder, steps, request):
        app.talk(f"note: {note}")


def _show_json(
    app: App, folder: Path, steps: Sequence[Step], missing: Sequence[FillIn], request: StarterRequest
) -> None:
    from runner.report.log_lines import json_text

    made = {
        "format_version": FORMAT_VERSION,
        "folder": str(folder),
        "files": [{"path": step.file.path, "result": DID[step.action]} for step in steps],
        "fill_in": [{"files": list(one.files), "what": one.what} for one in missing],
        "notes": _notes(folder, steps, request),
        "next": _next(folder, request),
    }
    app.echo(json_text(made, indent=2))


def _next(folder: Path, request: StarterRequest) -> list[str]:
    """Three command lines for a shell: check, try, hand in."""
    from runner.loading.files import git_root

    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    what = "push it; README.md says the rest" if request.github else "have it reviewed"
    begin = "" if git_root(folder) else "git init -b main && "
    return [
        f"{go}reboot-runner validate plans/",
        "reboot-runner run plans/example.yaml    # on the embedded simulated cloud, no account needed",
        f"{begin}git add . && git commit -m 'Reboot plans'    # and {what}",
    ]


def _gitignore(folder: Path) -> bytes:
    """Return what the file holds; nothing where it cannot be read, so that people look themselves."""
    try:
        return read_regular(folder / ".gitignore", 1 << 20)
    except OSError:
        return b""


def _notes(folder: Path, steps: Sequence[Step], request: StarterRequest) -> list[str]:
    from runner.loading.files import git_root

    notes = []
    kept = [step.file.path for step in steps if step.action == "keep"]
    if kept:
        notes.append(f"kept as they were: {', '.join(kept)}. --force overwrites them.")
    if ".gitignore" in kept and b".reboot-runner/" not in _gitignore(folder).split():
        notes.append("add the line .reboot-runner/ to .gitignore: journals stay out of the repository")
    if request.github and "README.md" in kept:
        notes.append("what to set up on GitHub is not in the README.md that was kept: docs/github.md of reboot-runner")
    if request.github and request.source.repository == REPOSITORY and REPOSITORY.startswith("example/"):
        notes.append(
            f"the workflows use {REPOSITORY}, a placeholder until the project is published there: push a copy of"
            " reboot-runner to GitHub, tag it, and give its name with --workflows OWNER/NAME"
        )
    root = git_root(folder)
    if request.github and root is not None and root != folder.resolve():
        notes.append(f"GitHub reads .github/ only in the root of the repository, which is {root}")
    return notes
