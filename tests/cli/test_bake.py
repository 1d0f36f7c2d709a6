"""A bake on the command line: it suspends like a pause, says until when, and is looked at
by whoever goes on.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta

from tests.cli.lab import PLAN, Remote

BAKING = PLAN.replace("[1, 50%]", "[100%]") + "    bake: 1h\n"


def test_a_bake_suspends_and_is_told(cloud: Remote) -> None:
    """Neither `--no-wait` nor a shorter `--max-wait` waits for it; status shows its end,
    not the next look.
    """
    lab = cloud.lab
    lab.write("web.yaml", BAKING)
    done = lab.run("run", "web.yaml", "--yes", "--max-wait", "5m")
    assert done.code == 75, done.err
    assert "bake of 1h after group web" in done.err
    state = lab.status("web")
    assert state["waits_for"].startswith("bake until")
    began = datetime.fromisoformat(state["waves"][0]["ended"])
    assert abs(datetime.fromisoformat(state["until"]) - began - timedelta(hours=1)) < timedelta(
        seconds=5
    )
    reads = sum(c.call in ("list", "show") for c in cloud.state.requests())
    done = lab.run("reconcile")
    assert "waits for bake until" in done.err
    assert "all waves over: 10 ready" in lab.run("resume", "web", "--no-wait").err
    assert sum(c.call in ("list", "show") for c in cloud.state.requests()) >= reads
    course = [
        m["sentence"] for m in json.loads(lab.run("report", "web", "-o", "json").out)["course"]
    ]
    assert "bake of 1h after group web" in course
    assert lab.run("cancel", "web", "--reason", "enough").code == 0
    assert lab.run("resume", "web").code == 5
    assert set(cloud.reboots.values()) == {1}


def test_reconcile_does_not_stay_for_a_bake(cloud: Remote) -> None:
    """It looks, and leaves a bake that lasts longer than `--wait`; one that is over sooner
    it stays for.
    """
    lab = cloud.lab
    lab.write("web.yaml", BAKING)
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    began = time.monotonic()
    done = lab.run("reconcile", "--wait", "10m", "--deadline", "20s")
    assert done.code == 0, done.err
    assert time.monotonic() - began < 15
    assert lab.run("cancel", "web", "--reason", "enough").code == 0
    lab.run("reconcile")
    lab.write(
        "web.yaml",
        BAKING.replace("1h", "3s").replace("name: web\nlimits", "name: web\ncycle: two\nlimits"),
    )
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    assert lab.run("reconcile", "--wait", "10m", "--deadline", "20s").code == 0
    assert lab.status("web")["word"] == "done"


def test_a_bake_runs_on_the_embedded_cloud(cloud: Remote) -> None:
    """In the time of the simulated cloud an hour is soon over, and the course tells what
    the bake saw.
    """
    lab = cloud.lab
    lab.write("web.yaml", BAKING.replace("1h", "5m"))
    lab.configure(
        targets={
            "simulator": {"cloud": "simulator", "simulator": {"servers": 20, "time_scale": 3000}}
        }
    )
    done = lab.run("run", "web.yaml")
    assert done.code == 0, done.err
    assert "bake of group web: over, 10 still ready" in done.err
