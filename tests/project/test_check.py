"""The check command: what it runs, and that a failure cannot pass unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import check, make_venv

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, name: str = "one") -> check.Check:
    """A check that runs a line of Python."""
    return check.Check(name, "an example", lambda options: (options.python, "-c", code))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "scripts" / "check.py")
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False
    )


def test_one_failure_is_enough(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All checks run, the one after a failure too, and the answer is 1."""
    trace = tmp_path / "ran"
    checks = [
        python("raise SystemExit(3)", "first"),
        python(f"open({str(trace)!r}, 'w')", "second"),
    ]
    assert check.run(checks, check.Options(sys.executable)) == 1
    assert trace.exists()
    assert "FAILED first" in capfd.readouterr().out


def test_all_passed() -> None:
    """The answer is 0 only when every check passed."""
    assert check.run([python("pass"), python("pass")], check.Options(sys.executable)) == 0


def test_unknown_check_is_a_usage_error() -> None:
    """A check that does not exist is refused with those that do, and nothing runs."""
    done = command("lints")
    assert done.returncode == 2
    assert "no check is called lints; there are lint, format" in done.stderr
    assert done.stdout == ""


def test_named_checks_alone_run() -> None:
    """Naming a check runs that one only; its exit code is the command's."""
    done = command("requirements")
    assert done.returncode == 0, done.stderr
    assert "== requirements" in done.stdout
    assert done.stdout.count("==") == 1


def test_arguments_for_pytest_need_the_tests() -> None:
    """Arguments that nothing would read are refused."""
    done = command("lint", "--", "-k", "signer")
    assert done.returncode == 2
    assert "arguments after -- go to pytest" in done.stderr


def test_environment_of_another_tree_is_not_taken_for_ours(tmp_path: Path) -> None:
    """An environment without the project, or with a copy of it, is prepared again instead
    of being trusted.
    """
    assert not make_venv.holds_this_project(tmp_path)
    elsewhere = tmp_path / "elsewhere" / "runner"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").touch()
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "python"
    for tree, ours in ((elsewhere.parent, False), (ROOT, True)):
        # The working directory stands for what is installed there: -I, which ignores it, is
        # dropped.
        stand_in.write_text(f'#!/bin/sh\nshift\ncd "{tree}" && exec "{sys.executable}" -B "$@"\n')
        stand_in.chmod(0o755)
        assert make_venv.holds_this_project(tmp_path) is ours


def test_environment_is_stale_when_the_pins_move(tmp_path: Path) -> None:
    """An environment is current only for the very pins it was made from."""
    pins = tmp_path / "dev.txt"
    pins.write_text("click==8.2.0\n")
    assert not make_venv.is_current(tmp_path, pins)
    make_venv.stamp(tmp_path, pins).write_text(make_venv.fingerprint(pins))
    assert make_venv.is_current(tmp_path, pins)
    pins.write_text("click==8.2.1\n")
    assert not make_venv.is_current(tmp_path, pins)
