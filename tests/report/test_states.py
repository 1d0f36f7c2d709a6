"""Servers without an outcome: in flight, in doubt and pending are told apart in every form."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import xml.etree.ElementTree as Xml
from collections.abc import Callable

import jsonschema
import pytest

from runner.execution.journal import replay
from runner.model.events import Event, EventData
from runner.model.run import SERVER_WORDS, Run
from runner.model.schedule import Pause
from runner.report.forms import FORMS, rendered
from runner.report.run_now import heartbeat
from runner.report.schemas import report_schema, schema_of
from tests.execution.memory_cloud import Answer, lost_after_acceptance, lost_before_acceptance
from tests.execution.setup import Bench, schedule_of
from tests.journal import made
from tests.report.cases import Case, record


def cut_at(
    event: str, *, answer: Answer | None = None, forget: bool = False, more: EventData | None = None
) -> Case:
    """A run of waves of 1, 4 and 5 whose process ended in its second wave, right after an
    event of this type.
    """
    bench = Bench.of(10)
    bench.cloud.answers = [None, answer]
    run_id = bench.start(schedule_of([1, 4, 5], pause=Pause("approval")))
    bench.follow(run_id, until="approval")
    record(bench, run_id, "approval.given", {"question": "pause:1", "by": "ann"})
    if forget:
        bench.cloud.forgotten_jobs = {"job-2"}
    bench.follow(run_id, until="approval")
    events = bench.store.events(run_id)
    last = max(
        n for n, e in enumerate(events) if e.type == event and getattr(e.data, "batch", 2) == 2
    )
    kept = events[: last + 1]
    if more:
        kept.append(Event(more, kept[-1].at, kept[-1].seq + 1))
    return Case(replay(run_id, kept), kept)


CASES: dict[str, tuple[Callable[[], Case], str]] = {
    "accepted": (lambda: cut_at("batch.accepted"), "in_flight"),
    "interrupted": (
        lambda: cut_at("batch.accepted", more=made("run.suspended", {"why": "SIGINT"})),
        "in_flight",
    ),
    "answer lost": (lambda: cut_at("batch.ambiguous", answer=lost_after_acceptance), "in_doubt"),
    "killed before the answer": (lambda: cut_at("batch.intended"), "in_doubt"),
    "found on the servers": (
        lambda: cut_at("batch.looked", answer=lost_after_acceptance),
        "in_flight",
    ),
    "no trace so far": (lambda: cut_at("batch.looked", answer=lost_before_acceptance), "in_doubt"),
    "job gone": (lambda: cut_at("job.lost", forget=True), "in_doubt"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_form_tells_where_servers_without_an_outcome_stand(name: str) -> None:
    """Four servers of one request are in flight or in doubt; only the five of the next wave
    are pending.
    """
    make, word = CASES[name]
    case = make()
    held = "in flight" if word == "in_flight" else "in doubt"
    made = case.report
    counts = {"ready": 1, word: 4, "pending": 5}
    assert {k: n for k, n in case.run.counts().items() if n} == counts
    state = {"running": "running", "suspended": "suspended (SIGINT)"}[case.run.word]
    assert made.summary.startswith(f"{state}: 1 of 10 servers ready, 4 {held}, 5 pending; ")

    forms = {form: rendered(made, form) for form in FORMS}
    document = json.loads(forms["json"])
    jsonschema.Draft7Validator(report_schema()).validate(document)
    assert {k: n for k, n in document["counts"].items() if n} == {"scheduled": 10, **counts}
    assert [s["outcome"] for s in document["servers"]] == ["ready", *[word] * 4, *["pending"] * 5]
    assert [s["outcome"] for s in csv.DictReader(io.StringIO(forms["csv"]))] == [
        "ready",
        *[word] * 4,
        *["pending"] * 5,
    ]
    for form in ("text", "markdown", "html"):
        assert f"1 of 10 servers ready, 4 {held}, 5 pending" in forms[form], form
        assert "web-[1-4]" in re.sub(r"\\([^\w])", r"\1", html.unescape(forms[form])), form
    suites = Xml.fromstring(forms["junit"])  # noqa: S314 - our own text
    skipped = [s.get("message") for s in suites.iter("skipped")]
    assert skipped == [f"{held}: no outcome yet"] * 4 + ["pending: no outcome yet"] * 5


def test_a_request_on_its_way_is_no_doubt_while_its_sender_lives() -> None:
    """A process that waits for the answer counts the servers as in flight; without it they
    are in doubt.
    """
    run = CASES["killed before the answer"][0]().run
    assert (run.counts()["in_doubt"], run.counts(is_sending=True)["in_flight"]) == (4, 4)
    assert "4 asked" in heartbeat(run, "", run.created)
    searched = CASES["no trace so far"][0]().run
    assert searched.counts(is_sending=True)["in_doubt"] == 4
    assert "4 in doubt" in heartbeat(searched, "", run.created)


def test_the_words_are_the_same_everywhere() -> None:
    """Counts of a run, of its report and of `status` have the same keys, in both
    published schemas.
    """
    report = report_schema()["definitions"]["Counts"]["properties"].keys() - {"scheduled"}
    status = schema_of("status")["definitions"]["RunDocument"]["properties"]["counts"][
        "propertyNames"
    ]["enum"]
    run: Run = CASES["accepted"][0]().run
    assert report == set(status) == set(SERVER_WORDS) == set(run.counts())
