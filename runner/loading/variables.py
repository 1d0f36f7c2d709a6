"""Values for templates: `vars` of the plan, then `--vars-file`s in order, then `--var`.
Plain data, never rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.loading.findings import Findings
from runner.loading.nodes import MapNode, Node, Scalar, to_data, walk
from runner.loading.source import read_source
from runner.loading.yaml_reader import parse
from runner.model.problem import Problem


def plan_vars(root: MapNode, findings: Findings) -> dict[str, Any]:
    """The `vars` of a plan; empty, and noted, where they are not a mapping of plain data."""
    node = root.get("vars")
    return {} if node is None else _checked(node, "vars", findings)


def read_vars_file(path: Path) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The variables of a `--vars-file`, and its problems."""
    source, problems = read_source(path, path.as_posix())
    if source is None:
        return {}, problems
    findings = Findings(source)
    root = parse(source, findings)
    values = {} if root is None else _checked(root, "a file of variables", findings)
    return values, findings.problems()


def merged(layers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Later layers win, key by key at the top; values are replaced whole, never merged."""
    return {name: value for layer in layers for name, value in layer.items()}


def _checked(node: Node, what: str, findings: Findings) -> dict[str, Any]:
    if not isinstance(node, MapNode):
        findings.add("WrongType", f"{what} must be a mapping (name: value)", node.span)
        return {}
    for one in walk(node):
        if isinstance(one, Scalar) and isinstance(one.value, str) and "{{" in one.value:
            hint = "write the value out, or combine variables where they are used"
            findings.add(
                "TemplateInVars",
                "values of vars are plain data and are never rendered",
                one.span,
                hint=hint,
            )
    data = to_data(node)
    assert isinstance(data, dict)  # noqa: S101 - a MapNode is one
    return data
