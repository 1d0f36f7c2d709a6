"""The report as JUnit XML, which CI systems show: a suite a wave, a case a server."""

from __future__ import annotations

import xml.etree.ElementTree as Xml

from runner.model.run import Phase
from runner.report.folding import named
from runner.report.reasons import sentence
from runner.report.run_report import ExcludedPart, RunReport, ServerPart, WavePart
from runner.report.run_words import STORE_BEGUN, shown
from runner.report.safe import markup_text, plain


def report_junit(report: RunReport) -> str:
    """An XML document. `failed` is a failure, `unknown` an error; what was skipped or not
    started is skipped.

    Times are seconds; a case's is how long its server was out.
    """
    root = Xml.Element(
        "testsuites", name=f"reboot-runner {report.plan.name}", time=_s(report.duration_s)
    )
    by_wave: dict[int, list[ServerPart]] = {}
    for server in report.servers:
        by_wave.setdefault(server.wave, []).append(server)
    for wave in report.waves:
        root.append(_suite(report, wave, by_wave.get(wave.number, [])))
    if report.not_scheduled:
        root.append(_not_scheduled(report))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    for element in root.iter():
        element.attrib.update({name: plain(value, 1000) for name, value in element.items()})
        element.text = plain(element.text, 2500) if element.text else None
    Xml.indent(root, " ")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + markup_text(Xml.tostring(root, encoding="unicode"))
        + "\n"
    )


def _suite(report: RunReport, wave: WavePart, servers: list[ServerPart]) -> Xml.Element:
    counts = wave.counts
    suite = Xml.Element(
        "testsuite",
        name=f"wave {wave.number} {wave.group}",
        tests=str(counts.scheduled),
        failures=str(counts.failed),
        errors=str(counts.unknown),
        skipped=str(counts.scheduled - counts.ready - counts.failed - counts.unknown),
        time=_s(wave.duration_s or 0.0),
    )
    if wave.started:
        suite.set("timestamp", wave.started.replace(tzinfo=None).isoformat(timespec="seconds"))
    properties = Xml.SubElement(suite, "properties")
    said = {"run": report.run, "cycle": report.cycle, "schedule": report.schedule_digest}
    if report.store_begun:
        said["store"] = STORE_BEGUN
    for name, value in said.items():
        Xml.SubElement(properties, "property", name=name, value=value)
    for server in servers:
        suite.append(_case(report, server))
    return suite


def _not_scheduled(report: RunReport) -> Xml.Element:
    """A suite of the servers that the plan means and no wave holds: each is skipped."""
    found = report.not_scheduled
    numbers = {"tests": str(len(found)), "failures": "0", "errors": "0", "skipped": str(len(found))}
    suite = Xml.Element("testsuite", {"name": "not scheduled", **numbers, "time": _s(None)})
    for server in found:
        case = _bare_case(report, server, None)
        Xml.SubElement(case, "skipped", message=_message(server))
        suite.append(case)
    return suite


def _bare_case(
    report: RunReport, server: ServerPart | ExcludedPart, seconds: float | None
) -> Xml.Element:
    place = f"{report.plan.name}.{server.group}"
    return Xml.Element("testcase", name=named(server), classname=place, time=_s(seconds))


def _message(server: ServerPart | ExcludedPart) -> str:
    return f"{server.reason}: {server.detail or sentence(server.reason)}"


def _case(report: RunReport, server: ServerPart) -> Xml.Element:
    case = _bare_case(report, server, server.out_s)
    kinds = {
        "failed": "failure",
        "unknown": "error",
        "skipped": "skipped",
        "not_started": "skipped",
    }
    if server.phase is not Phase.ENDED:
        Xml.SubElement(case, "skipped", message=f"{shown(server.outcome)}: no outcome yet")
    elif server.outcome in kinds:
        found = Xml.SubElement(case, kinds[server.outcome], message=_message(server))
        if server.outcome in ("failed", "unknown"):
            found.set("type", server.reason)
            facts = {  # what support will ask for
                "what it means": sentence(server.reason),
                "evidence": server.evidence.value,
                "attempts": str(server.attempts),
                "job": server.job_id,
                "request": server.request_id,
                "intended": server.times.intended.isoformat() if server.times.intended else None,
            }
            found.text = "; ".join(f"{name}: {value}" for name, value in facts.items() if value)
    return case


def _s(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"
