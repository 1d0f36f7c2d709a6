"""The report as JSON: the truth from which all other renderings could be made again."""

from __future__ import annotations

import json

from runner.model.shape import json_values
from runner.report.run_report import RunReport


def report_json(made: RunReport) -> str:
    """The document as text: keys sorted, ASCII only, equal journals equal bytes; ends with a
    line break.

    In a CI log no line of it is taken for a command: each begins with a quote or a bracket,
    and `##[`, which GitHub's runner reads anywhere in a line, is written with an escape
    that means the same.
    """
    text = json.dumps(
        json_values(made), sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False
    )
    return text.replace("##[", "\\u0023#[") + "\n"
