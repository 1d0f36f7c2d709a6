"""What a release says of itself: its tag, its notes, and the line that others pin."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of version 1.2.3 that was released on a day."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changes\n\n## 1.2.3 - 2026-11-24\n\n- New.\n\n## 1.2.2 - 2026-01-01\n\n- Old.\n"
    )
    return tmp_path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel of this working tree, built with the pinned tools."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    yield next(folder.glob("*.whl"))
    shutil.rmtree(folder)


def test_tag_version_and_change_log_agree(project: Path) -> None:
    """A tag is released only if the project file and a dated entry of the change log name
    the same version.
    """
    release.check("v1.2.3", project)
    for tag in ("1.2.3", "v1.2.4", "v1.2.3-rc1"):
        with pytest.raises(release.Unfit, match="says"):
            release.check(tag, project)
    (project / "CHANGELOG.md").write_text("## 1.2.3 - Unreleased\n")
    with pytest.raises(release.Unfit, match="write the day"):
        release.check("v1.2.3", project)


def test_notes_are_the_entry_and_the_line(project: Path) -> None:
    """The notes begin with the line to pin, followed by this version's entry and no other's."""
    file = project / "reboot_runner-1.2.3-py3-none-any.whl"
    file.write_bytes(b"wheel")
    line = f"reboot-runner==1.2.3 --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}"
    assert release.line(file) == line
    text = release.notes(file, project)
    assert line in text
    assert "- New." in text
    assert "- Old." not in text


def test_wheel_carries_its_pins(wheel: Path, tmp_path: Path) -> None:
    """The installed wheel names the pinned requirements inside it, before anything else is
    installed.
    """
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path[:] = [p for p in sys.path if 'site-' not in p]; "
        f"sys.path.insert(0, {str(tmp_path)!r}); import runpy; runpy.run_module('runner.pins', "
        f"run_name='__main__')",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    named = Path(done.stdout.strip())
    assert named.is_relative_to(tmp_path)
    assert named.read_text() == (ROOT / "requirements" / "postgres.txt").read_text()


def test_working_tree_names_its_pins() -> None:
    """In a working tree the pins are those of `requirements/`."""
    done = subprocess.run(
        [sys.executable, "-m", "runner.pins"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert Path(done.stdout.strip()) == ROOT / "requirements" / "postgres.txt"


def test_wheel_carries_the_page_of_reports(wheel: Path) -> None:
    """Template, style and script of the HTML report are in the wheel."""
    with zipfile.ZipFile(wheel) as packed:
        assert {f"runner/report/page.{kind}" for kind in ("html", "css", "js")} <= set(
            packed.namelist()
        )


def test_release_of_this_wheel_is_what_the_workflows_take(wheel: Path) -> None:
    """The line that is printed for a real wheel is one that the reusable workflows accept."""
    workflow = (ROOT / ".github" / "workflows" / "reboot-run.yml").read_text()
    pattern = workflow.split("$RELEASE =~ ", 1)[1].split(" ]]", 1)[0]
    check = f"[[ $1 =~ {pattern} ]]"
    assert (
        subprocess.run(["bash", "-c", check, "bash", release.line(wheel)], check=False).returncode
        == 0
    )
