"""A pull request, its merge, and the merge once more, through the action as docs/github.md shows it; the rest in full.

`python -m tests.workflows.act` runs all of it by name and shows the end of the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflows import scenes
from tests.workflows.linters import lint
from tests.workflows.place import Place, documented, opened_place
from tests.workflows.scenes import CALLING, DOCUMENTED
from tests.workflows.wheels import Wheels, built

QUICK = ("--reboot-seconds", "0.2")
SLOW = ("--reboot-seconds", "4")


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Place]:
    """A place where the action finds its packages installed."""
    with opened_place(tmp_path, *QUICK) as place:
        place.environ["STAND_IN_PREPARED"] = str(place.folder / "project")
        yield place


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """The release as a wheel, and what it needs, in a folder that pip is pointed to."""
    return built(tmp_path_factory.mktemp("wheels"))


def test_documented_workflow_has_no_finding(tmp_path: Path) -> None:
    """The workflow that docs/github.md shows is what the linters want to see."""
    file = tmp_path / ".github" / "workflows" / "reboots.yml"
    file.parent.mkdir(parents=True)
    file.write_text(documented())
    assert lint(tmp_path) == []


def test_reviewed_is_what_runs_once(prepared: Place) -> None:
    """A pull request shows the servers and reboots none; its merge reboots each once; the same event again, none."""
    scenes.review(prepared, DOCUMENTED)
    scenes.merge_and_run_again(prepared, DOCUMENTED)


@pytest.mark.full
def test_action_installs_its_pins(tmp_path: Path, wheels: Wheels) -> None:
    """With nothing prepared, the action installs its pinned packages itself, and the pull request is reviewed."""
    with opened_place(tmp_path, *QUICK) as place:
        place.environ |= wheels.environ
        scenes.review(place, DOCUMENTED)


@pytest.mark.full
@pytest.mark.parametrize("scene", [scenes.unreviewed, scenes.from_fork, scenes.invalid])
def test_action_in(scene: scenes.Scene, prepared: Place) -> None:
    """What the scene promises holds for the action."""
    scene(prepared, DOCUMENTED)


@pytest.mark.full
def test_action_goes_on_after_a_cancel(tmp_path: Path) -> None:
    """A cancelled job saves its state, and run again it reboots each server once."""
    with opened_place(tmp_path, *SLOW) as place:
        place.environ["STAND_IN_PREPARED"] = str(place.folder / "project")
        scenes.cancelled(place, DOCUMENTED)


@pytest.mark.full
@pytest.mark.parametrize(
    "scene",
    [
        *(scenes.reviewed_and_merged, scenes.unreviewed, scenes.suspended),
        *(scenes.from_fork, scenes.from_merge_queue, scenes.invalid),
    ],
)
def test_reusable_workflows_in(scene: scenes.Scene, tmp_path: Path, wheels: Wheels) -> None:
    """What the scene promises holds for the workflows that `init` writes, with the release installed from its hash."""
    with opened_place(tmp_path, *QUICK, release=wheels.release) as place:
        place.environ |= wheels.environ
        scene(place, CALLING)


@pytest.mark.full
def test_reusable_workflows_go_on_after_a_cancel(tmp_path: Path, wheels: Wheels) -> None:
    """A cancelled job saves its state, and the clock's next job goes on with it."""
    with opened_place(tmp_path, *SLOW, release=wheels.release) as place:
        place.environ |= wheels.environ
        scenes.cancelled(place, CALLING)


@pytest.mark.full
def test_another_wheel_is_not_installed(tmp_path: Path, wheels: Wheels) -> None:
    """A release whose hash is another than the pinned one installs nothing, and the job ends red."""
    other = wheels.release[:-4] + ("0000" if wheels.release[-4:] != "0000" else "1111")
    with opened_place(tmp_path, *QUICK, release=other) as place:
        place.environ |= wheels.environ
        ended = place.act("pull_request", place.opened(), CALLING.plan)
        assert ended.code != 0
        assert "DO NOT MATCH THE HASHES" in ended.log
        assert "result" not in ended.outputs
