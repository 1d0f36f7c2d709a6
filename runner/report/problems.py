"""Problems of files as text, JSON, GitHub annotations and SARIF. Pure: takes problems, gives
text; nothing is printed.

Messages, hints, excerpts and file names hold what other people wrote; each rendering makes
them harmless for its channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.model.problem import Problem
from runner.model.shape import Shaped, json_values
from runner.report.ansi import BOLD, DIM, RED, YELLOW, paint
from runner.report.fitting import cells
from runner.report.safe import command_data, command_property, json_text, line_start, plain

FORMAT_VERSION: Literal[1] = 1
_URI_SAFE = frozenset(b"/-._~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_WIDTH = 110
_LEAD = 60


def problems_text(problems: Iterable[Problem], *, color: bool = False) -> str:
    """For people: where, what, the line with a caret, how to mend; sorted, one block a
    problem, no last line break.
    """
    return "\n".join(_block(p, color) for p in _sorted(problems))


@dataclass(frozen=True, slots=True)
class ProblemRow(Shaped):
    """What is wrong and where; lines and columns count from 1. Text is as it was written,
    and not escaped.
    """

    severity: Literal["error", "warning"]
    code: str
    """Stable; docs/problems.md lists them."""
    message: str
    hint: str | None
    """How to mend it."""
    file: str | None
    line: int | None
    column: int | None
    """Counts characters."""
    end_line: int | None
    end_column: int | None

    @classmethod
    def of(cls, problem: Problem) -> ProblemRow:
        at = problem.location
        place = (at.file, at.line, at.column, at.end_line, at.end_column) if at else (None,) * 5
        return cls(problem.severity, problem.code, problem.message, problem.hint, *place)


def problem_rows(problems: Iterable[Problem]) -> tuple[ProblemRow, ...]:
    """Return problems as documents hold them, sorted."""
    return tuple(map(ProblemRow.of, _sorted(problems)))


@dataclass(frozen=True, slots=True)
class ProblemsDocument(Shaped):
    """What `validate -o json` prints."""

    format_version: Literal[1]
    result: Literal["done", "invalid"]
    """`invalid` when there is an error."""
    files: tuple[str, ...]
    """The files that were checked."""
    errors: int
    warnings: int
    problems: tuple[ProblemRow, ...]


def problems_json(problems: Iterable[Problem], files: Sequence[str]) -> str:
    """Return a `ProblemsDocument` as JSON text."""
    rows = problem_rows(problems)
    errors = sum(row.severity == "error" for row in rows)
    result: Literal["done", "invalid"] = "invalid" if errors else "done"
    made = ProblemsDocument(FORMAT_VERSION, result, tuple(files), errors, len(rows) - errors, rows)
    return json_text(json_values(made), indent=2)


def problems_github(problems: Iterable[Problem], most: int = 10) -> str:
    """GitHub workflow commands, one a line: annotations at the lines of a pull request.

    GitHub shows the first ten errors and ten warnings of a step and drops the others
    without a word. So at most `most` of each are made: errors first, one for each file
    before the second of any, the last saying how many more there are. Those follow as plain
    text for the step's log.
    """
    found = _sorted(problems)
    lines, rest = [], []
    for severity in ("error", "warning"):
        chosen = _by_turns([p for p in found if p.severity == severity])
        shown, left = chosen[:most], chosen[most:]
        lines += [_command(p) for p in shown[: len(shown) - bool(left)]]
        if left:
            lines.append(
                _command(
                    shown[-1],
                    f"and {len(left)} more {severity}s: the log of this step has them all",
                )
            )
        rest += left
    return "\n".join([*lines, *([problems_text(rest)] if rest else [])])


def _by_turns(problems: Iterable[Problem]) -> list[Problem]:
    """The first of each file, then the second of each, and so on."""
    turn: Counter[str] = Counter()
    placed = []
    for problem in problems:
        file = problem.location.file if problem.location else ""
        placed.append((turn[file], problem))
        turn[file] += 1
    return [problem for _, problem in sorted(placed, key=lambda item: item[0])]


def problems_sarif(problems: Iterable[Problem], codes: Mapping[str, str], version: str) -> str:
    """SARIF 2.1.0 for code-scanning. `codes` gives the general sentence of each code,
    `version` is the tool's.
    """
    found = _sorted(problems)
    used = sorted({p.code for p in found})
    rules = [{"id": code, "shortDescription": {"text": codes.get(code, code)}} for code in used]
    run = {
        "tool": {"driver": {"name": "reboot-runner", "version": version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(p, used.index(p.code)) for p in found],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json_text({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: p.sort_key)


# text


def _block(problem: Problem, color: bool) -> str:
    """What is wrong where, then the source line (a part of it, when it is long) with a
    caret and the hint below it.
    """
    where, source, tint = (
        problem.location,
        problem.excerpt,
        RED if problem.severity == "error" else YELLOW,
    )
    place = f"{plain(where.file, 300)}:{where.line}:{where.column}: " if where else ""
    head = paint(f"{problem.severity}[{plain(problem.code, 100)}]", BOLD + tint, color)
    lines = [f"{paint(place, BOLD, color)}{head}: {plain(problem.message, 2000)}"]
    hint = plain(problem.hint, 1000) if problem.hint else ""
    if where is not None and source.strip():
        start = max(0, where.column - 1 - _LEAD) if len(source) > _WIDTH else 0
        before, rest = source[start : where.column - 1], source[where.column - 1 : start + _WIDTH]
        lead = ("…" if start else "") + plain(before, 10 * _WIDTH)
        line = lead + plain(rest, 10 * _WIDTH) + ("…" if start + _WIDTH < len(source) else "")
        length = 1
        if where.end_line == where.line and where.end_column:
            length = max(1, cells(plain(rest[: where.end_column - where.column], 10 * _WIDTH)))
        number = f"    {where.line}"
        caret = " " * cells(lead) + paint("^" * length, tint, color)
        lines.append(paint(f"{number} | ", DIM, color) + line)
        lines.append(f"{paint(' ' * len(number) + ' | ', DIM, color)}{caret} {hint}".rstrip())
    elif hint:
        lines.append(f"    hint: {hint}")
    return "\n".join(map(line_start, lines))


# JSON, GitHub, SARIF


def _command(problem: Problem, more: str = "") -> str:
    where = problem.location
    place = []
    if where is not None:
        place = [
            f"file={command_property(plain(where.file, 1000))}",
            f"line={where.line}",
            f"col={where.column}",
        ]
        if where.end_line == where.line and where.end_column:
            place.append(f"endColumn={max(where.column, where.end_column)}")
    place.append(f"title={command_property(plain(problem.code, 100))}")
    hint = f"\n{plain(problem.hint, 1000)}" if problem.hint else ""
    said = plain(problem.message, 2000) + hint + (f"\n{more}" if more else "")
    return f"::{problem.severity} {','.join(place)}::{command_data(said)}"


def _sarif_result(problem: Problem, rule: int) -> dict[str, Any]:
    text = plain(problem.message, 2000) + (
        f" – {plain(problem.hint, 1000)}" if problem.hint else ""
    )
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": text},
    }
    where = problem.location
    if where is not None:
        region = {"startLine": where.line, "startColumn": where.column}
        if (
            where.end_line
            and where.end_column
            and (where.end_line, where.end_column) >= (where.line, where.column)
        ):
            region |= {"endLine": where.end_line, "endColumn": where.end_column}
        artifact = {"uri": _uri(plain(where.file, 1000))}
        result["locations"] = [
            {"physicalLocation": {"artifactLocation": artifact, "region": region}}
        ]
    return result


def _uri(path: str) -> str:
    """A path as a relative URI reference (RFC 3986): all but unreserved characters and `/`
    percent-encoded.
    """
    return "".join(
        chr(b) if b in _URI_SAFE else f"%{b:02X}" for b in path.encode("utf-8", "replace")
    )
