"""A pull request, its merge, and the merge once more, through the quick form that `init`
writes; the rest in full.

`python -m tests.workflows.act` runs all of it by name and shows the end of the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.starter.files import PLAN_WORKFLOW
from tests.workflows import scenes
from tests.workflows.place import Place, opened_place
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


def test_reviewed_is_what_runs_once(prepared: Place) -> None:
    """A pull request shows the servers and reboots none; its merge reboots each once; the
    same event again, none.
    """
    scenes.reviewed_and_merged(prepared)


@pytest.mark.full
def test_action_installs_its_pins(tmp_path: Path, wheels: Wheels) -> None:
    """With nothing prepared, the action installs its pinned packages itself, and the pull
    request is reviewed.
    """
    with opened_place(tmp_path, *QUICK) as place:
        place.environ |= wheels.environ
        scenes.review(place)


@pytest.mark.full
@pytest.mark.parametrize(
    "scene",
    [
        *(scenes.first_comment, scenes.unreviewed, scenes.suspended),
        *(scenes.from_fork, scenes.from_merge_queue, scenes.invalid),
    ],
)
def test_quick_form_in(scene: scenes.Scene, prepared: Place) -> None:
    """What the scene promises holds for the quick form."""
    scene(prepared)


@pytest.mark.full
@pytest.mark.parametrize("scene", [scenes.reviewed_and_merged, scenes.suspended, scenes.from_fork])
def test_hardened_form_in(scene: scenes.Scene, tmp_path: Path) -> None:
    """What the scene promises holds for the hardened form, with an environment for each job."""
    with opened_place(tmp_path, *QUICK, form="hardened") as place:
        place.environ["STAND_IN_PREPARED"] = str(place.folder / "project")
        scene(place)


@pytest.mark.full
@pytest.mark.parametrize("form", ["quick", "hardened"])
def test_goes_on_after_a_cancel(form: str, tmp_path: Path) -> None:
    """A cancelled job saves its state, and the clock's next job continues it: each server
    is rebooted once.
    """
    with opened_place(tmp_path, *SLOW, form=form) as place:
        place.environ["STAND_IN_PREPARED"] = str(place.folder / "project")
        scenes.cancelled(place)


@pytest.mark.full
@pytest.mark.parametrize(
    "scene", [scenes.reviewed_and_merged, scenes.suspended, scenes.from_fork, scenes.cancelled]
)
def test_reusable_workflows_in(scene: scenes.Scene, tmp_path: Path, wheels: Wheels) -> None:
    """What the scene promises holds for the reusable workflows, with the release installed
    from its hash.
    """
    speed = SLOW if scene is scenes.cancelled else QUICK
    with opened_place(tmp_path, *speed, form="reusable", release=wheels.release) as place:
        place.environ |= wheels.environ
        scene(place)


@pytest.mark.full
def test_another_wheel_is_not_installed(tmp_path: Path, wheels: Wheels) -> None:
    """A release whose hash is another than the pinned one installs nothing, and the job
    ends red.
    """
    other = wheels.release[:-4] + ("0000" if wheels.release[-4:] != "0000" else "1111")
    with opened_place(tmp_path, *QUICK, form="reusable", release=other) as place:
        place.environ |= wheels.environ
        ended = place.act("pull_request", place.opened(), PLAN_WORKFLOW)
        assert ended.code != 0
        assert "DO NOT MATCH THE HASHES" in ended.log
        assert "result" not in ended.outputs


@pytest.mark.full
def test_a_version_without_a_hash_is_installed(tmp_path: Path, wheels: Wheels) -> None:
    """The version alone, which the reusable workflows have as their default, installs
    the release.
    """
    with opened_place(
        tmp_path, *QUICK, form="reusable", release=wheels.release.partition(" ")[0]
    ) as place:
        place.environ |= wheels.environ
        scenes.review(place)
