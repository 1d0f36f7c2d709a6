"""Plans as files: `valid/` loads without a problem, `invalid/` has exactly the problems its
last comments list.

An expectation is `# expect LINE:COLUMN Code part of the message or hint`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.loading.findings import Findings
from runner.loading.nodes import to_data
from runner.loading.plan import LoadOptions, load_plan, load_text, plan_digest, require
from runner.loading.source import decode
from runner.loading.writing import plan_yaml
from runner.loading.yaml_reader import parse

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "tests" / "example-plans"
VALID = sorted((EXAMPLES / "valid").iterdir())
INVALID = sorted((EXAMPLES / "invalid").iterdir())
PLANS = sorted((ROOT / "plans").glob("*.yaml"))
EXPECT = re.compile(r"# expect (\d+):(\d+) (\w+) (.*)")


def by_name(path: Path) -> str:
    return path.stem


def core_yaml(text: str) -> Any:
    """A document as editors read it (YAML 1.2)."""
    source, _ = decode(text.encode(), "plan.yaml")
    assert source is not None
    root = parse(source, Findings(source))
    assert root is not None
    return to_data(root)


def schema(name: str) -> dict[str, Any]:
    loaded = json.loads((ROOT / "schemas" / name).read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("path", [*VALID, *PLANS], ids=by_name)
def test_valid_plans_load(path: Path) -> None:
    """A good plan has no problem, not even a warning."""
    loaded = load_plan(path)
    assert loaded.problems == ()
    assert loaded.plan is not None


@pytest.mark.parametrize("path", [*VALID, *PLANS], ids=by_name)
def test_valid_plans_fit_the_schemas(path: Path) -> None:
    """Editors accept every good plan as it is written, and as it is rendered."""
    as_written, as_rendered = (
        core_yaml(path.read_text()),
        core_yaml(plan_yaml(require(load_plan(path)))),
    )
    jsonschema.validate(as_written, schema("plan.schema.json"))
    jsonschema.validate(as_rendered, schema("plan.rendered.schema.json"))


@pytest.mark.parametrize("path", [*VALID, *PLANS], ids=by_name)
@pytest.mark.parametrize("defaults", [False, True])
def test_rendered_plans_are_the_same_plan(path: Path, defaults: bool) -> None:
    """What `render` prints has the digest of the plan it came from, with its defaults
    written out or not.
    """
    plan = require(load_plan(path))
    again = require(
        load_text(plan_yaml(plan, defaults=defaults), str(path), LoadOptions(root=ROOT))
    )
    assert plan_digest(again) == plan_digest(plan)


@pytest.mark.parametrize("path", INVALID, ids=by_name)
def test_invalid_plans_have_exactly_these_problems(path: Path) -> None:
    """Each problem of a bad plan is found in one pass, at its line and column, with what
    mends it, and no other.
    """
    expected = [
        (int(m[1]), int(m[2]), m[3], m[4])
        for m in EXPECT.finditer(path.read_text(encoding="utf-8"))
    ]
    assert expected, "an invalid example lists its problems"
    loaded = load_plan(path)
    assert loaded.plan is None
    found = {(p.location.line, p.location.column, p.code): p for p in loaded.problems if p.location}
    assert sorted(found) == sorted((line, column, code) for line, column, code, _ in expected)
    for line, column, code, part in expected:
        problem = found[line, column, code]
        assert part in f"{problem.message} – {problem.hint}"
