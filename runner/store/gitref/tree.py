"""How the store's rows lie in the ref's tree. Files of text, so that people can read them with
`git show`.

    store.json                              what this is: format, schema, a random id
    flags/halt                              the halt flag, where it is set
    rate/PROJECT.json                       the last minutes' reservations
    runs/RUN/run.json                       the run's row and its lease
    runs/RUN/events/00000001.jsonl          events from that number on, about 64 KiB a file
    runs/RUN/claims/000001.json             the claims of a batch
    archive/202611/RUN.json                 a run that ended a while ago: its row, its claims, and the commit of the
                                            ref's history that has its events

Names of people and of the cloud are percent-encoded in paths.
"""  # noqa: E501

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from runner.inputs.json_text import JOURNAL, WIDE_TEXT, parse_json
from runner.store.gitref.errors import StoreRefused
from runner.store.rows import EventRow

FORMAT = 1
CHUNK = 64 << 10
"""Bytes of a file of events that is still added to."""

STORE = "store.json"
_NUMBERED = re.compile(r"[0-9]{1,12}\.")
_ID = re.compile(r"[!-~]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def name(text: str) -> str:
    """A text as one part of a path: no slash, no control character, no leading dot."""
    quoted = quote(text, safe="", errors="surrogatepass")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted or "%"


def _text(part: str) -> str:
    return "" if part == "%" else unquote(part, errors="replace")


def store_id(found: object) -> str:
    """The id of a store as its file has it. Raises ValueError for what none of ours can be."""
    return _checked(found, _ID)


def commit_id(found: object) -> str:
    """The id of a commit as a file has it: it goes into Git's command lines. Raises
    ValueError for anything else.
    """
    return _checked(found, _COMMIT)


def _checked(found: object, form: re.Pattern[str]) -> str:
    if not isinstance(found, str) or not form.fullmatch(found):
        raise ValueError("an id is none")
    return found


def flag_path(flag: str) -> str:
    return f"flags/{name(flag)}"


def rate_path(project: str) -> str:
    return f"rate/{name(project)}.json"


def run_folder(run: str) -> str:
    return f"runs/{name(run)}"


def run_path(run: str) -> str:
    return f"{run_folder(run)}/run.json"


def events_path(run: str, first: int) -> str:
    return f"{run_folder(run)}/events/{first:08d}.jsonl"


def claims_path(run: str, batch: int) -> str:
    return f"{run_folder(run)}/claims/{batch:06d}.json"


def archive_path(run: str) -> str:
    """Ids begin with year and month: no folder of the archive grows without end."""
    quoted = name(run)
    return f"archive/{quoted[:6]}/{quoted}.json"


@dataclass(frozen=True, slots=True)
class TreePlace:
    """What a path holds: `kind` is store, flag, rate, run, events, claims or archive;
    `number`: first event, batch.
    """

    kind: str
    key: str = ""
    number: int = 0


def place(path: str) -> TreePlace:
    """What is at a path. Raises StoreRefused for one that is not ours."""
    match path.split("/"):
        case ["store.json"]:
            return TreePlace("store")
        case ["flags", flag]:
            return TreePlace("flag", _text(flag))
        case ["rate", file] if file.endswith(".json"):
            return TreePlace("rate", _text(file.removesuffix(".json")))
        case ["runs", run, "run.json"]:
            return TreePlace("run", _text(run))
        case ["runs", run, "events" | "claims" as kind, file] if _NUMBERED.match(file):
            return TreePlace(kind, _text(run), int(file.split(".")[0]))
        case ["archive", _, file] if file.endswith(".json"):
            return TreePlace("archive", _text(file.removesuffix(".json")))
    raise StoreRefused(
        f"the store's ref holds a file that is not one of reboot-runner: {path[:200]!r}",
        hint=(
            "give the store a repository whose ref nobody else writes, or use the newer "
            "reboot-runner that wrote it"
        ),
    )


def document(data: Any) -> bytes:
    """A small file, indented for people."""
    return (json.dumps(data, indent=1) + "\n").encode()


def nested(text: str | None) -> Any:
    """A column that holds JSON, as what it means; what is none stays the text."""
    if text is None:
        return None
    try:
        return parse_json(text, JOURNAL)
    except ValueError:
        return text


def event_rows(data: bytes) -> list[EventRow]:
    """Return lines as rows of `rows.EVENT_COLUMNS`. Data that was edited into something else
    is left to its reader.

    Raises ValueError for what is no line of events, and for a large text that is not ASCII
    as ours are. A line can be large, so its data is copied once.
    """
    if len(data) > WIDE_TEXT and not data.isascii():
        raise ValueError("a file of events is not ASCII")
    found, begin = [], 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        if end > begin:
            found.append(_event_row(data, begin, end))
        begin = end + 1
    return found


def _event_row(data: bytes, begin: int, end: int) -> EventRow:
    mark = data.find(_DATA, begin, min(end, begin + _MOST_HEAD))
    if mark < 0 or data[end - 1 : end] != b"}":
        raise ValueError("a line of events is none")
    facts = parse_json(data[begin:mark] + b"}", JOURNAL)
    text = str(memoryview(data)[mark + len(_DATA) : end - 1], "utf-8", "surrogatepass")
    number, seq, fence = (int(facts[key]) for key in ("format", "seq", "fence"))
    return number, seq, str(facts["at"]), str(facts["type"]), fence, str(facts["previous"]), text


_DATA = b', "data": '
_MOST_HEAD = 10_000
"""Bytes of a line before its data."""

_SHARED = ("project", "cycle")


def claim_groups(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Claims of one run and batch: what they share is said once, the rest by server."""
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        own = [column for column in row if column not in (*_SHARED, "run", "batch", "server")]
        key = tuple(row[column] for column in _SHARED)
        made = {**dict(zip(_SHARED, key, strict=True)), "columns": own, "servers": {}}
        groups.setdefault(key, made)["servers"][row["server"]] = [row[column] for column in own]
    return list(groups.values())


def claim_rows(group: Mapping[str, Any], run: str, batch: int) -> list[dict[str, Any]]:
    """The claims of one of `claim_groups`, as rows."""
    shared = {column: group[column] for column in _SHARED} | {"run": run, "batch": batch}
    return [
        {**shared, "server": server, **dict(zip(group["columns"], values, strict=True))}
        for server, values in group["servers"].items()
    ]


def compact(groups: list[dict[str, Any]]) -> bytes:
    """A file of claims: a line a server."""
    return (json.dumps(groups, separators=(",", ":")).replace('],"', '],\n"') + "\n").encode()
