"""Where the project lives on GitHub is one setting, which the documents follow; a wheel
holds all that users need.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from runner import REPOSITORY
from scripts import rename_repository
from tests.git.made import Made

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
NAMED = re.compile(
    rf"(?:github\.com/|uses: |--workflows )([\w-]+/{re.escape(REPOSITORY.partition('/')[2])})\b"
)


def mentions(root: Path) -> dict[str, set[str]]:
    """The names of the project's repository in documents, workflows and help, by file."""
    files = [root / README.name, *(root / "docs").glob("*.md"), *root.glob("runner/**/*.py")]
    found = {
        file.relative_to(root).as_posix(): set(NAMED.findall(file.read_text())) for file in files
    }
    return {path: names for path, names in found.items() if names}


def test_documents_follow_the_setting() -> None:
    """Whatever names the repository names the one that is set: `python
    scripts/rename_repository.py` changes all.
    """
    found = mentions(ROOT)
    assert {"docs/github.md", "runner/cli/init.py"} <= set(found)
    assert {name for names in found.values() for name in names} == {REPOSITORY}


def test_the_script_changes_all_of_them(tmp_path: Path) -> None:
    """The script changes the setting and every mention, and names what it has changed;
    other names stay.
    """
    made = Made.new(tmp_path / "copy")
    for path in ("runner/__init__.py", "docs/github.md", "README.md"):
        made.write(path, (ROOT / path).read_text())
    made.commit({"other.md": f"my-{REPOSITORY} {REPOSITORY}-fork {REPOSITORY}/x"})
    assert rename_repository.main(["sre/reboots"], made.folder) == 0
    assert rename_repository.current(made.folder) == "sre/reboots"
    assert REPOSITORY not in (made.folder / "docs" / "github.md").read_text()
    assert (
        made.folder / "other.md"
    ).read_text() == f"my-{REPOSITORY} {REPOSITORY}-fork sre/reboots/x"
    assert rename_repository.main(["no name"], made.folder) == 2


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, unpacked: what an installation puts on the path."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_is_enough(wheel: Path, tmp_path: Path) -> None:
    """With the wheel alone, the lines of the README work: a repository, and its plan on the
    simulator.
    """
    env = {
        "PYTHONPATH": str(wheel),
        "PYTHONSAFEPATH": "1",
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    blocks = re.findall(
        r"^```sh\nuv tool install reboot-runner\n(.*?)^```",
        README.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    here = tmp_path
    lines = blocks[0].splitlines()
    assert "reboot-runner init reboots" in lines
    for line in lines:
        program, *arguments = line.replace(
            " run ", " diff "
        ).split()  # the run itself takes its time
        if program == "cd":
            here = here / arguments[0]
            continue
        command = [sys.executable, "-m", "runner", *arguments]
        done = subprocess.run(
            command, cwd=here, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    pins = subprocess.run(
        [sys.executable, "-m", "runner.pins"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert Path(pins.stdout.strip()).is_relative_to(wheel)


def test_modules_that_the_architecture_names_are_there() -> None:
    """The page about the structure and the decision records name modules as they are."""
    known = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    pages = [ROOT / "docs" / "architecture.md", *(ROOT / "docs" / "adr").glob("*.md")]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"[\w-]+\.py\b", page.read_text())
    }
    assert {(page, name) for page, name in named if name not in known} == set()
