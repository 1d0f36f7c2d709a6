"""Plans with readiness checks as people run them: against real servers on loopback, and
where there are none.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from runner.simulator.fleet import FleetOptions
from runner.simulator.inventory import load_fleet
from tests.cli.lab import Lab, remote

PLAN = """\
version: 1
name: web
limits: {percent: 100}
groups:
  - name: web
    servers: {all: true}
    waves: [1, 100%%]
    ready:
      timeout: %s
      checks: [{http: {scheme: http, port: %d, path: /health, host: app.example.com, body: ok}}]
"""


class Health(BaseHTTPRequestHandler):
    """Answers `ok` to whoever asks for app.example.com."""

    def do_GET(self) -> None:
        body = b"ok" if self.headers["Host"] == "app.example.com" else b"who?"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Silent."""


@contextmanager
def healthy() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_checks_over_the_network(lab: Lab, tmp_path: Path) -> None:
    """The report of a run with checks gives `check` as its evidence; the plan's checks
    stand in the saved schedule.
    """
    inventory = tmp_path / "servers.json"
    inventory.write_text(
        json.dumps([{"name": f"web-{n}", "address": "127.0.0.1"} for n in range(3)])
    )
    with (
        healthy() as port,
        remote(lab, fleet=load_fleet(inventory, FleetOptions(reboot_seconds=0.1))),
    ):
        lab.write("web.yaml", PLAN % ("1m", port))
        saved = lab.run("diff", "web.yaml", "--out", "schedule.json")
        assert saved.code == 0, saved.err
        (check,) = json.loads((lab.folder / "schedule.json").read_text())["groups"][0]["checks"]
        assert (check["kind"], check["port"], check["host"]) == ("http", port, "app.example.com")
        done = lab.run("run", "schedule.json", "--yes")
        assert done.code == 0, done.err
        report = json.loads(lab.run("report", "web", "-o", "json").out)
        assert {s["evidence"] for s in report["servers"]} == {"check"}
        assert all(s["times"]["healthy_since"] for s in report["servers"])


def test_simulated_servers_without_an_address_here(lab: Lab) -> None:
    """On simulated servers with made-up addresses no check passes, nobody else's machine is
    asked, one goes down.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lab.write("web.yaml", PLAN % ("5m", listener.getsockname()[1]))
        done = lab.run("run", "web.yaml")
    assert done.code == 5, done.err
    assert "CheckFailed" in done.out
    assert "only addresses of this machine are asked" in done.out
    report = json.loads(lab.run("report", "web", "-o", "json").out)
    assert report["counts"]["failed"] == 1
    assert report["counts"]["not_started"] == 19
