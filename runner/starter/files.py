"""The files of a starter repository: templates of this package with the caller's values in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import PurePosixPath

from runner.starter.wishes import CLOUDS, NO_OWNERS, NO_RELEASE, NO_SOURCE, Wishes

ALWAYS = (
    "README.md",
    "reboot-runner.yaml",
    "policy.yaml",
    "plans/example.yaml",
    ".gitignore",
    ".pre-commit-config.yaml",
)
GITHUB = (
    ".github/workflows/reboot-plan.yml",
    ".github/workflows/reboot-run.yml",
    ".github/workflows/reboot-reconcile.yml",
    ".github/CODEOWNERS",
    ".github/dependabot.yml",
)
SECRETS = (
    *("REBOOT_RUNNER_STORE", "REBOOT_RUNNER_STORE_TOKEN"),
    *("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN", "GATES_TOKEN"),
)
"""What the workflows pass on, each by its name, where the repository or its environment has it.

A pull request can change what its own job does, so that job is given others, named `…_READ`: for who may only read.
"""

_ENDPOINTS = """
    # A simulated cloud that is served over HTTP, `reboot-runner simulator`, is reached by its address:
    # endpoints: {ecs: "http://127.0.0.1:8080"}"""
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


def starter_files(wishes: Wishes, schemas: Mapping[str, str]) -> tuple[StarterFile, ...]:
    """Every file, in the order in which it is shown. `schemas`: file name -> text, for `schemas/`."""
    values = _values(wishes)
    paths = (*ALWAYS, *(GITHUB if wishes.github else ()))
    made = [StarterFile(path, _filled(_template(path), values)) for path in paths]
    made += [StarterFile(f"schemas/{name}", text) for name, text in schemas.items()]
    return tuple(made)


def fill_ins(wishes: Wishes) -> tuple[FillIn, ...]:
    """What `wishes` left open. Empty when everything was said."""
    workflows = tuple(path for path in GITHUB if wishes.github and path.startswith(".github/workflows/"))
    missing = []
    if wishes.source is None:
        what = f"{NO_SOURCE}: OWNER/NAME of reboot-runner on GitHub, and the commit of a release"
        missing.append(FillIn((*workflows, ".pre-commit-config.yaml"), what))
    if wishes.release is None and workflows:
        what = "`release`: reboot-runner==VERSION --hash=sha256:HASH, the line in the notes of that release"
        missing.append(FillIn(workflows, what))
    if wishes.github and not wishes.owners:
        missing.append(FillIn((".github/CODEOWNERS",), f"{NO_OWNERS[0]}: who reviews reboots"))
    if wishes.region is None and wishes.cloud != "simulator":
        missing.append(FillIn(("reboot-runner.yaml",), f"`region`: {CLOUDS[wishes.cloud]} is only assumed"))
    return tuple(missing)


def _values(wishes: Wishes) -> dict[str, str]:
    """What stands for `@@…@@` in the templates. All of it was checked: nothing needs more than YAML's quotes."""
    source = str(wishes.source or NO_SOURCE)
    repository, _, commit = source.partition("@")
    return {
        "target": _scalar(wishes.target),
        "cloud": wishes.cloud,
        "region": _scalar(wishes.region or CLOUDS[wishes.cloud]),
        "allowed": ", ".join(dict.fromkeys((_scalar(wishes.target), "simulator"))),
        "endpoints": _ENDPOINTS if wishes.cloud == "simulator" else "",
        "repository": repository,
        "commit": commit,
        "release": wishes.release or NO_RELEASE,
        "secrets": "\n".join(f"      {name}: ${{{{ secrets.{name} }}}}" for name in SECRETS),
        "readers": "\n".join(f"      {name}: ${{{{ secrets.{name}_READ }}}}" for name in SECRETS),
        "handover": _part("pull-request" if wishes.github else "by-hand"),
        "github": _part("on-github") if wishes.github else "",
        "program": f"[reboot-runner](https://github.com/{repository})" if wishes.source else "reboot-runner",
        "owners": " ".join(wishes.owners or NO_OWNERS),
    }


def _scalar(text: str) -> str:
    """A name as YAML takes it for text."""
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else f'"{text}"'


def _template(path: str) -> str:
    """The template of a path: `dot-` stands for the dot of hidden names, which packages and searches pass over."""
    parts = [f"dot-{part[1:]}" if part.startswith(".") else part for part in PurePosixPath(path).parts]
    return resources.files("runner.starter").joinpath("templates", *parts).read_text(encoding="utf-8")


def _part(name: str) -> str:
    """A piece of the README that stands there only in some repositories."""
    return _template(f"parts/{name}.md").rstrip("\n")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Raises KeyError for a place that has no value: a mistake in the template."""
    return _PLACE.sub(partial(_value, values), template)


def _value(values: Mapping[str, str], found: re.Match[str]) -> str:
    return values[found[1]]
