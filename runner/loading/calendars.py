"""Freezes from iCalendar files: read with suspicion, and reduced to what closes.

The rule: what is not understood is an error with its line, what has no effect is a warning,
and neither looks like "nothing to hold back". Where programs read a calendar differently,
the reading that closes longer holds. Only lines about times are looked at; messages name a
line and quote nothing of it. docs/windows.md states the rules for users.
"""

from __future__ import annotations

import hashlib

from runner.loading.calendar_events import IcsCalendar
from runner.loading.calendar_lines import BadCalendar, content_lines
from runner.loading.calendar_reader import CalendarReader, ReadingBudget
from runner.loading.files import FileReader
from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar
from runner.loading.source import Unreadable
from runner.model.plan import FreezeFile

MAX_CALENDAR_BYTES = 1 << 20


def freezes_of(tree: MapNode, files: FileReader, findings: Findings) -> tuple[FreezeFile, ...]:
    """Return the calendars that a plan names under `freeze`. What is wrong with one is
    noted at its name.
    """
    node = tree.get("freeze")
    names: tuple[Node, ...] = (
        node.items if isinstance(node, ListNode) else (node,) if node is not None else ()
    )
    read, spent = [], ReadingBudget()
    for name in names:
        if (
            not isinstance(name, Scalar)
            or name.broken
            or not isinstance(name.value, str)
            or not name.value
        ):
            continue  # the model says what is wrong with it
        try:
            data = files(name.value)
            calendar = read_calendar(data, spent)
        except Unreadable as error:
            findings.add(
                error.code, f"freeze: the file {error.message}", name.span, hint=error.hint
            )
            continue
        except BadCalendar as error:
            where = name.value if error.line is None else f"{name.value}:{error.line}"
            findings.add(
                "BadCalendar", f"freeze: {where}: {error.what}", name.span, hint=error.hint
            )
            continue
        for note in calendar.notes:
            more = f" ({note.count - 1:,} more like it)" if note.count > 1 else ""
            message = f"freeze: {name.value}:{note.line}: {note.what}{more}"
            findings.add(
                "FreezeWithoutEffect", message, name.span, hint=note.hint, severity="warning"
            )
        read.append(FreezeFile(name.value, "sha256:" + hashlib.sha256(data).hexdigest(), calendar))
    return tuple(read)


def read_calendar(data: bytes, spent: ReadingBudget | None = None) -> IcsCalendar:
    """Return the calendar in the bytes of a file. Raises BadCalendar, in bounded time and memory.

    `spent`: what other calendars of the plan have used up of the limits.
    """
    if len(data) > MAX_CALENDAR_BYTES:
        raise BadCalendar(None, f"the file is larger than {MAX_CALENDAR_BYTES >> 20} MiB")
    reader = CalendarReader(spent=spent or ReadingBudget())
    for line in content_lines(data):
        reader.take(line)
    return reader.calendar()
