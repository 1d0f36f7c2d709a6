"""The report as CSV: a line a server, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import datetime

from runner.report.run_report import RunReport
from runner.report.safe import plain, spreadsheet

COLUMNS = (
    *("wave", "group", "id", "name", "zone", "outcome", "reason", "detail", "evidence", "attempts"),
    *("batch", "job_id", "request_id", "intended", "accepted", "job_began", "job_ended"),
    *("up_since", "healthy_since", "ended", "reboot_s", "out_s"),
)
"""The first is a number, so that no line begins with somebody else's text."""


def report_csv(report: RunReport) -> str:
    """A heading, every scheduled server in the order of the waves, and those not scheduled,
    without a wave.

    Commas, lines ended by LF. Every text is in double quotes, and what a spreadsheet could
    take for a formula has an apostrophe before it (OWASP, "CSV Injection"); numbers have no
    quotes.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for server in report.servers:
        found = asdict(server) | asdict(server.times)
        writer.writerow([_cell(found[name]) for name in COLUMNS])
    for left in report.not_scheduled:
        row = (
            "",
            left.group,
            left.id,
            left.name,
            left.zone,
            "not_scheduled",
            left.reason,
            left.detail,
        )
        writer.writerow([_cell(value) for value in (*row, *[None] * (len(COLUMNS) - len(row)))])
    return out.getvalue()


def _cell(value: object) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        return value
    return spreadsheet(plain(value, 1000).replace("##[", "## ["))
