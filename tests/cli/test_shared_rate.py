"""Two processes on one store and one cloud, which counts: never more in any minute than
it allows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.model.config import SimulatorOptions
from runner.simulator.server import options_for
from runner.simulator.state import State
from tests.cli.lab import Lab

QUOTA = 8
PLAN = """\
version: 1
name: {name}
limits: {{percent: 100}}
spread: {{server_group: 100%}}
groups:
  - name: all
    servers: {{tags: {{role: [{roles}]}}}}
    waves: [{wave}]
"""
SCENARIO = """\
version: 1
switches: {{quota: "{shape}", quota_servers: {quota}, parent_lag: 1s}}
"""


@pytest.mark.parametrize(
    ("shape", "per_minute", "most_refused"),
    [("429", QUOTA, 3), ("429", 1000, 45), ("202", 1000, 45), ("429-gateway", 1000, 20)],
)
def test_two_runners_on_one_store(lab: Lab, shape: str, per_minute: int, most_refused: int) -> None:
    """With a budget that is right hardly anything is refused; with one that is too high little
    is, and what was refused is asked for again. Each server goes down once.
    """
    lab.write("quota.yaml", SCENARIO.format(shape=shape, quota=QUOTA))
    options = {"servers": 40, "time_scale": 200, "scenario": "quota.yaml"}
    rate = {"servers_per_minute": per_minute, "servers_per_request": 4, "poll_every": "5s"}
    lab.configure(targets={"simulator": {"cloud": "simulator", "simulator": options, "rate": rate}})
    lab.write("one.yaml", PLAN.format(name="one", roles="web", wave=10))
    lab.write("two.yaml", PLAN.format(name="two", roles="api, db, batch", wave=10))
    children = [lab.start("run", plan) for plan in ("one.yaml", "two.yaml")]
    for child in children:
        done = child.wait()
        assert done.code == 0, done.err
    state = _state_of(lab, options)
    reboots, posts = state.accepted_reboots(), [c for c in state.requests() if c.call == "reboot"]
    state.close()
    assert len({r.server_id for r in reboots}) == len(reboots) == 40
    times = sorted(r.at.timestamp() for r in reboots)
    assert max(sum(1 for t in times if end - 60 < t <= end) for end in times) <= QUOTA
    assert sum(c.code is not None for c in posts) <= most_refused


def _state_of(lab: Lab, options: dict[str, object]) -> State:
    made = options_for(
        SimulatorOptions.model_validate(options), "eu-west-101", lab.folder / "quota.yaml"
    )
    (path,) = Path(lab.folder / ".reboot-runner").glob("simulator-*.db")
    return State(made, state_path=path)
