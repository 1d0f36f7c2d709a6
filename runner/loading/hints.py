"""What people write instead of what the format has, and what they mean by it. Pure.

Used only where a value is wrong. Each function returns a hint, or None where it cannot tell.
"""

from __future__ import annotations

import difflib
import re
from collections import deque
from functools import lru_cache
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel

from runner.loading.nodes import ListNode, Node, Scalar

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPANS = {
    "weekday": "mon-fri",
    "weekdays": "mon-fri",
    "workday": "mon-fri",
    "workdays": "mon-fri",
    "weekend": "sat-sun",
    "weekends": "sat-sun",
    "all": "mon-sun",
    "any": "mon-sun",
    "daily": "mon-sun",
    "everyday": "mon-sun",
    "*": "mon-sun",
}
_LONGEST = 50
"""Longer texts are no misspelled days or zones."""
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_ABBREVIATIONS = {
    **dict.fromkeys(("CET", "CEST", "MET", "MEZ", "MESZ"), "Europe/Berlin"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Helsinki"),
    **dict.fromkeys(("GMT", "BST"), "Europe/London, or UTC"),
    **dict.fromkeys(("EST", "EDT", "EST5EDT", "ET"), "America/New_York"),
    **dict.fromkeys(("CST", "CDT", "CST6CDT", "CT"), "America/Chicago or Asia/Shanghai"),
    **dict.fromkeys(("MST", "MDT", "MST7MDT", "MT"), "America/Denver"),
    **dict.fromkeys(("PST", "PDT", "PST8PDT", "PT"), "America/Los_Angeles"),
    **dict.fromkeys(("IST",), "Asia/Kolkata"),
    **dict.fromkeys(("JST",), "Asia/Tokyo"),
    **dict.fromkeys(("SGT",), "Asia/Singapore"),
    **dict.fromkeys(("HKT",), "Asia/Hong_Kong"),
    **dict.fromkeys(("MSK",), "Europe/Moscow"),
    **dict.fromkeys(("Z", "ZULU", "UCT", "GMT0"), "UTC"),
}
_OFFSET = re.compile(r"(?i)(?:utc|gmt|z)?\s*[+-]\s*\d{1,2}(?::?\d{2})?")


def day_hint(written: str) -> str | None:
    """Return `write mon, tue, wed` for a span of days or the name of one."""
    if len(written) > _LONGEST:
        return None
    text = _SPANS.get(written.strip().lower(), written.strip().lower())
    first, *others = (_day(part) for part in re.split(r"\s*(?:-|–|—|\.\.|\bto\b)\s*", text))
    if first is None or None in others or len(others) > 1:
        return None
    if not others:
        return f"write {first}"
    start, end = _DAYS.index(first), _DAYS.index(others[0] or first)
    days = [_DAYS[(start + n) % 7] for n in range((end - start) % 7 + 1)]
    return f"write each day: days: [{', '.join(days)}]"


def _day(word: str) -> str | None:
    full = word.removesuffix("s") if word.endswith("days") else word
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return next((n[:3] for n in names if len(full) >= 2 and n.startswith(full)), None)


def zone_hint(written: str) -> tuple[str, str] | None:
    """Return what is wrong with a time zone, and what to write instead: for abbreviations,
    offsets, cities, typos.
    """
    if len(written) > _LONGEST:
        return None
    name = written.strip()
    if name.upper() in _ABBREVIATIONS:
        said = f"{name.upper()} is a fixed abbreviation, which does not follow summer time"
        return said, f"write the zone of a place, for example {_ABBREVIATIONS[name.upper()]}"
    if _OFFSET.fullmatch(name):
        return (
            "an offset does not follow summer time",
            "write the zone of a place, for example Europe/Berlin, or UTC",
        )
    found = _zones_like(name)
    return (
        None
        if not found
        else (f"there is no time zone {name[:60]}", f"did you mean {' or '.join(found[:3])}?")
    )


def _zones_like(name: str) -> tuple[str, ...]:
    """IANA zones of this name in another case, of a city of this name, or nearly so."""
    wanted = re.sub(r"\s+", "_", name).lower()
    zones = _zones()
    exact = [z for z in zones if z.lower() == wanted] or [
        z for z in zones if z.lower().rpartition("/")[2] == wanted
    ]
    if exact:
        return tuple(exact)
    by_lower = {z.lower(): z for z in zones} | {z.lower().rpartition("/")[2]: z for z in zones}
    near = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.75)
    return tuple(by_lower[word] for word in near)


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(sorted(z for z in available_timezones() if "/" in z and not z.startswith("Etc/")))


def selector_hint(name: str, node: Node) -> str | None:
    """Return how to write a selector that is a text or a list: all, ids or names."""
    if isinstance(node, ListNode):
        words = [n.raw for n in node.items if isinstance(n, Scalar)]
        if not words or len(words) < len(node.items):
            return None
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        words = [node.value]
    else:
        return None
    if words in (["all"], ["*"], ["ALL"], ["any"]):
        return f"write {name}: {{all: true}}"
    key = "ids" if all(map(_UUID.fullmatch, words)) else "names"
    shown = ", ".join(f'"{w[:60]}"' for w in words[:3]) + (", …" if len(words) > 3 else "")
    return f"write {name}: {{{key}: [{shown}]}}"


def space_hint(text: str) -> str | None:
    """Return a hint for `key:value`, which YAML reads as a text."""
    found = re.match(r"([A-Za-z_][\w-]*):(?=[^\s/])", text)
    return f'a space is missing after "{found[1]}:"' if found else None


def elsewhere_hint(key: str, model: type[BaseModel], here: tuple[str, ...]) -> str | None:
    """Return where in the format a key belongs that is none where it stands (`here`: the
    keys that lead there).
    """
    waiting: deque[tuple[type[BaseModel], tuple[str, ...]]] = deque([(model, ())])
    while waiting:
        current, path = waiting.popleft()
        if len(path) > 3:
            continue
        for name, field in current.model_fields.items():
            word = field.alias or name
            if word == key and path != here:
                return _belongs(key, path, here)
            waiting.extend((inner, (*path, word)) for inner in models_in(field.annotation))
    return None


def _belongs(key: str, path: tuple[str, ...], here: tuple[str, ...]) -> str:
    if not path:
        return f'"{key}" belongs at the top level of the file: it holds for all groups'
    if path == ("groups",):
        return f'"{key}" belongs in a group: groups: [{{name: …, {key}: …}}]'
    within = path[len(here) :] if path[: len(here)] == here else path
    return f'"{key}" belongs in {".".join(within)}'


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]
