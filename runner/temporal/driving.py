"""Temporal at the edge: a connection, a worker of one task queue, and workflows for the
runs that need one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from runner.errors import RunnerError

try:
    from temporalio import activity
    from temporalio.client import Client
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
    from temporalio.envconfig import ClientConfig
    from temporalio.exceptions import ApplicationError
    from temporalio.runtime import (
        LogForwardingConfig,
        LoggingConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )
    from temporalio.service import RPCError, RPCStatusCode
    from temporalio.worker import Worker
except ImportError as error:
    raise RunnerError(
        "a worker of Temporal needs temporalio", hint="pip install 'reboot-runner[temporal]'"
    ) from error

from runner.temporal.workflow import (
    ADVANCE,
    SILENCE,
    WAKE,
    WORKFLOW,
    DriveRequest,
    DriveRun,
    RunProgress,
    id_of,
)

RPC = timedelta(seconds=10)
BEAT_S = SILENCE.total_seconds() / 4


class TemporalError(RunnerError):
    """Temporal cannot be reached, or refuses."""


class NotNow(Exception):
    """A step could not even be begun, by no fault of the run: Temporal tries again. Holds a
    word, no more.
    """


class NoSuchRun(Exception):
    """The store of this worker has no such run."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Temporal is. None: what its own environment variables say (`TEMPORAL_ADDRESS`,
    `TEMPORAL_NAMESPACE`; API key and TLS come from there only), else its defaults.
    """

    address: str | None
    namespace: str | None
    task_queue: str


async def connect(cluster: Cluster, talk: Callable[[str], None]) -> Connection:
    """A connection that has reached the server. Raises TemporalError. Temporal's own log
    lines go to `talk`.
    """

    class TalkHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            talk(f"temporal: {record.levelname.lower()}: {record.getMessage()}")

    ours, theirs = logging.getLogger("runner.temporal"), logging.getLogger("temporalio")
    for logger in (ours, theirs):
        logger.handlers, logger.propagate = [TalkHandler(logging.WARNING)], False
    levels = LoggingConfig(
        TelemetryFilter(core_level="WARN", other_level="ERROR"), LogForwardingConfig(ours)
    )
    try:
        settings = ClientConfig.load_client_connect_config(disable_file=True)
        settings["target_host"] = cluster.address or settings.get("target_host") or "localhost:7233"
        settings["namespace"] = cluster.namespace or settings.get("namespace") or "default"
        runtime = Runtime(telemetry=TelemetryConfig(logging=levels))
        client = await asyncio.wait_for(
            Client.connect(**settings, runtime=runtime), RPC.total_seconds() * 2
        )
    except (RPCError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        raise TemporalError(
            f"cannot connect to Temporal: {str(error) or type(error).__name__}",
            hint="check --temporal-address, --namespace, and TEMPORAL_API_KEY or TEMPORAL_TLS_… "
            "where the cluster asks"
            " for them",
        ) from error
    return Connection(client, cluster.task_queue)


@dataclass(frozen=True, slots=True)
class Connection:
    """A client of a cluster, and the task queue that is ours there."""

    client: Client
    task_queue: str

    @asynccontextmanager
    async def working(
        self, most: int, advance: Callable[[str], Awaitable[RunProgress]], grace_s: float
    ) -> AsyncIterator[Callable[[], None]]:
        """Take steps from the task queue, at most so many at once, until the block ends; then
        those under way get the grace.

        `advance` does one step of a run. It may raise NotNow and NoSuchRun. Gives a
        function that raises TemporalError once Temporal's worker has ended by itself.
        """

        async def beat() -> None:
            while True:
                activity.heartbeat()
                await asyncio.sleep(BEAT_S)

        @activity.defn(name=ADVANCE)
        async def step(run_id: str) -> RunProgress:
            beating = asyncio.ensure_future(beat())
            try:
                return await advance(run_id)
            except NotNow as error:
                raise ApplicationError(
                    str(error), type="NotNow"
                ) from None  # no more: it is kept in the history
            except NoSuchRun:
                said = "the store of this worker has no such run: one task queue is for one store"
                raise ApplicationError(said, type="NoSuchRun", non_retryable=True) from None
            finally:
                beating.cancel()

        worker = Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=[DriveRun],
            activities=[step],
            max_concurrent_activities=most,
            graceful_shutdown_timeout=timedelta(seconds=grace_s),
        )
        task = asyncio.ensure_future(worker.run())

        def check() -> None:
            if task.done():
                error = task.exception()
                raise TemporalError(f"Temporal's worker has ended: {error}") from error

        try:
            yield check
        finally:
            with suppress(Exception):
                await worker.shutdown()
            await asyncio.gather(task, return_exceptions=True)

    async def ensure(self, run_id: str, *, wake: bool) -> None:
        """There is a workflow of this run afterwards; `wake`: and it does not sleep on. May be
        repeated by anybody.

        Raises TemporalError.
        """
        try:
            await self.client.start_workflow(
                WORKFLOW,
                DriveRequest(run_id),
                id=id_of(run_id),
                task_queue=self.task_queue,
                # ended by hand while the run is open
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=WAKE if wake else None,
                rpc_timeout=RPC,
            )
        except (RPCError, RuntimeError) as error:
            raise TemporalError(f"Temporal does not take a workflow: {error}") from error

    async def wake(self, run_id: str) -> None:
        """The workflow of this run, if there is one, does not sleep on. Raises TemporalError."""
        try:
            await self.client.get_workflow_handle(id_of(run_id)).signal(WAKE, rpc_timeout=RPC)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise TemporalError(f"Temporal does not take a signal: {error}") from error
