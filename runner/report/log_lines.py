"""A line that may end in a CI log: nothing in it is taken for a command."""

from __future__ import annotations

import json
from typing import Any

from runner.report.safe import line_start

_LEGACY = "##["


def log_line(text: str) -> str:
    """A whole line that a CI runner cannot take for a command.

    GitHub's runner reads `::` at the start of a line, and the older form `##[` anywhere in it (actions/runner,
    `ActionCommand.TryParse`: `message.IndexOf("##[")`); the latter is broken up by a visible space.
    """
    return line_start(text.replace(_LEGACY, "## ["))


def json_text(value: object, **form: Any) -> str:
    """JSON in plain ASCII for the same purpose: the last bracket of `##[` is an escape. `form`: as of `json.dumps`."""
    return json.dumps(value, ensure_ascii=True, **form).replace(_LEGACY, "##\\u005b")


def markup_text(text: str) -> str:
    """Finished HTML or XML for the same purpose: `##[` is written as an entity, which reads the same."""
    return text.replace(_LEGACY, "&#35;#[")
