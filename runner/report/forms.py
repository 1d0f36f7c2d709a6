"""The forms of a report."""

from __future__ import annotations

from runner.report.run_report import RunReport

FORMS = ("text", "json", "markdown", "html", "junit", "csv")


def rendered(report: RunReport, form: str, limit: int | None = None) -> str:
    """The report in one of FORMS. Only the module of that form is imported."""
    if form == "json":
        from runner.report.run_json import report_json

        return report_json(report)
    if form == "markdown":
        from runner.report.run_markdown import SUMMARY_LIMIT, report_markdown

        return report_markdown(report, limit or SUMMARY_LIMIT)
    if form == "html":
        from runner.report.run_html import report_html

        return report_html(report)
    if form == "junit":
        from runner.report.run_junit import report_junit

        return report_junit(report)
    if form == "csv":
        from runner.report.run_csv import report_csv

        return report_csv(report)
    from runner.report.run_text import report_text

    return report_text(report)
