"""Windows and freezes on the command line: what `diff` and `status` show, what `run` and
`resume` do and refuse.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.report.schedule_json import dump, load
from tests.cli.lab import PLAN, Lab, Remote

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def window(days_ahead: int = 3, length: str = "4h", **more: str) -> str:
    """A plan with a window that begins so many days from now at noon; 0: one that is open
    all day, every day.
    """
    day = DAYS[(datetime.now(UTC) + timedelta(days=days_ahead)).weekday()]
    about = {"days": day, "start": "12:00", "length": length, "timezone": "UTC", **more}
    if not days_ahead:
        about |= {"days": list(DAYS), "start": "00:00", "length": "1d"}  # type: ignore[dict-item]
    return PLAN.replace("groups:", f"windows: [{json.dumps(about)}]\ngroups:")


def calendar(begins: datetime, hours: int) -> str:
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "SUMMARY:hunter2",
        f"DTSTART:{begins:%Y%m%dT%H%M%SZ}",
    )
    return "\r\n".join([*lines, f"DURATION:PT{hours}H", "END:VEVENT", "END:VCALENDAR", ""])


def fits(name: str, text: str) -> Any:
    made = json.loads(text)
    jsonschema.validate(made, json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
    return made


def test_diff_shows_the_next_opening_and_how_many_waves_fit(lab: Lab) -> None:
    """Closed now: when it opens, until when, how many of the waves fit; the same as JSON
    and Markdown.
    """
    lab.write("web.yaml", window(length="3m"))
    text, markdown, made = (
        lab.run("diff", "web.yaml", "-o", o).out for o in ("text", "markdown", "json")
    )
    opens = (datetime.now(UTC) + timedelta(days=3)).replace(hour=12, minute=0)
    assert (
        f"closed (no window is open), opens {opens:%Y-%m-%d} 12:00 UTC, until {opens:%Y-%m-%d} "
        f"12:03 UTC"
    ) in text
    assert "3 of 3 waves fit" in text
    assert "opens" in markdown
    (plan,) = fits("diff", made)["plans"]
    assert plan["window"]["open"] is False
    assert (
        plan["window"]["waves_fit"],
        plan["window"]["waves_left"],
        plan["window"]["too_long"],
    ) == (3, 3, [])
    lab.write("web.yaml", window(length="2m").replace("waves", "pause: 30s\n    waves"))
    assert "1 of 3 waves fits" in lab.run("diff", "web.yaml").out


def test_diff_says_which_waves_never_fit(lab: Lab) -> None:
    """A window that is shorter than a wave is told before anything waits for it."""
    lab.write("web.yaml", window(length="30s"))
    done = lab.run("diff", "web.yaml")
    assert "0 of 3 waves fit" in done.out
    assert "NEVER FITS: waves 1, 2, 3 would not be over before the end of any window" in done.out


def test_an_open_window_is_no_wait(lab: Lab) -> None:
    """Windows that never close let a plan run as one without; a plan without windows says
    nothing of them.
    """
    assert "windows:" not in lab.run("diff", "web.yaml").out
    assert json.loads(lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]["window"] is None
    lab.write("web.yaml", window(0))
    assert "open now with no end in sight: 3 of 3 waves fit" in lab.run("diff", "web.yaml").out
    assert lab.run("run", "web.yaml").code == 0


def test_outside_a_run_suspends_and_an_override_is_a_decision(cloud: Remote) -> None:
    """Exit 75 with the instant; status tells it; an override with a reason goes on and is
    kept in the report.
    """
    lab = cloud.lab
    lab.write("web.yaml", window())
    done = lab.run("run", "web.yaml", "--yes", "--no-wait")
    assert done.code == 75, done.err
    assert cloud.posts == 0
    state = fits("status", lab.run("status", "web", "-o", "json").out)
    assert "window (no window is open) until" in state["waits_for"]
    assert state["window"]["waves_fit"] == 3
    assert state["until"] == state["window"]["begins"]
    shown = lab.run("status", "web").out
    assert "waits for window (no window is open) until" in shown
    assert "opens" in shown
    assert lab.run("resume", "web", "--override-window").code == 64
    assert lab.run("resume", "web", "--reason", "CVE").code == 64
    done = lab.run("resume", "web", "--override-window", "--reason", "an urgent fix")
    assert done.code == 0, done.err
    report = fits("report", lab.run("report", "web", "-o", "json").out)
    assert {(d["kind"], d["reason"]) for d in report["decisions"]} == {
        ("override", "an urgent fix")
    }
    assert [d["about"] for d in report["decisions"]] == [
        f"window before wave {n}" for n in (1, 2, 3)
    ]
    assert "an urgent fix" in lab.run("report", "web", "-o", "markdown").out
    assert set(cloud.reboots.values()) == {1}


def test_a_reviewed_schedule_keeps_its_freezes(cloud: Remote) -> None:
    """A freeze that is on holds a saved schedule back, also one whose copy of the freezes
    was taken out of the file.
    """
    lab = cloud.lab
    lab.write("freeze/now.ics", calendar(datetime.now(UTC) - timedelta(hours=1), 48))
    lab.write("web.yaml", PLAN.replace("groups:", "freeze: [freeze/now.ics]\ngroups:"))
    shown = lab.run("diff", "web.yaml", "--out", "saved.json")
    assert "closed (a freeze is on)" in shown.out
    assert "hunter2" not in shown.out + (lab.folder / "saved.json").read_text()
    fits("schedule", (lab.folder / "saved.json").read_text())
    saved = load((lab.folder / "saved.json").read_text())
    assert len(saved.freezes) == 1
    lab.write("saved.json", dump(replace(saved, freezes=())))
    done = lab.run("run", "saved.json", "--schedule-digest", saved.digest, "--no-wait")
    assert done.code == 75, done.err
    assert "a freeze is on" in done.err
    assert cloud.posts == 0


def test_a_freeze_that_changed_since_the_review_is_stale(cloud: Remote) -> None:
    """The digest covers what the calendar held: another content is exit 6, nothing is sent."""
    lab = cloud.lab
    lab.write("now.ics", calendar(datetime.now(UTC) + timedelta(days=30), 48))
    lab.write("web.yaml", PLAN.replace("groups:", "freeze: now.ics\ngroups:"))
    assert lab.run("diff", "web.yaml", "--out", "saved.json").code == 0
    lab.write("now.ics", calendar(datetime.now(UTC) + timedelta(days=31), 48))
    done = lab.run("run", "saved.json", "--yes")
    assert done.code == 6
    assert "the plan has changed since" in done.err
    assert cloud.posts == 0


@pytest.mark.parametrize("command", ["validate", "diff", "run"])
def test_a_calendar_that_cannot_be_read_is_a_problem_of_the_plan(lab: Lab, command: str) -> None:
    """Exit 3 with the line of the plan; nothing of the file is quoted."""
    lab.write("now.ics", "hunter2")
    lab.write("web.yaml", PLAN.replace("groups:", "freeze: now.ics\ngroups:"))
    done = lab.run(command, "web.yaml")
    assert done.code == 3
    assert "web.yaml:4:9: error[BadCalendar]" in done.out + done.err
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize("command", ["validate", "diff"])
def test_a_calendar_that_closes_nothing_is_named(lab: Lab, command: str) -> None:
    """A warning at the name of the calendar, exit 0; the calendar beside it closes and is
    not named.
    """
    now = datetime.now(UTC)
    lab.write("old.ics", calendar(now - timedelta(days=9), 1))
    lab.write("new.ics", calendar(now + timedelta(days=399), 1))
    lab.write("web.yaml", PLAN.replace("groups:", "freeze: [new.ics, old.ics]\ngroups:"))
    done = lab.run(command, "web.yaml")
    assert done.code == 0, done.err
    said = [line for line in done.out.splitlines() if "FreezeClosesNothing" in line]
    assert len(said) == 1
    assert "web.yaml:4:" in said[0]
    assert "freeze: old.ics: the calendar closes nothing in the next 400 days" in said[0]


def test_a_rendered_plan_names_its_calendars(lab: Lab) -> None:
    """What `render` prints is the plan again: the files' names, not what they hold."""
    lab.write("now.ics", calendar(datetime.now(UTC), 1))
    lab.write(
        "web.yaml",
        window().replace("groups:", "freeze: ['{{ vars.file }}']\nvars: {file: now.ics}\ngroups:"),
    )
    done = lab.run("render", "web.yaml")
    assert done.code == 0, done.err
    lab.write("again.yaml", done.out)
    assert lab.run("validate", "again.yaml").code == 0
    assert "now.ics" in done.out


def test_a_freeze_that_is_added_while_a_run_waits(cloud: Remote) -> None:
    """`resume` reads the calendars of its checkout; `status` tells what they close;
    elsewhere the run's copy holds.
    """
    lab = cloud.lab
    lab.write("now.ics", calendar(datetime.now(UTC) - timedelta(days=9), 1))
    lab.write(
        "web.yaml", PLAN.replace("groups:", "freeze: now.ics\ngroups:") + "    pause: approval\n"
    )
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    lab.write("now.ics", calendar(datetime.now(UTC) - timedelta(hours=1), 48))
    assert lab.run("approve", "web", "--reason", "go on").code == 0
    done = lab.run("resume", "web", "--no-wait")
    assert done.code == 75, done.err
    assert "a freeze that was added since the run began is on" in done.err
    state = fits("status", lab.run("status", "web", "-o", "json").out)
    assert "a freeze that was added since the run began is on" in state["waits_for"]
    assert state["until"]
    lab.write("now.ics", "hunter2")
    done = lab.run("reconcile")
    assert (
        "the plan's calendars cannot be read now: freeze: now.ics:1: this is not a line" in done.err
    )
    assert "cannot be read now" in lab.run("status", "web").out
    assert cloud.posts == 1
    (lab.folder / "web.yaml").rename(lab.folder / "elsewhere")
    done = lab.run("resume", "web", "--no-wait")
    assert done.err.count("are not at hand here") == 1
    assert done.code == 75
    assert cloud.posts == 2
    assert "hunter2" not in lab.run("report", "web", "-o", "json").out
