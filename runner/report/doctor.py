"""What `doctor` found, as data; as text for people and as a document for programs. Pure.

Messages hold names of files, hosts and servers, and sentences of clouds and databases: the
text makes each line harmless, the document leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from runner.errors import EXIT_WORDS, Exit
from runner.model.problem import Problem
from runner.model.shape import Shaped
from runner.report.ansi import CYAN, GREEN, RED, YELLOW, paint
from runner.report.problems import ProblemRow, problem_rows, problems_text
from runner.report.safe import line_start, plain

FORMAT_VERSION: Literal[1] = 1

About = Literal["configuration", "program", "store", "target"]
Status = Literal["ok", "warning", "failed", "skipped"]
STATUSES: tuple[Status, ...] = ("ok", "warning", "failed", "skipped")

_LONGEST = 1000
_COLORS: dict[Status, str] = {"ok": GREEN, "warning": YELLOW, "failed": RED, "skipped": CYAN}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One question and its answer, in a sentence. `hint`: how to mend it.

    `denied`: it failed because of credentials or a permission. `action`: the IAM action
    that it is about. `details`: further sentences, for example why other credentials were
    not taken.
    """

    name: str
    status: Status
    message: str
    hint: str | None = None
    details: tuple[str, ...] = ()
    denied: bool = False
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What checks are about, and their results.

    `about` is stable (`configuration`, `store`, `program`, `target`), `title` for people.
    `target`: the name of the target that it is about.
    """

    about: About
    title: str
    checks: tuple[CheckResult, ...]
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found. `problems`: of the configuration and of the files it names."""

    sections: tuple[Subject, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        return tuple(check for section in self.sections for check in section.checks)

    @property
    def exit_code(self) -> int:
        """3 for an invalid configuration, else 77 where credentials or permissions fail,
        else 1 where anything does.
        """
        if any(p.severity == "error" for p in self.problems):
            return Exit.INVALID
        failed = [check for check in self.checks if check.status == "failed"]
        if any(check.denied for check in failed):
            return Exit.DENIED
        return Exit.ERROR if failed else Exit.DONE

    def count(self, status: Status) -> int:
        return sum(check.status == status for check in self.checks)


def doctor_text(found: Diagnosis, *, color: bool = False) -> str:
    """For people: the problems first, then a block for each section, then the sum."""
    blocks = [problems_text(found.problems)] if found.problems else []
    for section in found.sections:
        lines = [plain(section.title, _LONGEST)]
        for check in section.checks:
            about = f"{check.name} {check.action}" if check.action else check.name
            word = paint(check.status, _COLORS[check.status], color) + " " * (9 - len(check.status))
            lines.append(f"  {word}{plain(f'{about}: {check.message}', _LONGEST)}")
            if check.hint and check.status != "ok":
                lines.append(f"{'':11}mend: {plain(check.hint, _LONGEST)}")
            lines += [f"{'':11}- {plain(detail, _LONGEST)}" for detail in check.details]
        blocks.append("\n".join(map(line_start, lines)))
    counts = ", ".join(f"{found.count(s)} {s}" for s in STATUSES if found.count(s))
    said = {
        Exit.DONE: "ready to run plans",
        Exit.ERROR: "something has to be mended",
        Exit.DENIED: "credentials or permissions have to be mended",
        Exit.INVALID: "the configuration has to be mended",
    }[found.exit_code]
    total = f"{paint(said, _COLORS['failed' if found.exit_code else 'ok'], color)}: {counts}"
    return "\n\n".join([*blocks, total])


@dataclass(frozen=True, slots=True)
class DoctorRow(Shaped):
    """`about` and `name` are stable. Texts are not escaped."""

    about: About
    target: str | None
    """The one that it is about."""
    name: str
    action: str | None
    """The IAM action that is needed."""
    status: Status
    message: str
    hint: str | None
    """How to mend it."""
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoctorDocument(Shaped):
    """What `doctor -o json` prints."""

    format_version: Literal[1]
    result: Literal["done", "error", "invalid", "denied"]
    """The exit code as a word."""
    counts: Mapping[Status, int]
    problems: tuple[ProblemRow, ...]
    """Of the configuration and of the policy."""
    checks: tuple[DoctorRow, ...]


def doctor_document(found: Diagnosis) -> DoctorDocument:
    """Return it for programs."""
    checks = (
        DoctorRow(s.about, s.target, c.name, c.action, c.status, c.message, c.hint, c.details)
        for s in found.sections
        for c in s.checks
    )
    result = cast(Literal["done", "error", "invalid", "denied"], EXIT_WORDS[found.exit_code])
    counts = {status: found.count(status) for status in STATUSES}
    return DoctorDocument(
        FORMAT_VERSION, result, counts, problem_rows(found.problems), tuple(checks)
    )


def listed(words: Sequence[str], most: int = 5) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(words[:most])
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown
