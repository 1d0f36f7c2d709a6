"""What each form of a report shows."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.report import timeline
from runner.report.run_csv import COLUMNS, report_csv
from runner.report.run_html import report_html
from runner.report.run_json import report_json
from runner.report.run_junit import report_junit
from runner.report.run_report import RunReport
from runner.report.run_sections import COMMENT_LIMIT, LEAST_LIMIT, SUMMARY_LIMIT, report_markdown
from runner.report.run_text import MOST_SERVERS, MOST_WAVES, report_text
from runner.report.run_words import STORE_BEGUN
from runner.report.safe import spreadsheet
from tests.execution.setup import Bench, schedule_of
from tests.report.cases import begin, case_of, plain_run, troubled_run
from tests.report.readers import Page


def failing_run(waves: tuple[int, ...], failed: int) -> RunReport:
    """A run in which the first servers of the second wave fail."""
    bench = Bench.of(sum(waves))
    bench.cloud.fails = {f"s-{waves[0] + n:03d}": "boot failed" for n in range(failed)}
    run_id = bench.start(schedule_of(waves, max_failures=failed))
    bench.follow(run_id)
    return case_of(bench, run_id).report


def test_every_form_tells_of_a_server_that_its_bake_lost() -> None:
    """Failed with its reason in all of them; the picture and the course say that it had
    been ready.
    """
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([3], max_failures=1, bake_s=600))
    bench.follow(run_id, until="bake")
    bench.cloud.dead = {"s-001"}
    bench.follow(run_id)
    made = case_of(bench, run_id).report
    assert (made.state, made.exit_code, made.counts.failed) == ("done", 4, 1)
    for form in (report_text, report_markdown, report_html, report_junit, report_csv):
        assert "LostInBake" in form(made), form.__name__
    assert "had been ready after 4" in report_html(made)
    (lost,) = [s.times for s in made.servers if s.outcome == "failed"]
    assert lost.lost
    assert lost.ended
    assert lost.lost > lost.ended
    course = "\n".join(m.sentence for m in made.course)
    assert "bake of group web: 1 server not well (status SHUTOFF)" in course
    assert "bake of group web: over, 2 still ready, 1 lost" in course


def test_every_form_of_a_run_says_that_it_started_a_new_store() -> None:
    """A fact of the journal; nothing is said of a run in a store that held others."""
    bench = Bench.of(1)
    case = case_of(bench, begin(bench, schedule_of([1]), {"store_begun": True}))
    for form in (report_text, report_markdown, report_html, report_junit, report_json):
        said = 'store_begun": true' if form is report_json else STORE_BEGUN
        assert said in form(case.report), form.__name__
        assert said not in form(plain_run().report), form.__name__


def test_every_form_for_people_names_all_targets() -> None:
    """However many there are, none is cut away."""
    made = plain_run().report
    targets = tuple(replace(made.targets[0], name=f"target-{n}") for n in range(5))
    for form in (report_text, report_markdown, report_html):
        told = form(replace(made, targets=targets))
        assert all(target.name in told for target in targets), form.__name__


# --- text ---


def test_text_begins_with_the_totals() -> None:
    """The first line is the run's id and its summary; a run that went well says no more
    than it must.
    """
    made = plain_run().report
    lines = report_text(made).splitlines()
    assert lines[0] == f"run {made.run} is {made.summary}"
    assert len(lines) < 15
    assert lines[-1].startswith(f"the whole report: reboot-runner report {made.run} ")


def test_text_names_every_trouble_with_its_ids() -> None:
    """Failed, unknown and skipped servers stand with full id, wave, reason, job and request."""
    made = troubled_run("because of this").report
    told = report_text(made)
    for server in made.servers:
        if server.outcome in ("failed", "unknown", "skipped"):
            line = next(x for x in told.splitlines() if f"({server.id})" in x)
            assert f"wave {server.wave}: {server.reason}: {server.detail}" in line
            assert not server.job_id or server.job_id in line
            assert not server.request_id or server.request_id in line
    assert "not started: 3 servers (3 Cancelled)" in told
    assert f"    {made.next[0].command}" in told.splitlines()


def test_text_stays_short_when_much_goes_wrong() -> None:
    """Of many failed servers and waves some are shown, and how many more there are is said."""
    told = report_text(failing_run((1, 200), 120))
    assert told.count("JobFailed: Ecs.0227") == MOST_SERVERS
    assert f"and {120 - MOST_SERVERS} more" in told
    waves = report_text(failing_run((1, 3, *[1] * 60), 2))
    assert "… and 61 more waves" in waves
    assert len(re.findall(r"^ +\d+  web", waves, re.MULTILINE)) == 1 <= MOST_WAVES
    assert "1 ready, 2 failed" in waves


# --- Markdown ---


def test_markdown_says_what_to_do_before_anything_else() -> None:
    """Heading, totals, why it stopped and the next steps come first, then the waves."""
    made = troubled_run().report
    told = report_markdown(made)
    places = [
        told.index(x)
        for x in ("### Run", "2 of 13 servers ready", "Stopped at", "➡ find out", "| wave |")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("render", [report_markdown, report_html, report_text])
def test_servers_that_are_in_no_wave_are_named_with_their_reason(
    render: Callable[[RunReport], str],
) -> None:
    """They count in the totals, and their names, ids and reasons stand in a part of their own."""
    told = render(troubled_run("anna", "").report)
    assert "2 of 13 servers ready" in told
    assert "1 not scheduled" in told
    heading = re.search(
        "1 server not scheduled|not scheduled: 1 server|<summary>1 not scheduled", told
    )
    assert heading is not None
    part = told[heading.start() :]
    assert "anna" in part[:700]
    assert "Locked" in part[:700]


def test_markdown_explains_each_reason_once() -> None:
    """The meaning of a reason stands above the servers that have it, not in every row."""
    told = report_markdown(troubled_run().report)
    assert told.count("the cloud did not accept its request for certain") == 1
    assert told.count("| **MixedEvidence**") == 0
    assert len(re.findall(r"\| MixedEvidence \|", told)) == 3 + 3


def test_markdown_lists_every_server_where_there_is_room() -> None:
    """The folded list holds each server of the run, and nothing says that something was cut."""
    made = troubled_run().report
    told = report_markdown(made, SUMMARY_LIMIT)
    table = told[told.index("<summary>all 12 servers</summary>") :]
    assert all(f"| {s.id} |" in table for s in made.servers)
    assert "cut here" not in told


@pytest.mark.parametrize("limit", [LEAST_LIMIT, COMMENT_LIMIT])
def test_markdown_fits_and_says_what_it_left_out(limit: int) -> None:
    """A report of thousands of servers fits, keeps its totals and its failed servers
    first, and says what was cut.
    """
    made = failing_run((1, 900), 30)
    many = replace(made, servers=made.servers * 8)
    told = report_markdown(many, limit)
    assert len(told.encode()) <= limit
    assert "871 of 901 servers ready, 30 failed" in told
    assert "boot failed" in told
    assert re.search(r"_[\d]+ more lines cut here for lack of space", told)
    assert told.count("<details>") == told.count("</details>")


def test_markdown_of_many_waves_leaves_room_for_the_failed() -> None:
    """A long table of waves does not push out the servers that went wrong."""
    made = failing_run((1, 3, 1), 2)
    made = replace(made, waves=made.waves + made.waves[-1:] * 700)
    told = report_markdown(made, 40_000)
    assert told.count("boot failed") >= 2
    assert "more lines cut here" in told[: told.index("boot failed")]


def test_markdown_refuses_a_limit_that_cannot_be_kept() -> None:
    """Under the least limit the totals might not fit: that is an error, not a cut summary."""
    with pytest.raises(ValueError, match="20000"):
        report_markdown(plain_run().report, LEAST_LIMIT - 1)


# --- HTML ---


def test_html_needs_no_network_and_no_script() -> None:
    """Nothing is loaded from anywhere; without scripts only the search field is
    missing, and it is hidden then.
    """
    told = report_html(troubled_run().report)
    assert not re.search(r"(?:src|href|action|style)\s*=|url\(|@import|https?:", told)
    assert re.search(r'<p hidden><label>Search <input type="search" data-table="servers">', told)
    policy = told.split('Policy" content="', 1)[1].split('"', 1)[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_html_policy_names_the_bytes_of_style_and_script() -> None:
    """The hashes of the policy are those of what a browser finds between the tags."""
    import base64
    import hashlib

    page = Page(report_html(plain_run().report))
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert any(f"{name}-src 'sha256-{digest}'" in value for value in page.values)


def test_html_shows_every_server_request_and_decision() -> None:
    """The tables hold each server's id, each job and request id, each reason, and who decided."""
    made = troubled_run("anna").report
    text = Page(report_html(made)).text
    wanted = (
        {s.id for s in made.servers} | {e.id for e in made.excluded} | set(made.reasons.values())
    )
    wanted |= {b.job_id or "" for w in made.waves for b in w.batches} | {"anna", made.summary}
    assert all(w in text for w in wanted)


def test_html_says_light_and_dark() -> None:
    """Both colour schemes are there, and every class that a picture uses has a colour in each."""
    told = report_html(troubled_run().report)
    light, dark = told.split("prefers-color-scheme: dark", 1)
    for name in re.findall(r'<(?:rect|polygon) class="(\w+)"', told):
        assert f"--{name}: #" in light
        assert f"--{name}: #" in dark[:700]
        assert f".{name} {{ color" in told


def test_picture_has_a_row_a_server_up_to_two_hundred() -> None:
    """Each server has its own bar with its name in a title; with more of them a wave is
    one curve.
    """
    few = failing_run((1, timeline.MOST_SERVERS - 1), 2)
    many = failing_run((1, timeline.MOST_SERVERS), 2)
    bars, curves = (
        report_html(made).split("<summary>Servers in their waves")[1] for made in (few, many)
    )
    bars, curves = bars.split("</details>")[0], curves.split("</details>")[0]
    assert all(f"({s.id})" in bars for s in few.servers)
    assert "<polygon" not in bars
    assert "<rect" not in curves
    assert (
        curves.count('<polygon class="ready"') == 4
    )  # two waves, in a wide picture and a narrow one
    assert curves.count('<polygon class="failed"') == 2
    assert "at most 200 rebooting at once" in curves


def test_picture_stays_inside_its_frame() -> None:
    """Every bar and curve lies inside the picture, and bars of a wave follow one
    another in time.
    """
    made = troubled_run().report
    for part in report_html(made).split("<summary>")[2:4]:
        picture = part.partition("narrow")[0]
        height = float(re.search(r'viewBox="0 0 1000 ([\d.]+)"', picture)[1])  # type: ignore[index]  # it is there
        for x, y, width, high in re.findall(
            r'<rect class="\w+" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="(\d+)"',
            picture.partition("narrow")[0],
        ):
            assert 0 <= float(x) <= float(x) + float(width) <= 1000
            assert 0 <= float(y) <= float(y) + float(high) <= height


def test_picture_of_a_run_that_has_not_begun() -> None:
    """Before the first wave there is nothing to draw, and the page is whole without a picture."""
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([2]))
    told = report_html(case_of(bench, run_id).report)
    assert "<svg" not in told
    Page(told)


# --- JUnit, CSV ---


def test_junit_has_a_suite_a_wave() -> None:
    """Failed servers are failures, unknown ones errors, skipped and not started ones
    skipped, with their reasons.
    """
    made = troubled_run().report
    root = Xml.fromstring(report_junit(made))  # noqa: S314 - our own document
    assert [s.get("name") for s in root] == [
        *(f"wave {n} web" for n in (1, 2, 3, 4)),
        "not scheduled",
    ]
    kinds = {
        "failed": "failure",
        "unknown": "error",
        "skipped": "skipped",
        "not_started": "skipped",
    }
    cases = {c.get("name", "").rpartition("(")[2].rstrip(")"): c for c in root.iter("testcase")}
    for server in made.servers:
        found = list(cases[server.id])
        if server.outcome == "ready":
            assert not found
        else:
            assert [f.tag for f in found] == [kinds[server.outcome]]
            assert found[0].get("message", "").startswith(server.reason)
    assert [(e.tag, e.get("message")) for e in cases["s-900"]] == [
        ("skipped", "Locked: boot failed")
    ]
    assert cases["s-001"].find("failure").text.endswith("intended: 2026-11-23T22:00:00+00:00")  # type: ignore[union-attr]  # it is there


def test_junit_of_an_open_run() -> None:
    """A server without an outcome is a skipped case, so that the numbers add up."""
    bench = Bench.of(3)
    root = Xml.fromstring(report_junit(case_of(bench, bench.start(schedule_of([3]))).report))  # noqa: S314 - our own document
    assert (root.get("tests"), root.get("skipped")) == ("3", "3")


def test_csv_tells_each_server_in_wave_order() -> None:
    """The columns are those documented; times are ISO 8601, missing values empty."""
    made = troubled_run().report
    rows = list(csv.DictReader(io.StringIO(report_csv(made))))
    assert [r["id"] for r in rows] == [*(s.id for s in made.servers), "s-900"]
    assert (rows[-1]["wave"], rows[-1]["outcome"], rows[-1]["reason"]) == (
        "",
        "not_scheduled",
        "Locked",
    )
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["intended"] == "2026-11-23T22:00:00+00:00"
    assert rows[0]["reboot_s"] == "40.0"
    assert rows[-1]["intended"] == rows[-1]["job_id"] == ""


def test_csv_sets_formulas_off() -> None:
    """What a spreadsheet would compute gets an apostrophe; numbers of ours stay numbers."""
    rows = list(csv.DictReader(io.StringIO(report_csv(troubled_run("=1+1", "").report))))
    assert {r["name"] for r in rows} == {"'=1+1"}
    assert {r["wave"] for r in rows} == {"1", "2", "3", "4", ""}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("＝1+1", "'＝1+1"),
        ("＠SUM(1)", "'＠SUM(1)"),
        ("﹣1", "'﹣1"),
        ("−1", "'−1"),
        ('x;=HYPERLINK("http://e")', 'x;\'=HYPERLINK("http://e")'),
        ("x； ＋1", "x；' ＋1"),
        ('x|"=1', "x|'\"=1"),
        ("x,@a;-b", "x,'@a;'-b"),
        ("\u00a0=1", "'\u00a0=1"),
        ("web-1 = a + b", "web-1 = a + b"),
    ],
)
def test_no_cell_is_a_formula_for_any_spreadsheet(text: str, safe: str) -> None:
    """Full-width signs count, and so does what follows another program's separator."""
    assert spreadsheet(text) == safe


def test_every_text_of_csv_is_quoted() -> None:
    """A reader that splits at other separators still sees where our texts begin; tabs
    and line breaks are visible.
    """
    lines = report_csv(troubled_run("a\t=1\r\n=2", "").report).split("\n")
    assert all(line.count('"') >= 2 * 8 for line in lines[:-1])
    assert any(r"a\t=1\r\n=2" in line for line in lines)
