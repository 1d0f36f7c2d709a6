"""The files of a starter repository: templates of this package with the caller's values in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import PurePosixPath

from runner import REPOSITORY, __version__
from runner.model.clouds import CLOUDS, SIMULATOR
from runner.starter.request import StarterRequest

ALWAYS = (
    "README.md",
    "reboot-runner.yaml",
    "policy.yaml",
    "plans/example.yaml",
    ".gitignore",
    ".pre-commit-config.yaml",
)
PLAN_WORKFLOW = ".github/workflows/reboot-plan.yml"
RUN_WORKFLOW = ".github/workflows/reboot-run.yml"
WORKFLOWS = (PLAN_WORKFLOW, RUN_WORKFLOW)
SECRETS = ("REBOOT_RUNNER_STORE", "REBOOT_RUNNER_STORE_TOKEN", "GATES_TOKEN")
"""What the hardened workflows read besides the credentials of the cloud, where the job's
environment or the repository has it. Absent ones are blank.
"""
DEPENDABOT = ".github/dependabot.yml"
CODEOWNERS = ".github/CODEOWNERS"

_ENDPOINTS = """
    # A simulated cloud that is served over HTTP, `reboot-runner simulator`, is reached by its address:
    # endpoints: {ecs: "http://127.0.0.1:8080"}"""  # noqa: E501
_PLACE = re.compile(r"@@([a-z]+)@@")
_PLAIN = re.compile(r"[a-z][a-z0-9-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class StarterFile:
    """One file: its path in the repository, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class FillIn:
    """A placeholder that a person has to replace: in which files, and what belongs there."""

    files: tuple[str, ...]
    what: str


def starter_files(request: StarterRequest, schemas: Mapping[str, str]) -> tuple[StarterFile, ...]:
    """Return every file, in the order in which it is shown. `schemas`: file name -> text,
    for `schemas/`.
    """
    values = _values(request)
    made = [StarterFile(path, _filled(_template(path), values)) for path in ALWAYS]
    if request.github:
        form = "hardened" if request.hardened else "quick"
        made += [StarterFile(path, _filled(_template(path, form), values)) for path in WORKFLOWS]
        others = (DEPENDABOT, CODEOWNERS) if request.owners else (DEPENDABOT,)
        made += [StarterFile(path, _filled(_template(path), values)) for path in others]
    made += [StarterFile(f"schemas/{name}", text) for name, text in schemas.items()]
    return tuple(made)


def fill_ins(request: StarterRequest) -> tuple[FillIn, ...]:
    """Return what `request` leaves open. Empty when everything was given."""
    if request.region is not None or request.cloud == SIMULATOR:
        return ()
    assumed = f"`region` of target {request.target}: {CLOUDS[request.cloud].region} is only assumed"
    return (FillIn(("reboot-runner.yaml",), assumed),)


def _values(request: StarterRequest) -> dict[str, str]:
    """Return what stands for `@@…@@` in the templates. Each value was checked and needs at
    most YAML's quotes.
    """
    source = request.source
    entry = CLOUDS[request.cloud]
    handed = [("vars", name) for name in entry.variables]
    handed += [("secrets", name) for name in (*entry.secrets, *SECRETS)]
    tag = f" # v{__version__}" if source.is_commit and source.repository == REPOSITORY else ""
    return {
        "target": _scalar(request.target),
        "cloud": request.cloud,
        "region": _scalar(request.region or CLOUDS[request.cloud].region),
        "allowed": ", ".join(dict.fromkeys((_scalar(request.target), "simulator"))),
        "endpoints": _ENDPOINTS if request.cloud == SIMULATOR else "",
        "branches": ", ".join(_scalar(branch) for branch in request.branches),
        "repository": source.repository,
        "revision": source.revision,
        "action": f"{source.repository}/.github/actions/reboot-runner@{source.revision}{tag}",
        "credentials": "\n".join(f"          {n}: ${{{{ {of}.{n} }}}}" for of, n in handed),
        "handover": _part("pull-request" if request.github else "by-hand"),
        "github": _part("on-github") if request.github else "",
        "owners": " ".join(request.owners),
    }


def _scalar(text: str) -> str:
    """A name as YAML takes it for text."""
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else f'"{text}"'


def _template(path: str, form: str = "") -> str:
    """Return the template of a path, of the `form` where there are two.

    `dot-` stands for the dot of hidden names, which packages and searches pass over.
    """
    parts = [
        f"dot-{part[1:]}" if part.startswith(".") else part for part in PurePosixPath(path).parts
    ]
    folder = resources.files("runner.starter").joinpath("templates", form)
    return folder.joinpath(*parts).read_text(encoding="utf-8")


def _part(name: str) -> str:
    """A piece of the README that stands there only in some repositories."""
    return _template(f"parts/{name}.md").rstrip("\n")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Raises KeyError for a place that has no value: a mistake in the template."""
    return _PLACE.sub(partial(_value, values), template)


def _value(values: Mapping[str, str], found: re.Match[str]) -> str:
    return values[found[1]]
