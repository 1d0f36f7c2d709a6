"""Run the project's checks: all of them, or those that are named. The same here and in CI.

    python3 scripts/check.py                     # everything
    python3 scripts/check.py --fix lint format   # some, mending what can be mended
    python3 scripts/check.py tests -- -k signer  # arguments after -- go to pytest

Inside a virtual environment its tools are used as they are. Outside of one `.venv` is made first
(`scripts/make_venv.py --dev`). All checks run even if one fails; the exit code is 1 if any failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("runner", "tests", "benchmarks", "scripts")
MOST_WORKERS = 8  # more start-up than gain: the suite is short

Command = tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """What the person asked for."""

    python: str
    fix: bool = False
    pytest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check: its name, what it proves, and its command."""

    name: str
    proves: str
    command: Callable[[Options], Command]


def _lint(options: Options) -> Command:
    return (options.python, "-m", "ruff", "check", *(["--fix"] if options.fix else []), *SOURCES)


def _format(options: Options) -> Command:
    return (options.python, "-m", "ruff", "format", *([] if options.fix else ["--check"]), *SOURCES)


def _types(options: Options) -> Command:
    return (options.python, "-m", "mypy")


def _requirements(options: Options) -> Command:
    mode = [] if options.fix else ["--check"]
    return (options.python, str(ROOT / "scripts" / "refresh_requirements.py"), *mode)


def _tests(options: Options) -> Command:
    return (options.python, "-m", "pytest", *_workers(), *options.pytest)


def _coverage(options: Options) -> Command:
    coverage = ("--cov", "--cov-branch", "--cov-report", "term:skip-covered")
    return (options.python, "-m", "pytest", *_workers(), *coverage, *options.pytest)


def _workers() -> tuple[str, ...]:
    # Parallel here only, so that a plain `pytest PATH` can be debugged. Half of the time
    # the tests wait for servers and timers, so that two workers keep one core busy.
    return ("-n", str(min(2 * (os.cpu_count() or 1), MOST_WORKERS)), "--dist", "worksteal")


CHECKS = (
    Check("lint", "no finding of ruff", _lint),
    Check("format", "formatted as ruff formats", _format),
    Check("types", "strict typing by mypy", _types),
    Check("requirements", "the pins fit pyproject.toml", _requirements),
    Check("tests", "the test suite", _tests),
)
ON_REQUEST = (
    Check("coverage", "the test suite once more, with branch coverage printed", _coverage),
)
"""Run only by name: tracing every branch doubles the time of the suite."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks that were asked for. 0 if all passed, 1 if any failed, 2 if the
    command was called wrongly.
    """
    chosen, fix, for_pytest = _read(list(sys.argv[1:] if arguments is None else arguments))
    python = _python()
    if python is None:
        return 1
    return run(chosen, Options(python, fix=fix, pytest=for_pytest))


def run(checks: Sequence[Check], options: Options) -> int:
    """Run `checks` in order, each even if one before it failed. 0 if all passed, else 1."""
    results = [_run_one(check, options) for check in checks]
    if len(results) > 1:
        print()
        for check, (code, seconds) in zip(checks, results, strict=True):
            print(f"{'ok    ' if code == 0 else 'FAILED'} {check.name:13} {seconds:6.1f} s")
    return 0 if all(code == 0 for code, _ in results) else 1


def _run_one(check: Check, options: Options) -> tuple[int, float]:
    print(f"== {check.name}: {check.proves}", flush=True)
    began = time.monotonic()
    code = subprocess.run(check.command(options), cwd=ROOT, check=False).returncode
    return code, time.monotonic() - began


def _read(arguments: list[str]) -> tuple[tuple[Check, ...], bool, tuple[str, ...]]:
    """Split our arguments from pytest's, and give the checks in their usual order."""
    ours, for_pytest = arguments, []
    if "--" in arguments:
        cut = arguments.index("--")
        ours, for_pytest = arguments[:cut], arguments[cut + 1 :]
    lines = "\n".join(f"  {check.name:13} {check.proves}" for check in (*CHECKS, *ON_REQUEST))
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog=f"checks:\n{lines}\n\nArguments after -- go to pytest.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual, names = [c.name for c in CHECKS], [c.name for c in (*CHECKS, *ON_REQUEST)]
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="default: all but coverage")
    parser.add_argument(
        "--without", action="append", default=[], choices=names, help="leave this one out"
    )
    parser.add_argument("--fix", action="store_true", help="mend what can be mended, then check")
    options = parser.parse_args(ours)
    unknown = sorted(set(options.checks) - set(names))
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = set(options.checks or usual) - set(options.without)
    if for_pytest and not wanted & {"tests", "coverage"}:
        parser.error("arguments after -- go to pytest, but `tests` is not among the checks")
    return (
        tuple(check for check in (*CHECKS, *ON_REQUEST) if check.name in wanted),
        options.fix,
        tuple(for_pytest),
    )


def _python() -> str | None:
    """The interpreter whose tools are used: of the virtual environment we are in, or of
    `.venv`. None: it failed.
    """
    if sys.prefix != sys.base_prefix:
        return sys.executable
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_venv.py"), "--dev"], check=False
    )
    return str(ROOT / ".venv" / "bin" / "python") if made.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
