"""The saved schedule: canonical JSON that people review and `run` executes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from runner.errors import InvalidInput
from runner.inputs.json_text import SCHEDULE, NotJson, TooMuchJson, check_json, parse_json
from runner.model.problem import Location, Problem
from runner.model.schedule import ExclusionEntry, Schedule, Wave
from runner.model.shape import json_values
from runner.planning.digest import inventory_digest, schedule_digest
from runner.planning.worst_case import worst_case

_SHOWN = 20
"""So many problems of one file are told; a file that is wrong everywhere is wrong in the same way.
"""


def dump(schedule: Schedule) -> str:
    """Return the schedule as text: keys sorted, a wave and an exclusion a line, ASCII; equal
    input, equal bytes.

    Raises InvalidInput for one so large that `load` would refuse it.
    """
    lines = [
        f"{_compact(key)}:{_value(value)}" for key, value in sorted(json_values(schedule).items())
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    try:
        check_json(text, SCHEDULE)
    except TooMuchJson as error:
        message, hint = (
            f"the schedule would be saved as JSON {error}",
            "split the plan into several",
        )
        raise InvalidInput([Problem("ScheduleTooLarge", message, hint=hint)]) from None
    return text


def load(text: bytes | str, file: str = "") -> Schedule:
    """Read a saved schedule that may come from anywhere.

    Raises InvalidInput with all problems found if it is too large, not JSON, of another
    format version, not as the schema says, contradicts itself, or does not have the digest
    it claims.
    """
    problems: list[Problem] = []
    schedule = _read(_parse(text, file), problems, file)
    if schedule is not None:
        problems = [_problem(code, message, file) for code, message in _contradictions(schedule)]
    if problems or schedule is None:
        raise InvalidInput(problems)
    return schedule


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(_compact(item) for item in value) + "\n]"
    return _compact(value)


def _parse(text: bytes | str, file: str) -> dict[str, Any]:
    """JSON without duplicate keys, NaN and infinity. Raises InvalidInput."""
    try:
        raw = parse_json(text, SCHEDULE, strict=True)
    except TooMuchJson as error:
        hint = "make the schedule again: reboot-runner diff PLAN --out FILE"
        raise InvalidInput(
            [_problem("ScheduleTooLarge", f"the file is JSON {error}", file, hint)]
        ) from None
    except NotJson as error:
        where = Location(file, error.line, error.column) if error.line else Location(file)
        raise InvalidInput([Problem("NotJson", f"not a JSON document: {error}", where)]) from None
    if not isinstance(raw, dict):
        raise InvalidInput([_problem("NotASchedule", "a schedule is a JSON object", file)])
    version = raw.get("format_version")
    if type(version) is not int or version != Schedule.format_version:
        sentence = (
            f"this program reads format_version {Schedule.format_version}, the file says "
            f"{_brief(version)}"
        )
        hint = "make the schedule again: reboot-runner diff PLAN --out FILE"
        raise InvalidInput([_problem("UnknownFormatVersion", sentence, file, hint)])
    return raw


def _read(raw: dict[str, Any], problems: list[Problem], file: str) -> Schedule | None:
    """Read the schedule piece by piece, so that neither a wave's errors nor those of many
    waves fill the memory.

    Adds what the schema would say against it, in sentences that quote nothing; the first ones only.
    """

    def part(kind: Any, value: object, *path: int | str) -> Any:
        if len(problems) > _SHOWN:
            return None
        try:
            return _adapter(kind).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            said = (f"{_path((*path, *item['loc']))}: {item['msg']}" for item in found)
            problems.extend(_problem("InvalidSchedule", words, file) for words in said)
        return None

    lists = {key: value for key in ("waves", "excluded") if isinstance(value := raw.get(key), list)}
    head: Schedule | None = part(Schedule, {**raw, **{key: [] for key in lists}})
    waves = tuple(part(Wave, item, "waves", n) for n, item in enumerate(lists.get("waves", ())))
    excluded = tuple(
        part(ExclusionEntry, item, "excluded", n)
        for n, item in enumerate(lists.get("excluded", ()))
    )
    if len(problems) > _SHOWN:
        problems[_SHOWN:] = [_problem("InvalidSchedule", "and more of this kind", file)]
    return None if head is None or problems else replace(head, waves=waves, excluded=excluded)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _contradictions(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """What no schema can say: waves that do not fit together, and a digest that is not this
    schedule's.
    """
    if [w.number for w in schedule.waves] != list(range(1, len(schedule.waves) + 1)):
        yield "InvalidSchedule", "waves: not numbered from 1 without gaps"
    count = Counter(s.id for w in schedule.waves for s in w.servers)
    if twice := sum(1 for n in count.values() if n > 1):
        yield "InvalidSchedule", f"waves: {twice} servers stand in more than one place"
    names = [g.name for g in schedule.groups]
    places = {name: n for n, name in enumerate(names)}
    order = [places.get(w.group, -1) for w in schedule.waves]
    if len(places) != len(names) or -1 in order or order != sorted(order):
        yield "InvalidSchedule", "waves: their groups are unknown or not in the order of groups"
    elif schedule.worst_case != worst_case(schedule.groups, schedule.waves, schedule.max_failures):
        yield "InvalidSchedule", "worst_case: not what the waves and budgets come to"
    if schedule.inventory_digest != inventory_digest(schedule):
        yield "DigestMismatch", "the inventory_digest does not fit the servers"
    if schedule.digest != schedule_digest(schedule):
        yield (
            "DigestMismatch",
            "the schedule was changed after it was made: its digest does not fit its content",
        )


def _problem(code: str, message: str, file: str, hint: str | None = None) -> Problem:
    return Problem(code, message, Location(file) if file else None, hint)


def _path(loc: tuple[int | str, ...]) -> str:
    """`waves[2].servers[0].id`."""
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
        or "schedule"
    )


def _brief(value: object) -> str:
    return str(value)[:40] if isinstance(value, int | str) else "nothing we know"
