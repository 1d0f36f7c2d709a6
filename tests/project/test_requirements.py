"""The pinned requirements fit pyproject.toml, and the check that says so notices when
they do not.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import refresh_requirements as requirements

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the check reads."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def pinned(project: Path, name: str) -> str:
    """The version that runtime.txt pins `name` to."""
    pins = requirements.read_pins((project / "requirements" / "runtime.txt").read_text())
    return next(pin.version for pin in pins if pin.name == name)


def test_pins_fit_the_project() -> None:
    """Every dependency is covered by a hashed pin that satisfies it; nothing more is
    pinned; no address is named.
    """
    assert requirements.check(ROOT) == []


def test_new_dependency_is_noticed(project: Path) -> None:
    """A dependency that was added without refreshing the pins is named, in both files."""
    replace(project / "pyproject.toml", "dependencies = [", 'dependencies = [\n    "left-out>=1",')
    findings = requirements.check(project)
    assert "runtime.txt: left-out is not pinned" in findings
    assert "dev.txt: left-out is not pinned" in findings


def test_dropped_dependency_is_noticed(project: Path) -> None:
    """A dependency that was removed leaves pins behind, and the check says so."""
    replace(project / "pyproject.toml", '    "stamina>=24.3",', "    #")
    findings = requirements.check(project)
    assert "runtime.txt: stamina is pinned, but nothing needs it" in findings
    assert "runtime.txt: was made for other dependencies than pyproject.toml names now" in findings


def test_unsatisfied_range_is_noticed(project: Path) -> None:
    """A range that moved past its pin is named with both."""
    replace(project / "pyproject.toml", '"click>=8.2"', '"click>=999"')
    expected = f"runtime.txt: click {pinned(project, 'click')} does not satisfy click>=999"
    assert expected in requirements.check(project)


def test_pin_without_hash_is_noticed(project: Path) -> None:
    """A pin whose files could be anybody's is named."""
    file = project / "requirements" / "runtime.txt"
    file.write_text(file.read_text() + "extra-thing==1.0\n")
    assert "runtime.txt: extra-thing has no hash" in requirements.check(project)


@pytest.mark.parametrize(
    "line", ["--index-url https://packages.example/simple", "--find-links ./wheels"]
)
def test_address_is_noticed(project: Path, line: str) -> None:
    """A file that decides where packages come from is refused."""
    file = project / "requirements" / "dev.txt"
    file.write_text(file.read_text().replace("\n", f"\n# {line}\n", 1))
    assert "dev.txt: names an address or an index" in requirements.check(project)


def test_different_versions_are_noticed(project: Path) -> None:
    """What is tested is what is installed: the files pin the same version of a package."""
    version = pinned(project, "click")
    replace(project / "requirements" / "dev.txt", f"\nclick=={version}", "\nclick==8.2.0")
    findings = requirements.check(project)
    assert f"dev.txt: click ; None is 8.2.0, but temporal.txt says {version}" in findings


def test_missing_file_is_noticed(project: Path) -> None:
    """A file that is not there is named, and the other is still checked."""
    (project / "requirements" / "runtime.txt").unlink()
    assert requirements.check(project) == ["runtime.txt: is missing"]
