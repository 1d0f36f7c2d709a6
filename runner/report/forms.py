"""The forms of a report."""

from __future__ import annotations

from collections.abc import Callable

from runner.report.run_csv import report_csv
from runner.report.run_html import report_html
from runner.report.run_json import report_json
from runner.report.run_junit import report_junit
from runner.report.run_report import RunReport
from runner.report.run_sections import SUMMARY_LIMIT, report_markdown
from runner.report.run_text import report_text

FORMS: dict[str, Callable[[RunReport], str]] = {
    "text": report_text,
    "json": report_json,
    "markdown": lambda report: report_markdown(report, SUMMARY_LIMIT),
    "html": report_html,
    "junit": report_junit,
    "csv": report_csv,
}


def rendered(report: RunReport, form: str, limit: int | None = None) -> str:
    """Return the report in one of FORMS. `limit`: bytes of Markdown."""
    return report_markdown(report, limit) if form == "markdown" and limit else FORMS[form](report)
