"""The files of a starter repository: templates of this package with the caller's values in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import PurePosixPath

from runner import REPOSITORY, __version__
from runner.starter.request import CLOUDS, StarterRequest

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
SECRETS = (
    *("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    *("REBOOT_RUNNER_STORE", "REBOOT_RUNNER_STORE_TOKEN", "GATES_TOKEN"),
)
"""What the hardened workflows read, where the job's environment or the repository has it.
Absent ones are blank.
"""
VARIABLES = ("HUAWEICLOUD_OIDC_PROVIDER_URN", "HUAWEICLOUD_OIDC_AGENCY_URN")
"""The same for what is no secret. Each environment holds its own value under the one name."""
DEPENDABOT = ".github/dependabot.yml"
CODEOWNERS = ".github/CODEOWNERS"

_CREDENTIALS = [*(("vars", name) for name in VARIABLES), *(("secrets", name) for name in SECRETS)]
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
    if request.region is not None or request.cloud == "simulator":
        return ()
    assumed = f"`region` of target {request.target}: {CLOUDS[request.cloud]} is only assumed"
    return (FillIn(("reboot-runner.yaml",), assumed),)


def _values(request: StarterRequest) -> dict[str, str]:
    """Return what stands for `@@…@@` in the templates. Each value was checked and needs at
    most YAML's quotes.
    """
    source = request.source
    tag = f" # v{__version__}" if source.is_commit and source.repository == REPOSITORY else ""
    return {
        "target": _scalar(request.target),
        "cloud": request.cloud,
        "region": _scalar(request.region or CLOUDS[request.cloud]),
        "allowed": ", ".join(dict.fromkeys((_scalar(request.target), "simulator"))),
        "endpoints": _ENDPOINTS if request.cloud == "simulator" else "",
        "branches": ", ".join(_scalar(branch) for branch in request.branches),
        "repository": source.repository,
        "revision": source.revision,
        "action": f"{source.repository}/.github/actions/reboot-runner@{source.revision}{tag}",
        "credentials": "\n".join(
            f"          {name}: ${{{{ {kind}.{name} }}}}" for kind, name in _CREDENTIALS
        ),
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
