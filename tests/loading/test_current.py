"""The calendars of a plan as they are now: found beside the plan of the checkout, or not at
hand, or a problem.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.loading.current import current_freezes
from runner.model.window import CurrentFreezes

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVENT = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261124\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"  # noqa: E501
PLAN = "version: 1\nname: web\nfreeze: [now.ics]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / "plans").mkdir()
    (root / "plans" / "web.yaml").write_text(PLAN)
    (root / "plans" / "now.ics").write_text(EVENT)
    return root


def look(folder: Path, file: str = "plans/web.yaml", zone: str = "UTC") -> CurrentFreezes | None:
    return current_freezes(file, "web", zone, folder, NOW)


def test_what_the_plan_names_now_closes(folder: Path) -> None:
    """Only `freeze` is read, whatever else stands in the plan; days are of the zone
    that is given.
    """
    found = look(folder, zone="Europe/Berlin")
    assert found
    assert not found.problem
    (freeze,) = found.freezes
    assert freeze.begins == datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert freeze.ends - freeze.begins == timedelta(days=1)
    (folder / "plans" / "web.yaml").write_text(PLAN + 'groups: "{{ vars.unknown }}"\nnew_key: 1\n')
    assert look(folder) is not None
    assert look(folder, str(folder / "plans" / "web.yaml")) == look(folder)
    (folder / "plans" / "web.yaml").write_text("version: 1\nname: web\n")
    assert look(folder) == CurrentFreezes()


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nname: other\nfreeze: [now.ics]\n",
        "version: 1\nfreeze: [now.ics]\n",
        "version: 1\nname: web\nfreeze: ['{{ vars.file }}']\n",
        "version: 1\nname: web\nfreeze: '{{ vars.files }}'\n",
    ],
)
def test_what_cannot_be_known_here_is_not_at_hand(folder: Path, text: str) -> None:
    """Another plan in the file, or names that depend on variables of the run: nothing is
    said, nothing is opened.
    """
    (folder / "plans" / "web.yaml").write_text(text)
    assert look(folder) is None


def test_a_plan_that_is_elsewhere_is_not_at_hand(folder: Path, tmp_path: Path) -> None:
    """No file, one outside the checkout, a folder, or no name at all."""
    (tmp_path / "web.yaml").write_text(PLAN)
    for file in (
        "gone.yaml",
        "../web.yaml",
        str(tmp_path / "web.yaml"),
        "plans",
        "",
        "a\0b",
        "x" * 5000,
    ):
        assert look(folder, file) is None


@pytest.mark.parametrize(
    ("plan", "calendar", "words"),
    [
        (PLAN, "hunter2", "is not a line of an iCalendar file"),
        (PLAN, None, "freeze: the file cannot be read"),
        (PLAN.replace("now.ics", "../../now.ics"), EVENT, "is outside the repository"),
        ("name: [hunter2", EVENT, "no plan any more"),
        ("name: web\nname: web\n", EVENT, "no plan any more"),
        ("name: web\x00\n", EVENT, "the plan's file cannot be read"),
        ("name: web\nfreeze: {hunter2: 1}\n", EVENT, "does not name calendars"),
        ("name: web\nfreeze: [1]\n", EVENT, "does not name calendars"),
        (f"name: web\nfreeze: [{', '.join(['now.ics'] * 11)}]\n", EVENT, "does not name calendars"),
    ],
)
def test_what_is_here_and_cannot_be_used_is_a_problem(
    folder: Path, plan: str, calendar: str | None, words: str
) -> None:
    """Nobody can tell what it would close; the words quote nothing of what the files hold."""
    (folder / "plans" / "web.yaml").write_text(plan)
    if calendar is None:
        (folder / "plans" / "now.ics").unlink()
    else:
        (folder / "plans" / "now.ics").write_text(calendar)
    found = look(folder)
    assert found
    assert words in found.problem
    assert not found.freezes
    assert "hunter2" not in found.problem
