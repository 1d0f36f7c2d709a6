"""The state file: several processes serve one world, and a killed one loses nothing that it
answered.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter

from runner.simulator.events import RulesAdded, from_line, to_line
from runner.simulator.faults import Rule
from runner.simulator.fleet import FleetOptions
from runner.simulator.log import WorldMismatch
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Switches
from runner.simulator.timeline import utc_now

from .bench import KEYS, RULES, START, VirtualClock, http, simulated, token_request


def test_reopened_world_goes_on(tmp_path: Path) -> None:
    """Servers, jobs, tokens, tags, rules and counts are as they were after the file is
    opened again.
    """
    path = tmp_path / "deep" / "cloud.db"
    with simulated(10, state_path=path) as bench:
        job_id = bench.rebooted(bench.ids[:4])
        bench.fault(do="tags", servers={"names": ["db-*"]}, tags={"role": "db"})
        bench.fault(do="create_servers", count=1)
        bench.fault(do="error", on="limits", after=1, times=2)
        bench.get("/v1/{p}/cloudservers/limits")
        bench.get("/v1/{p}/cloudservers/limits")
        bench.clock.advance(30)
        seen = (bench.job(job_id), bench.listed()["servers"], bench.state.accepted_reboots())
        token, calls = bench.headers, bench.state.requests()
    with simulated(10, state_path=path) as bench:
        bench.clock.advance(30)
        bench.headers = token
        assert (
            bench.job(job_id),
            bench.listed()["servers"],
            bench.state.accepted_reboots(),
        ) == seen
        assert bench.state.requests()[: len(calls)] == calls
        assert bench.state.reboot_counts() == dict.fromkeys(bench.ids[:4], 1)
        assert [bench.get("/v1/{p}/cloudservers/limits").status_code for _ in range(2)] == [
            500,
            200,
        ]


def test_simulated_time_goes_on(tmp_path: Path) -> None:
    """Simulated time runs on from the file's anchor while nobody serves, and a new scale
    begins where it is.
    """
    path, real = tmp_path / "cloud.db", [START]
    moments = []
    for scale in (60, 60, 10, 10):
        state = State(CloudOptions(time_scale=scale), state_path=path, wall=lambda: real[0])
        moments.append((state.now() - START) / timedelta(seconds=1))
        state.close()
        real[0] += timedelta(seconds=10)
    assert moments == [0, 600, 1200, 1300]


def test_time_never_goes_back(tmp_path: Path) -> None:
    """A wall clock that is set back stops simulated time, but never turns it."""
    real = [START]
    state = State(CloudOptions(time_scale=2), wall=lambda: real[0])
    real[0] += timedelta(seconds=10)
    assert state.now() == START + timedelta(seconds=20)
    real[0] -= timedelta(hours=1)
    assert state.now() == START + timedelta(seconds=20)


@pytest.mark.parametrize("other", [FleetOptions(servers=11), FleetOptions(servers=10, seed=2)])
def test_other_fleet_is_refused(tmp_path: Path, other: FleetOptions) -> None:
    """A file of another fleet is refused: its log speaks of other servers."""
    path = tmp_path / "cloud.db"
    State(CloudOptions(fleet=FleetOptions(servers=10)), state_path=path).close()
    with pytest.raises(WorldMismatch, match="another simulated fleet"):
        State(CloudOptions(fleet=other), state_path=path)


def test_no_state_file(tmp_path: Path) -> None:
    """A file that is no state file is refused and left as it was; so is a folder."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but longer than a header of one would be" * 3)
    before = path.read_bytes()
    with pytest.raises(WorldMismatch, match=r"notes\.txt is not a state file"):
        State(state_path=path)
    assert path.read_bytes() == before
    with pytest.raises(WorldMismatch):
        State(state_path=tmp_path)


def test_line_of_another_version(tmp_path: Path) -> None:
    """A line that cannot be read stops the start, and leaves the file to others."""
    path = tmp_path / "cloud.db"
    State(state_path=path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO log (line) VALUES (?)", (b'{"kind":"later"}',))
    with pytest.raises(WorldMismatch, match="line 1 "):
        State(state_path=path)
    with closing(sqlite3.connect(path, timeout=0)) as database, database:
        database.execute("DELETE FROM log")
    State(state_path=path).close()


def test_scenario_is_taken_once(tmp_path: Path) -> None:
    """The rules of one scenario are added once, however often the file is opened; another
    scenario replaces them.
    """
    path = tmp_path / "cloud.db"
    rules = RULES.validate_python([{"do": "error", "on": "any"}])
    for name in ("one", "one", "two"):
        state = State(
            CloudOptions(rules=rules, scenario=name), state_path=path, clock=VirtualClock()
        )
        with state.turn() as turn:
            assert len(list(turn.world.rules)) == 1
        state.close()


def test_switches_of_the_last_start_hold(tmp_path: Path) -> None:
    """Switches given at a start replace those in the file."""
    path = tmp_path / "cloud.db"
    for quota in (1000, 5, 7):
        state = State(CloudOptions(switches=Switches(quota_servers=quota)), state_path=path)
        with state.turn() as turn:
            assert turn.world.switches.quota_servers == quota
        state.close()


def fail_after(state: State, rule: Rule) -> None:
    with state.turn() as turn:
        turn.apply(rule)
        raise RuntimeError


def test_failed_turn_never_was(tmp_path: Path) -> None:
    """What a turn appended before it failed is neither kept nor seen."""
    for path in (None, tmp_path / "cloud.db"):
        with simulated(3, state_path=path) as bench:
            bench.rebooted(bench.ids[:1])
            calls = len(bench.state.requests())
            rule = RULES.validate_python([{"do": "missing", "servers": {"names": ["web-001"]}}])[0]
            with pytest.raises(RuntimeError):
                fail_after(bench.state, rule)
            assert bench.listed()["count"] == 3
            assert len(bench.state.requests()) == calls + 1
            assert bench.state.reboot_counts() == {bench.ids[0]: 1}


# -- processes -----------------------------------------------------------------


@dataclass
class Process:
    """`reboot-runner simulator` on a state file."""

    popen: subprocess.Popen[str]
    url: str
    project_id: str


@contextmanager
def started(path: Path, *options: str) -> Iterator[Process]:
    command = [
        sys.executable,
        "-m",
        "runner.cli.main",
        "simulator",
        "--state",
        str(path),
        "--servers",
        "400",
        *options,
    ]
    secrets = {"AK": KEYS.ak, "SK": KEYS.sk, "PASSWORD": KEYS.password}
    environ = os.environ | {
        f"REBOOT_RUNNER_SIMULATOR_{name}": value for name, value in secrets.items()
    }
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as popen:
        try:
            assert popen.stdout is not None
            lines = []
            for line in popen.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            text = "".join(lines)
            url, project = re.search(r"http://\S+", text), re.search(r"PROJECT_ID=(\w+)", text)
            assert url
            assert project
            yield Process(popen, url[0], project[1])
        finally:
            popen.kill()


def token_of(process: Process) -> dict[str, str]:
    answer = http().post(process.url + "/v3/auth/tokens", json=token_request("eu-west-101"))
    return {"X-Auth-Token": answer.headers["X-Subject-Token"]}


def test_two_processes_serve_one_world_and_one_is_killed(tmp_path: Path) -> None:
    """Two processes share reboots, quota and tokens; what a killed one accepted and
    answered is there for the other.
    """
    path = tmp_path / "cloud.db"
    quota = tmp_path / "scenario.yaml"
    quota.write_text("switches: {quota_servers: 90, rebooting_servers: queue}\n")
    with (
        started(path, "--scenario", str(quota)) as first,
        started(path, "--scenario", str(quota)) as second,
    ):
        assert first.project_id == second.project_id
        token = token_of(first)
        action = f"/v1/{first.project_id}/cloudservers/action"
        page = http().get(f"{second.url}{action[:-7]}/detail?limit=1000", headers=token).json()
        ids = [s["id"] for s in page["servers"]]
        answered: dict[str, list[str]] = {}
        asked: Counter[str] = Counter()

        def send(process: Process, some: list[str]) -> None:
            with httpx.Client(trust_env=False, verify=False, timeout=10) as client:  # noqa: S501 - loopback
                for server in some:
                    asked[server] += 1
                    body = {"reboot": {"type": "SOFT", "servers": [{"id": server}]}}
                    try:
                        answer = client.post(process.url + action, json=body, headers=token)
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 200:
                        answered.setdefault(answer.json()["job_id"], []).append(server)
                    if process is first and len(answered) > 30:
                        first.popen.send_signal(signal.SIGKILL)

        threads = [
            threading.Thread(target=send, args=(first, ids[:100])),
            threading.Thread(target=send, args=(second, ids[100:200])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.popen.wait() == -signal.SIGKILL
        for job_id in answered:
            job = http().get(f"{second.url}/v1/{first.project_id}/jobs/{job_id}", headers=token)
            assert job.status_code == 200, job.text
        second.popen.terminate()
        assert second.popen.wait() == 0
        assert second.popen.stderr is not None
        assert second.popen.stderr.read() == "simulated cloud: stopped\n"

    state = State(
        CloudOptions(
            fleet=FleetOptions(servers=400),
            switches=Switches(quota_servers=90, rebooting_servers="queue"),
        ),
        state_path=path,
    )
    accepted = {r.job_id: r.server_id for r in state.accepted_reboots()}
    state.close()
    for job_id, servers in answered.items():
        assert servers == [accepted[job_id]]
    assert 30 < len(accepted) <= 90
    assert set(accepted.values()) <= set(asked)
    assert len(accepted) - len(answered) <= 1, "at most the request that was cut off"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_states_in_turns(tmp_path: Path) -> None:
    """Rule counters and quotas are shared: what one process lets pass, the other counts."""
    path = tmp_path / "cloud.db"
    with simulated(20, state_path=path) as one, simulated(20, state_path=path) as two:
        two.headers = one.headers
        one.fault(do="error", on="limits", after=3)
        statuses = [
            b.get("/v1/{p}/cloudservers/limits").status_code for b in (one, two, two, one, two)
        ]
        assert statuses == [200, 200, 200, 500, 200]
        job_id = one.rebooted(one.ids[:1])
        two.clock.advance(5)
        assert two.job(job_id)["status"] == "RUNNING"
        assert two.reboot(two.ids[:1]).status_code == 501


def test_wall_is_utc() -> None:
    """The real time that signatures are judged by is aware UTC."""
    assert utc_now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "rule",
    [
        {"do": "delay", "on": "reboot", "seconds": 8},
        {"do": "delay", "on": "reboot", "seconds": "90s", "at": "1m", "until": "2h"},
        {"do": "throttle", "on": "reboot", "retry_after": "5m"},
    ],
)
def test_durations_of_rules_are_read_again(rule: dict[str, object]) -> None:
    """A rule that the log stores is the same for every later process."""
    made = RulesAdded(0, (TypeAdapter(Rule).validate_python(rule),), "", False)
    assert from_line(to_line(made)) == made
