"""`worker --engine temporal`: workflows of a real Temporal server take the steps, the
journal stays the truth.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Replayer

from runner.temporal.workflow import (
    STATE,
    WAKE,
    WORKFLOW,
    DriveRequest,
    DriveRun,
    RunProgress,
    id_of,
)
from tests import temporal_server
from tests.cli.lab import Lab, Remote
from tests.cli.workers import APPROVED, figures, get, start, until

QUEUE = "reboot-runner"


@pytest.fixture(scope="module")
def temporal() -> Iterator[str]:
    """The address of a Temporal that suggests to begin anew after few events."""
    with temporal_server.server(history_events=12) as address:
        yield address


async def _state(address: str, workflow_id: str) -> RunProgress:
    client = await Client.connect(address)
    left = await client.get_workflow_handle(workflow_id).query(STATE, result_type=RunProgress)
    assert isinstance(left, RunProgress)
    return left


async def _duplicates(address: str, run_id: str) -> None:
    """Two more workflows at the same run, which nobody would start; woken all the time.
    They end with it.
    """
    client = await Client.connect(address)
    others: list[WorkflowHandle[object, RunProgress]] = [
        await client.start_workflow(
            WORKFLOW,
            DriveRequest(run_id),
            id=f"rival-{n}",
            task_queue=QUEUE,
            result_type=RunProgress,
        )
        for n in range(2)
    ]
    ends = asyncio.gather(*(o.result() for o in others))
    while not ends.done():
        for other in others:
            try:
                await other.signal(WAKE)
            except Exception:  # noqa: BLE001 - it has ended
                break
        await asyncio.sleep(0.1)
    assert [left.due_s for left in await ends] == [None, None]


def _of(run_id: str) -> str:
    """All workflows that drove a run, as a query."""
    return f"WorkflowId IN ('{id_of(run_id)}', 'rival-0', 'rival-1')"


async def _states(address: str, run_id: str) -> list[WorkflowExecutionStatus | None]:
    client = await Client.connect(address)
    return [one.status async for one in client.list_workflows(_of(run_id))]


async def _replay(address: str, run_id: str) -> None:
    """Every history, played again by the code of today. Raises where it does something else."""
    client = await Client.connect(address)
    async for one in client.list_workflows(_of(run_id)):
        history = await client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history()
        await Replayer(workflows=[DriveRun]).replay_workflow(history)


async def _stranger(address: str) -> None:
    client = await Client.connect(address)
    with pytest.raises(WorkflowFailureError) as told:
        await client.execute_workflow(
            WORKFLOW, DriveRequest("20260101-000000-nobody"), id="stranger", task_queue=QUEUE,
            execution_timeout=timedelta(seconds=20),
        )  # fmt: skip
    assert isinstance(told.value.cause, ActivityError)
    assert isinstance(told.value.cause.cause, ApplicationError)
    assert told.value.cause.cause.type == "NoSuchRun"


def test_temporal_drives_a_run_and_holds_no_truth(cloud: Remote, temporal: str) -> None:
    """A workflow for the open run appears, tells its state, sleeps until somebody approves,
    begins anew when its history is long, and ends with the run. Rivals at the same run
    change nothing; each history can be replayed. A workflow about a run that the store has
    not fails.
    """
    lab = cloud.lab
    lab.write("web.yaml", APPROVED)
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    (run,) = lab.runs()
    child, url = start(
        lab, "--engine", "temporal", "--temporal-address", temporal, "--task-queue", QUEUE
    )
    until(lambda: get(f"{url}/readyz")[0] == 200)
    until(lambda: figures(url)["reboot_runner_steps_total"] >= 1)
    until(lambda: "approval" in asyncio.run(_state(temporal, id_of(run["id"]))).waits_for)
    assert len(cloud.reboots) == 1
    assert lab.run("approve", "web", "--reason", "looks good").code == 0
    asyncio.run(asyncio.wait_for(_duplicates(temporal, run["id"]), 30))
    until(lambda: lab.status("web")["open"] is False)
    assert set(cloud.reboots.values()) == {1}
    assert len(cloud.reboots) == 10
    assert cloud.posts == 3
    until(lambda: WorkflowExecutionStatus.RUNNING not in asyncio.run(_states(temporal, run["id"])))
    states = asyncio.run(_states(temporal, run["id"]))
    assert set(states) == {
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.CONTINUED_AS_NEW,
    }
    assert states.count(WorkflowExecutionStatus.COMPLETED) == 3
    asyncio.run(_replay(temporal, run["id"]))
    asyncio.run(_stranger(temporal))
    child.send(signal.SIGTERM)
    assert child.wait().code == 143


def test_a_cluster_that_is_not_there_is_told(lab: Lab) -> None:
    """At once, with what to check; options of a cluster need the engine."""
    nowhere = lab.run(
        "worker",
        "--engine",
        "temporal",
        "--temporal-address",
        "127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
    )
    assert nowhere.code == 1
    assert "cannot connect to Temporal" in nowhere.err
    assert "--temporal-address" in nowhere.err
    assert lab.run("worker", "--task-queue", "x").code == 64
