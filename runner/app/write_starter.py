"""`init`: a repository to keep reboot plans in, ready for a first pull request."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from runner import REPOSITORY
from runner.app.app import App
from runner.errors import UsageProblem
from runner.git.errors import GitError
from runner.git.repository import Repository
from runner.inputs.files import read_regular
from runner.loading.files import git_root
from runner.loading.schemas import FILES, as_json
from runner.model.shape import json_values
from runner.report.init_document import FileResult, FileRow, FillInRow, InitDocument
from runner.report.safe import json_text, line_start, plain
from runner.starter.files import fill_ins, starter_files
from runner.starter.request import StarterRequest
from runner.starter.writing import FileStep, survey, write

FORMAT_VERSION: Literal[1] = 1
SCHEMAS = ("plan.schema.json", "config.schema.json", "policy.schema.json")
DID: Mapping[str, FileResult] = {
    "write": "wrote",
    "overwrite": "overwrote",
    "same": "unchanged",
    "keep": "kept",
}


def write_starter(
    app: App, folder: Path | None, request: StarterRequest, output: str, *, force: bool
) -> None:
    """Write the repository into a folder, without one into the working directory, and say what
    was done.

    Raises UsageProblem where the folder cannot hold it or the request contradicts itself.
    """
    request = replace(request, branch=_default_branch(folder or Path()))
    source = request.source
    if request.hardened and not source.is_commit:
        ask = f"git ls-remote https://github.com/{source.repository} 'refs/tags/{source.revision}*'"
        raise UsageProblem(
            "--hardened pins the action by a full commit, and --workflows names none",
            hint=(
                f"the last line of `{ask}` begins with it; write --workflows "
                f"{source.repository}@COMMIT"
            ),
        )
    place = folder or _here()
    schemas = {name: as_json(FILES[name]()) for name in SCHEMAS if name in FILES}
    steps = survey(place, starter_files(request, schemas), force=force)
    write(place, steps)
    written = {step.file.path for step in steps if step.is_written}
    missing = [one for one in fill_ins(request) if written.intersection(one.files)]
    notes, following = _notes(place, steps, request), _next(place, request)
    if output == "json":
        rows = tuple(FileRow(step.file.path, DID[step.action]) for step in steps)
        fill_in = tuple(FillInRow(one.files, one.what) for one in missing)
        made = InitDocument(
            FORMAT_VERSION, str(place), rows, fill_in, tuple(notes), tuple(following)
        )
        app.echo(json_text(json_values(made), indent=2))
        return
    lines = [f"{DID[step.action]:<10}{plain(place / step.file.path)}" for step in steps]
    for one in missing:
        lines += [
            "",
            f"fill in   {one.what}",
            *(f"          {plain(place / file)}" for file in one.files),
        ]
    lines += ["", *(f"{'' if n else 'next':<10}{plain(line)}" for n, line in enumerate(following))]
    for line in lines:
        app.echo(line_start(line))
    for note in notes:
        app.talk(f"note: {note}")


def _here() -> Path:
    """The working directory. Raises UsageProblem in a subfolder of a repository: GitHub
    reads the root only.
    """
    here = Path.cwd()
    root = git_root(here)
    if root is not None and root != here:
        raise UsageProblem(
            f"this folder is inside the repository {root}",
            hint=(
                "call `reboot-runner init` in the repository's root, or say which folder: "
                "`reboot-runner init .`"
            ),
        )
    return Path()


def _default_branch(folder: Path) -> str | None:
    """Return the default branch of the repository that holds the folder, as far as it is known."""
    try:
        return Repository.find(folder).default_branch() if folder.is_dir() else None
    except GitError:
        return None


def _next(folder: Path, request: StarterRequest) -> list[str]:
    """Return three command lines for a shell: check, try, hand in."""
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    what = "push it; README.md says the rest" if request.github else "have it reviewed"
    begin = "" if git_root(folder) else "git init -b main && "
    return [
        f"{go}reboot-runner validate plans/",
        (
            "reboot-runner run plans/example.yaml    # on the embedded simulated cloud, no account "
            "needed"
        ),
        f"{begin}git add . && git commit -m 'Reboot plans'    # and {what}",
    ]


def _notes(folder: Path, steps: Sequence[FileStep], request: StarterRequest) -> list[str]:
    notes = []
    kept = [step.file.path for step in steps if step.action == "keep"]
    if kept:
        notes.append(f"kept as they were: {', '.join(kept)}. --force overwrites them.")
    if ".gitignore" in kept:
        try:
            ignored = read_regular(folder / ".gitignore", 1 << 20)
        except OSError:  # people look themselves
            ignored = b""
        if b".reboot-runner/" not in ignored.split():
            notes.append(
                "add the line .reboot-runner/ to .gitignore: journals stay out of the repository"
            )
    if request.github and "README.md" in kept:
        notes.append(
            "what to set up on GitHub is not in the README.md that was kept: docs/github.md of "
            "reboot-runner"
        )
    if (
        request.github
        and request.source.repository == REPOSITORY
        and REPOSITORY.startswith("example/")
    ):
        notes.append(
            f"the workflows use {REPOSITORY}, a placeholder until the project is published there: "
            f"push a copy of"
            " reboot-runner to GitHub, tag it, and give its name with --workflows OWNER/NAME"
        )
    root = git_root(folder)
    if request.github and root is not None and root != folder.resolve():
        notes.append(f"GitHub reads .github/ only in the root of the repository, which is {root}")
    return notes
