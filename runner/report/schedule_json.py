"""The saved schedule: canonical JSON that people review and `run` executes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from runner.errors import InvalidInput
from runner.inputs.json_text import SCHEDULE, NotJson, TooMuchJson, check_json, parse_json
from runner.model.problem import Location, Problem
from runner.model.schedule import Schedule
from runner.planning.digest import FORMAT_VERSION, inventory_digest, schedule_digest
from runner.planning.document import document, from_document
from runner.planning.worst_case import worst_case
from runner.report.schedule_schema import (
    ExcludedServersPart,
    ExclusionPart,
    ExclusionsPart,
    ScheduleDocument,
    ServersPart,
    WavePart,
)

__all__ = ["document", "dump", "from_document", "load"]

_AT_ONCE = 1_000
_SHOWN = 20
"""So many problems of one file are told; a file that is wrong everywhere is wrong in the same way."""


def dump(schedule: Schedule) -> str:
    """Return the schedule as text: keys sorted, a wave and an exclusion a line, ASCII; equal input, equal bytes.

    Raises InvalidInput for one so large that `load` would refuse it.
    """
    lines = [f"{_compact(key)}:{_value(value)}" for key, value in sorted(document(schedule).items())]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    try:
        check_json(text, SCHEDULE)
    except TooMuchJson as error:
        message, hint = f"the schedule would be saved as JSON {error}", "split the plan into several"
        raise InvalidInput([Problem("ScheduleTooLarge", message, hint=hint)]) from None
    return text


def load(text: bytes | str, file: str = "") -> Schedule:
    """Read a saved schedule that may come from anywhere.

    Raises InvalidInput with all problems found if it is too large, not JSON, of another format version, not as the
    schema says, contradicts itself, or does not have the digest it claims.
    """
    raw = _parse(text, file)
    problems = list(islice(_shape(raw, file), _SHOWN + 1))
    if len(problems) > _SHOWN:
        problems[_SHOWN] = _problem("InvalidSchedule", "and more of this kind", file)
    if problems:
        raise InvalidInput(problems)
    schedule = from_document(raw)
    problems = [_problem(code, message, file) for code, message in _contradictions(schedule)]
    if raw["inventory_digest"] != inventory_digest(schedule):
        problems.append(_problem("DigestMismatch", "the inventory_digest does not fit the servers", file))
    if problems:
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
        raise InvalidInput([_problem("ScheduleTooLarge", f"the file is JSON {error}", file, hint)]) from None
    except NotJson as error:
        where = Location(file, error.line, error.column) if error.line else Location(file)
        raise InvalidInput([Problem("NotJson", f"not a JSON document: {error}", where)]) from None
    if not isinstance(raw, dict):
        raise InvalidInput([_problem("NotASchedule", "a schedule is a JSON object", file)])
    version = raw.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        sentence = f"this program reads format_version {FORMAT_VERSION}, the file says {_brief(version)}"
        hint = "make the schedule again: reboot-runner diff PLAN --out FILE"
        raise InvalidInput([_problem("UnknownFormatVersion", sentence, file, hint)])
    return raw


def _shape(raw: dict[str, Any], file: str) -> Iterator[Problem]:
    """What the schema would say against it, in sentences that quote nothing; the first ones only.

    The long lists are checked piece by piece, so that neither many errors nor many valid items are held at once.
    """

    def check(part: type[BaseModel], value: object, *path: int | str, first: int = 0) -> Iterator[Problem]:
        try:
            part.model_validate(value)
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False, include_input=False):
                loc = item["loc"]
                if first and loc[0] == "servers":
                    loc = ("servers", first + int(loc[1]), *loc[2:])
                yield _problem("InvalidSchedule", f"{_path((*path, *loc))}: {item['msg']}", file)

    lists = {key: value for key in ("waves", "excluded") if isinstance(value := raw.get(key), list)}
    yield from check(ScheduleDocument, {**raw, **{key: [] for key in lists}})
    for number, wave in enumerate(lists.get("waves", ())):
        head, rest = _cut(wave)
        yield from check(WavePart, head, "waves", number)
        for first, servers in rest:
            yield from check(ServersPart, servers, "waves", number, first=first)
    for number, excluded in enumerate(lists.get("excluded", ())):
        head, rest = _cut(excluded)
        is_of_several = isinstance(head, dict) and "servers" in head
        yield from check(ExclusionsPart if is_of_several else ExclusionPart, head, "excluded", number)
        for first, servers in rest:
            yield from check(ExcludedServersPart, servers, "excluded", number, first=first)


def _cut(item: Any) -> tuple[Any, Iterator[tuple[int, dict[str, Any]]]]:
    """Return an item with its first 1,000 servers, and the other servers in pieces, each after its first index."""
    servers = item.get("servers") if isinstance(item, dict) else None
    if not isinstance(servers, list):
        return item, iter(())
    starts = range(_AT_ONCE, len(servers), _AT_ONCE)
    rest = ((first, {"servers": servers[first : first + _AT_ONCE]}) for first in starts)
    return item | {"servers": servers[:_AT_ONCE]}, rest


def _contradictions(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """What no schema can say: waves that do not fit together, and a digest that is not this schedule's."""
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
    if schedule.digest != schedule_digest(schedule):
        yield "DigestMismatch", "the schedule was changed after it was made: its digest does not fit its content"


def _problem(code: str, message: str, file: str, hint: str | None = None) -> Problem:
    return Problem(code, message, Location(file) if file else None, hint)


def _path(loc: tuple[int | str, ...]) -> str:
    """`waves[2].servers[0].id`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".") or "schedule"


def _brief(value: object) -> str:
    return str(value)[:40] if isinstance(value, int | str) else "nothing we know"
