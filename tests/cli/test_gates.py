"""Gates on the command line: what `diff` and `status` show, what `run` and `resume` do,
where tokens go.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.report.schedule_json import load
from tests.cli.lab import PLAN, Lab, Remote
from tests.cloud.wild import free_port

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
ERRORS = "{name: errors, prometheus: {source: main, query: errors, max: 5}}"
TOKEN = "s3cret-of-prometheus"


@dataclass
class Metrics:
    """A Prometheus with one number, which is what it is set to; `asked`: the headers of
    each question.
    """

    url: str = ""
    value: float = 1.0
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Metrics]:
    metrics = Metrics()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            metrics.asked.append({k.lower(): v for k, v in self.headers.items()})
            sample = {
                "metric": {"__name__": "errors", "pod": "::error::x"},
                "value": [time.time(), str(metrics.value)],
            }
            body = json.dumps(
                {"status": "success", "data": {"resultType": "vector", "result": [sample]}}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        metrics.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield metrics
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    with serving() as one:
        yield one


def gated(lab: Lab, metrics: Metrics, gates: str, more: str = "", **source: str) -> None:
    """A plan with gates, and a configuration with the source `main` beside what it has."""
    made = json.loads((lab.folder / "reboot-runner.yaml").read_text())
    made["sources"] = {"main": {"prometheus": metrics.url, **source}}
    lab.configure(**made)
    lab.write("web.yaml", PLAN.replace("groups:", f"gates: [{gates}]\n{more}groups:"))


def fits(name: str, text: str) -> Any:
    made = json.loads(text)
    jsonschema.validate(made, json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
    return made


def test_diff_shows_each_gate_and_its_answer_now(lab: Lab, metrics: Metrics) -> None:
    """Open, closed and dry run, as text, Markdown and JSON; what a source says is harmless
    for the channel.
    """
    gated(
        lab,
        metrics,
        f"{ERRORS}, {{dry_run: true, prometheus: {{source: main, query: errors, min: 2}}}}",
    )
    done = lab.run("diff", "web.yaml")
    assert done.code == 0, done.err
    assert ": a wave could begin)" in done.out
    assert "errors: prometheus main: errors is at most 5 – now open (1)" in done.out
    assert "(dry run) – now closed: errors{pod=" in done.out
    assert "\n::error::" not in done.out
    metrics.value = 9
    assert "no wave could begin" in lab.run("diff", "web.yaml", "-o", "markdown").out
    (plan,) = fits("diff", lab.run("diff", "web.yaml", "-o", "json").out)["plans"]
    assert [(g["gate"], g["dry_run"], g["state"]) for g in plan["gates"]] == [
        ("errors", False, "closed"),
        ("prometheus main", True, "open"),
    ]
    assert [g["max"] for g in plan["schedule"]["gates"]] == [5.0, None]


def test_a_source_that_is_dead_does_not_break_the_dry_run(lab: Lab, metrics: Metrics) -> None:
    """The dry-run says that the gate cannot tell, and is a dry-run like any other: saved,
    with its exit code.
    """
    gated(lab, Metrics(f"http://127.0.0.1:{free_port()}"), ERRORS)
    done = lab.run("diff", "web.yaml", "--out", "saved.json", "--detailed-exitcode")
    assert done.code == 2, done.err
    assert "now cannot tell: 127.0.0.1:" in done.out
    assert "no wave could begin" in done.out
    saved = (lab.folder / "saved.json").read_text()
    fits("schedule", saved)
    assert load(saved).gates[0].query == "errors"


@pytest.mark.parametrize("cloud", ["huaweicloud", "otc"], indirect=True)
def test_a_closed_gate_suspends_and_an_open_one_goes_on(cloud: Remote, metrics: Metrics) -> None:
    """Exit 75 and no request while it is closed; status says why and until when; `resume`
    goes on; reports have it.
    """
    lab = cloud.lab
    gated(lab, metrics, f"{ERRORS}, {{alarms: none, dry_run: true}}")
    metrics.value = 9
    done = lab.run("run", "web.yaml", "--yes", "--no-wait")
    assert done.code == 75, done.err
    assert "gates: errors is closed (errors{pod=" in done.out
    assert cloud.posts == 0
    state = fits("status", lab.run("status", "web", "-o", "json").out)
    assert state["waits_for"].startswith("gates: errors is closed")
    assert state["until"]
    assert "waits for gates: errors is closed" in lab.run("status", "web").out
    metrics.value = 2
    done = lab.run("resume", "web")
    assert done.code == 0, done.err
    assert set(cloud.reboots.values()) == {1}
    report = fits("report", lab.run("report", "web", "-o", "json").out)
    told = [(g["wave"], g["gate"], g["state"]) for g in report["gates"]]
    assert told[:4] == [
        (1, "errors", "closed"),
        (1, "alarms", "open"),
        (1, "errors", "open"),
        (1, "alarms", "open"),
    ]
    assert {wave for wave, _, _ in told} == {1, 2, 3}
    assert "gate errors: open (2) before wave 3; not open in 1 of 4 answers" in done.out
    assert "is 9, at most 5 is wanted" in lab.run("report", "web", "-o", "html").out
    markdown = lab.run("report", "web", "-o", "markdown").out
    assert "8 answers of gates, 1 not open" in markdown
    assert "::error::" not in markdown


def test_a_gate_that_stays_closed_stops_the_run(lab: Lab, metrics: Metrics) -> None:
    """After `wait_at_most`: exit 5, the reason in the report, nobody rebooted."""
    gated(lab, metrics, ERRORS, "wait_at_most: 20m\n")
    metrics.value = 9
    done = lab.run("run", "web.yaml")
    assert done.code == 5, done.err
    assert "GateClosed: before wave 1: errors is closed" in done.out
    assert 3 < len(metrics.asked) < 60
    report = fits("report", lab.run("report", "web", "-o", "json").out)
    assert report["counts"]["not_started"] == 10
    assert len(report["gates"]) == 1


def test_a_source_that_nobody_configured(lab: Lab, metrics: Metrics) -> None:
    """`validate`, `diff` and `run` refuse the plan at its place; without a configuration
    `validate` only warns.
    """
    gated(lab, metrics, ERRORS.replace("main", "mian"))
    for command in ("validate", "diff", "run"):
        done = lab.run(command, "web.yaml")
        assert done.code == 3, done.err
        assert (
            'web.yaml:4:45: error[UnknownSource]: the configuration has no prometheus source "mian"'
            in (done.out + done.err)
        )
    assert metrics.asked == []
    lab.write("web.yaml", PLAN.replace("groups:", "gates: [{http: {source: main}}]\ngroups:"))
    assert "no http source" in lab.run("validate", "web.yaml").out
    (lab.folder / "reboot-runner.yaml").unlink()
    done = lab.run("validate", "web.yaml")
    assert (done.code, "warning[UnknownSource]" in done.out) == (0, True)


def test_a_token_comes_from_the_environment_and_goes_to_its_source_only(
    lab: Lab, metrics: Metrics
) -> None:
    """It is sent as bearer token, and is in no output, journal or report; without it nobody
    can tell.
    """
    gated(lab, metrics, ERRORS, token_env="PROM_TOKEN")
    metrics.value = 9
    done = lab.run("-v", "run", "web.yaml", "--no-wait", env={"PROM_TOKEN": TOKEN})
    assert done.code == 75, done.err
    assert {h["authorization"] for h in metrics.asked} == {f"Bearer {TOKEN}"}
    assert "GET" in done.err
    assert "/api/v1/query?" in done.err
    shown = lab.run("report", "web", "-o", "json").out + lab.run("status", "web").out
    assert TOKEN not in done.out + done.err + shown + lab.dump()
    done = lab.run("diff", "web.yaml")
    assert "now cannot tell: the environment variable PROM_TOKEN is not set" in done.out
    done = lab.run("diff", "web.yaml", env={"PROM_TOKEN": "two\nlines"})
    assert "now cannot tell: the environment variable PROM_TOKEN holds no token" in done.out


def test_an_override_of_windows_opens_no_gate(cloud: Remote, metrics: Metrics) -> None:
    """`--override-window` begins waves outside windows; gates are asked all the same."""
    lab = cloud.lab
    shut = 'windows: [{days: mon, start: "00:00", length: 1s, timezone: UTC}]\n'
    gated(lab, metrics, ERRORS, shut)
    metrics.value = 9
    argv = ("--override-window", "--reason", "urgent", "--no-wait")
    done = lab.run("run", "web.yaml", "--yes", *argv)
    assert done.code == 75, done.err
    assert "gates: errors is closed" in done.out
    assert cloud.posts == 0
    metrics.value = 1
    assert lab.run("resume", "web", *argv).code == 0
    report = fits("report", lab.run("report", "web", "-o", "json").out)
    assert [d["kind"] for d in report["decisions"]] == ["override"] * 3
