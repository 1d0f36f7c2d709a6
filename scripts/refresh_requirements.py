"""Write `requirements/*.txt`: every package pinned, with the hashes of its files.

    python scripts/refresh_requirements.py            # fit the pins to pyproject.toml, move as little as possible
    python scripts/refresh_requirements.py --upgrade  # move every pin to the newest that fits
    python scripts/refresh_requirements.py --check    # offline: say what is stale, exit 1 if anything is

`runtime.txt` is what the command needs, `postgres.txt` that and the extra `postgres`,
`temporal.txt` that and the extra `temporal`, `dev.txt` all that and the tools. The files
name no index and no address, so each user's own pip configuration decides where packages
come from. One resolution covers all platforms and all Python versions from the oldest
supported; markers tell them apart.
"""  # noqa: E501

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from itertools import pairwise
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
FILES: Mapping[str, tuple[str, ...]] = {
    "runtime": (),
    "postgres": ("--extra", "postgres", "-c", "requirements/runtime.txt"),
    "temporal": ("--extra", "postgres", "--extra", "temporal", "-c", "requirements/postgres.txt"),
    "dev": ("--group", "dev", "-c", "requirements/temporal.txt"),
}
"""Name of the file -> how it is resolved. Each holds the pins of those before it."""
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """One line of a requirements file: `name==version ; marker`, and how many hashes follow it."""

    requirement: Requirement
    hashes: int

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return next((s.version for s in self.requirement.specifier if s.operator == "=="), "")

    @property
    def applies_here(self) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate()


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; 0 if they are in order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; say what is stale")
    what.add_argument(
        "--upgrade", action="store_true", help="move every pin to the newest that fits"
    )
    options = parser.parse_args(arguments)
    if not options.check:
        refresh(upgrade=options.upgrade)
    findings = check(ROOT)
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings and options.check:
        print("mend with: python scripts/refresh_requirements.py", file=sys.stderr)
    return 1 if findings else 0


def refresh(*, upgrade: bool = False) -> None:
    """Resolve the files with uv. Pins that still fit stay, unless `upgrade`.

    Raises CalledProcessError if there is no resolution.
    """
    declared = json.loads(declarations(ROOT))
    for name, options in FILES.items():
        file = ROOT / "requirements" / f"{name}.txt"
        command = [
            *(
                sys.executable,
                "-m",
                "uv",
                "pip",
                "compile",
                "--quiet",
                "--universal",
                "--generate-hashes",
            ),
            *("--no-header", "--no-annotate", "--python-version", OLDEST_PYTHON, *options),
            *(["--upgrade"] if upgrade else []),
            *("--output-file", str(file.relative_to(ROOT)), "pyproject.toml"),
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        file.write_text(f"{header(declared[name])}\n{file.read_text()}")


def declarations(root: Path) -> str:
    """What pyproject.toml asks for, as JSON: a sorted list for each of FILES. The others
    include `runtime`.
    """
    pyproject = tomllib.loads((root / "pyproject.toml").read_text())
    runtime = sorted(pyproject["project"]["dependencies"])
    extras = pyproject["project"]["optional-dependencies"]
    postgres = sorted([*runtime, *extras["postgres"]])
    temporal = sorted([*postgres, *extras["temporal"]])
    dev = sorted([*runtime, *pyproject["dependency-groups"]["dev"]])
    return json.dumps({"runtime": runtime, "postgres": postgres, "temporal": temporal, "dev": dev})


def header(declared: Iterable[str]) -> str:
    """The first line of a requirements file: says where it comes from, and from what exactly."""
    digest = hashlib.sha256("\n".join(declared).encode()).hexdigest()[:16]
    return f"# Made by scripts/refresh_requirements.py; do not edit. Made for: {digest}"


def check(root: Path) -> list[str]:
    """What is wrong with the files of `root`, as sentences. Reads files and installed
    metadata, never the network.
    """
    declared: Mapping[str, list[str]] = json.loads(declarations(root))
    pins: dict[str, tuple[Pin, ...]] = {}
    findings = []
    for name, wanted in declared.items():
        file = root / "requirements" / f"{name}.txt"
        if not file.is_file():
            findings.append(f"{file.name}: is missing")
            continue
        text = file.read_text()
        pins[name] = read_pins(text)
        own = [
            *_form(text, header(wanted)),
            *_covers(pins[name], wanted),
            *_extra(pins[name], wanted),
        ]
        findings += [f"{file.name}: {finding}" for finding in own]
    if len(pins) == len(declared):
        for smaller, larger in pairwise(FILES):
            findings += [
                f"{larger}.txt: {it}" for it in _differences(smaller, pins[smaller], pins[larger])
            ]
    return findings


def read_pins(text: str) -> tuple[Pin, ...]:
    """The pins of a requirements file. A line that pip would read otherwise raises
    InvalidRequirement.
    """
    lines = text.replace("\\\n", " ").splitlines()
    found = (line for line in lines if line.strip() and not line.startswith("#"))
    return tuple(
        Pin(Requirement(HASH.sub("", line).strip()), len(HASH.findall(line))) for line in found
    )


def _form(text: str, first_line: str) -> Iterable[str]:
    if not text.startswith(first_line + "\n"):
        yield "was made for other dependencies than pyproject.toml names now"
    if "://" in text or "--index" in text or "--extra-index" in text or "--find-links" in text:
        yield "names an address or an index"


def _covers(pins: tuple[Pin, ...], wanted: Iterable[str]) -> Iterable[str]:
    for pin in pins:
        if not pin.version:
            yield f"{pin.name} is not pinned to one version"
        if not pin.hashes:
            yield f"{pin.name} has no hash"
    for requirement in map(Requirement, wanted):
        found = [pin for pin in pins if pin.name == canonicalize_name(requirement.name)]
        if not found:
            yield f"{requirement.name} is not pinned"
        for pin in found:
            if pin.version and not requirement.specifier.contains(pin.version, prereleases=True):
                yield f"{pin.name} {pin.version} does not satisfy {requirement}"


def _extra(pins: tuple[Pin, ...], wanted: Iterable[str]) -> Iterable[str]:
    """Pins for this platform that nothing asks for, judged by the metadata of what is installed."""
    needed = closure(map(Requirement, wanted))
    for pin in pins:
        if pin.applies_here and pin.name not in needed:
            yield f"{pin.name} is pinned, but nothing needs it"


def closure(wanted: Iterable[Requirement]) -> frozenset[str]:
    """Names of all packages that `wanted` come to on this platform. One that is not
    installed adds only itself.
    """
    seen: set[tuple[str, str]] = set()
    open_ones = [(requirement, "") for requirement in wanted]
    while open_ones:
        requirement, via = open_ones.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": via}):
            continue
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in seen:
                seen.add(key)
                open_ones += [(Requirement(text), extra) for text in _requires(requirement.name)]
    return frozenset(name for name, _ in seen)


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def _differences(
    smaller: str, its_pins: tuple[Pin, ...], larger_pins: tuple[Pin, ...]
) -> Iterable[str]:
    def versions(pins: tuple[Pin, ...]) -> Mapping[str, Any]:
        return {f"{pin.name} ; {pin.requirement.marker}": pin.version for pin in pins}

    ours, theirs = versions(its_pins), versions(larger_pins)
    for key, version in ours.items():
        if theirs.get(key) != version:
            yield f"{key} is {theirs.get(key)}, but {smaller}.txt says {version}"


if __name__ == "__main__":
    sys.exit(main())
