"""Scenario files: switches and fault rules, in YAML or JSON. `docs/simulator.md` shows
the format.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from runner.inputs.files import describe, read_regular
from runner.inputs.yaml_text import TooMuchYaml, events
from runner.simulator.faults import Rule
from runner.simulator.switches import Switches

MOST_BYTES = 1024 * 1024
MOST_RULES = 1_000


class ScenarioInvalid(ValueError):
    """A scenario (or inventory) file cannot be used. `findings`: one sentence for each
    thing that is wrong.
    """

    def __init__(self, name: str, findings: list[str]) -> None:
        self.name = name
        self.findings = tuple(findings)
        super().__init__("\n".join(f"{name}: {finding}" for finding in findings))


class Scenario(BaseModel):
    """What a scenario file holds. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    switches: Switches = Switches()
    rules: tuple[Rule, ...] = ()
    digest: str = ""


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc] # C or Python, as it is there
    """Scalars of YAML 1.2 as far as they differ here: `on` is a text, and so is a date."""


_UNWANTED = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in _UNWANTED]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|false|False)$"), list("tTfF")
)


def read_document(path: Path) -> Any:
    """The one document of a YAML or JSON file, up to 1 MiB.

    Raises ScenarioInvalid for a file that cannot be read or is neither.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode()
    except OSError as error:
        raise ScenarioInvalid(path.name, [describe(error)]) from error
    except UnicodeDecodeError as error:
        raise ScenarioInvalid(path.name, ["is not UTF-8 text"]) from error
    try:
        if not any(isinstance(event, yaml.AliasEvent) for event in events(text)):
            return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer implicit types
        finding = "aliases (*name) are not allowed"
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        finding = f"{line}{error.problem or 'is not YAML'}"
    except TooMuchYaml as error:
        finding = f"has {error}"
    except (yaml.YAMLError, ValueError):
        finding = "is not YAML that can be read"
    raise ScenarioInvalid(path.name, [finding])


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises ScenarioInvalid with every finding at once."""
    document = read_document(path)
    if document is None:
        document = {}
    if not isinstance(document, dict) or "digest" in document:
        raise ScenarioInvalid(path.name, ["must be a mapping with version, switches and rules"])
    rules = document.get("rules")
    if isinstance(rules, list) and len(rules) > MOST_RULES:
        raise ScenarioInvalid(path.name, [f"has more than {MOST_RULES:,} rules"])
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioInvalid(
            path.name, [_finding(e["loc"], e["msg"]) for e in error.errors()[:50]]
        ) from error
    digest = hashlib.sha256(scenario.model_dump_json().encode()).hexdigest()
    return scenario.model_copy(update={"digest": digest})


def _finding(loc: tuple[int | str, ...], message: str) -> str:
    """`rules[2].seconds: Field required`; positions of rules count from 0, as in the
    file's list.
    """
    where = ""
    for step in loc:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"{where.lstrip('.') or 'file'}: {message.removeprefix('Value error, ')}"
