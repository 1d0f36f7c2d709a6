"""Serving: in the running loop, in a thread, embedded, and as a command."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from runner.cli.simulator import command
from runner.errors import InvalidInput, UsageProblem
from runner.model.config import SimulatorOptions
from runner.simulator.fleet import FleetOptions
from runner.simulator.scenario import ScenarioInvalid
from runner.simulator.server import options_for, serve, serve_embedded, serve_in_thread
from runner.simulator.state import CloudOptions

from .bench import http, token_request


def test_in_the_running_loop() -> None:
    """Client and cloud share one event loop; when the block ends the port is free again."""

    async def main() -> int:
        async with serve(CloudOptions(fleet=FleetOptions(servers=1))) as running:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - loopback
                answers = await asyncio.gather(
                    *(client.get(running.url + "/v3/projects") for _ in range(20))
                )
            assert {a.status_code for a in answers} == {401}
            return int(running.url.rpartition(":")[2])

    port = asyncio.run(main())
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))


def test_only_on_loopback() -> None:
    """The server listens on 127.0.0.1 and nowhere else."""
    with serve_in_thread() as running:
        assert running.url.startswith("http://127.0.0.1:")
        port = int(running.url.rpartition(":")[2])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))


def test_port_that_is_taken() -> None:
    """A taken port is an error of the caller's thread."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), serve_in_thread(port=port):
            pass
        with pytest.raises(UsageProblem, match="cannot listen"):
            CliRunner().invoke(command, ["--port", str(port)], catch_exceptions=False)


def test_embedded_goes_on_from_its_file(tmp_path: Path) -> None:
    """The embedded cloud answers at a url, its clock runs at its scale, and a second start
    finds the first's job.
    """
    options = options_for(SimulatorOptions(servers=3, seed=5, time_scale=1000.0), "eu-de")
    jobs: list[str] = []
    for _ in range(2):
        with serve_embedded(options, tmp_path / "cloud.db") as cloud:
            assert cloud.state.credentials.sk not in repr(cloud)
            login = token_request("eu-de")
            login["auth"]["identity"]["password"]["user"] |= {
                "name": cloud.state.credentials.user,
                "password": cloud.state.credentials.password,
                "domain": {"name": cloud.state.credentials.domain},
            }
            answer = http().post(cloud.url + "/v3/auth/tokens", json=login)
            headers = {"X-Auth-Token": answer.headers["x-subject-token"]}
            base = f"{cloud.url}/v1/{cloud.project_id}"
            if not jobs:
                ids = [{"id": s.id} for s in cloud.state.fleet.servers]
                body = {"reboot": {"type": "SOFT", "servers": ids}}
                sent = http().post(f"{base}/cloudservers/action", json=body, headers=headers)
                jobs.append(sent.json()["job_id"])
                before = cloud.state.clock.now()
                asyncio.run(cloud.state.clock.sleep(120))
                assert (cloud.state.clock.now() - before).total_seconds() >= 110
            assert (
                http().get(f"{base}/jobs/{jobs[0]}", headers=headers).json()["status"] == "SUCCESS"
            )
            assert set(cloud.state.reboot_counts().values()) == {1}


def test_embedded_scenario(tmp_path: Path) -> None:
    """A target's scenario file becomes its switches and rules; a wrong one is refused."""
    path = tmp_path / "scenario.yaml"
    path.write_text("switches: {gone_job: '404'}\nrules: [{do: throttle, on: reboot}]\n")
    options = options_for(SimulatorOptions(), "eu-de", path)
    assert options.switches.gone_job == "404"
    assert len(options.rules) == 1
    path.write_text("rules: {}")
    with pytest.raises(ScenarioInvalid):
        options_for(SimulatorOptions(), "eu-de", path)


def test_command_refuses_wrong_files(tmp_path: Path) -> None:
    """The command ends with the file's findings, or says that the state file is no such file."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules: [{do: fly}, {do: throttle}]")
    with pytest.raises(InvalidInput) as invalid:
        CliRunner().invoke(command, ["--scenario", str(wrong)], catch_exceptions=False)
    assert [p.code for p in invalid.value.problems] == ["ScenarioInvalid"] * 2
    with pytest.raises(InvalidInput):
        CliRunner().invoke(command, ["--inventory", str(wrong)], catch_exceptions=False)
    with pytest.raises(UsageProblem, match="not a state file"):
        CliRunner().invoke(command, ["--state", str(wrong)], catch_exceptions=False)
    with pytest.raises(UsageProblem, match="region"):
        CliRunner().invoke(command, ["--region", "$(reboot)"], catch_exceptions=False)


def test_help_teaches() -> None:
    """The help shows command lines to copy."""
    text = CliRunner().invoke(command, ["--help"]).output
    assert "reboot-runner simulator --port 8080 --servers 1000 --time-scale 60" in text
