"""The published schema of `report -o json`, and the vocabulary that documents explain."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.cli.main import COMMANDS
from runner.model.events import EVENTS
from runner.model.run import BatchPhase, Phase
from runner.model.shape import json_values
from runner.report import run_now, run_steps, run_words
from runner.report.reasons import OUTCOMES, REASONS
from runner.report.run_json import report_json
from runner.report.schemas import report_schema
from tests.execution.setup import Bench, schedule_of
from tests.report.cases import HOSTILE, Case, case_of, plain_run, troubled_run

ROOT = Path(__file__).resolve().parents[2]
SILENT = {"run.created", "batch.intended", "servers.observed"}
"""Events that are told by what comes of them."""


def unbegun() -> Case:
    bench = Bench.of(3)
    return case_of(bench, bench.start(schedule_of([1, 2])))


@pytest.mark.parametrize(
    "make", [plain_run, troubled_run, unbegun, lambda: troubled_run(HOSTILE[8])]
)
def test_every_report_is_as_the_schema_says(make: Callable[[], Case]) -> None:
    """Reports of good, bad, hostile and unbegun runs validate."""
    jsonschema.Draft7Validator(report_schema()).validate(json.loads(report_json(make().report)))


def test_times_are_utc() -> None:
    """Every time is ISO 8601 with an offset of zero."""
    made = json_values(troubled_run().report)
    times = [t for server in made["servers"] for t in server["times"].values() if t]
    assert len(times) > 20
    for text in (made["created"], made["ended"], *times):
        assert datetime.fromisoformat(text).utcoffset() == timedelta(0)


def test_the_schema_would_notice() -> None:
    """A missing field, an unknown one and an unknown outcome are each refused."""
    check = jsonschema.Draft7Validator(report_schema())
    good = json_values(plain_run().report)
    assert check.is_valid(good)
    assert not check.is_valid({k: v for k, v in good.items() if k != "counts"})
    assert not check.is_valid({**good, "more": 1})
    first = {**good["servers"][0], "outcome": "fine"}
    assert not check.is_valid({**good, "servers": [first]})


def test_the_published_schema_is_the_one_of_the_program() -> None:
    """`schemas/report.schema.json` is what `schema report` prints; make it anew with it
    when this fails.
    """
    published = json.loads((ROOT / "schemas" / "report.schema.json").read_text())
    assert published == report_schema()
    jsonschema.Draft7Validator.check_schema(published)


def test_json_is_sorted_and_ends_with_a_line_break() -> None:
    """Keys are sorted at every depth, so that two reports can be compared line by line."""

    def keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert [k for k, _ in pairs] == sorted(k for k, _ in pairs)
        return dict(pairs)

    told = report_json(troubled_run().report)
    json.loads(told, object_pairs_hook=keys)
    assert told.endswith("}\n")


def words_in(path: Path) -> set[str]:
    """String constants of a module that look like reason codes."""
    found = (n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant))
    return {
        v for v in found if isinstance(v, str) and re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*", v)
    }


def test_every_reason_is_explained() -> None:
    """Whatever reason the machine, the evidence or a reading of the cloud can write has its
    sentence.
    """
    used = set().union(*(words_in(p) for p in sorted((ROOT / "runner" / "execution").glob("*.py"))))
    assert len(used) > 20
    assert used - {"AllWavesDone"} <= REASONS.keys()
    of_planning = {
        "Missing",
        "NotActive",
        "Busy",
        "Locked",
        "Frozen",
        "NotSelected",
        "RunnerItself",
        "RunnerSupport",
    }
    of_planning |= {"TagsUnknown", "JobTimedOut", "NoTrace"}
    of_planning |= {"BareMetal", "StatusUnknown"}
    assert OUTCOMES.keys() - used <= of_planning


def test_reasons_are_documented() -> None:
    """docs/report.md has each reason with its sentence, and no other."""
    text = (ROOT / "docs" / "report.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == OUTCOMES
    assert all(f"`{code}`" in text for code in REASONS)


def test_every_event_has_words() -> None:
    """Each type of event is told in a sentence, or is one of those that something else tells."""
    told = re.findall(r"\b([A-Z]\w+)\(", inspect.getsource(run_words.headline))
    assert {kind for kind, data in EVENTS.items() if data.__name__ not in told} == SILENT


def test_every_phase_has_a_word() -> None:
    """Whatever a server or a request is doing can be said."""
    assert run_now.PHASES.keys() == set(Phase) - {Phase.ENDED}
    assert {p.value for p in BatchPhase} == set(
        report_schema()["definitions"]["BatchPhase"]["enum"]
    )


def test_next_steps_name_only_commands_that_exist() -> None:
    """No step tells to type what does not exist."""
    assert COMMANDS.keys() >= run_steps.VERBS
