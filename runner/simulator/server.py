"""The simulated cloud on a loopback port: in the running event loop, or in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from runner.model.config import SimulatorOptions
from runner.simulator.app import Protocol, make_app
from runner.simulator.fleet import FleetOptions
from runner.simulator.scenario import load_scenario
from runner.simulator.state import CloudOptions, State
from runner.simulator.timeline import SimClock, Wall, utc_now

HOST = "127.0.0.1"
GRACE_S = 0.5
"""How long answers may take to leave when the server stops; slower ones (delays) are dropped."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form. Without a `key` the certificate's file holds it as well."""

    certificate: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A simulated cloud that answers at `url` (ECS and IAM alike)."""

    url: str
    state: State

    @property
    def project_id(self) -> str:
        return self.state.fleet.project_id

    @property
    def endpoints(self) -> dict[str, str]:
        """Return what a target's `endpoints` must say."""
        return {"ecs": self.url, "iam": self.url}

    @property
    def credentials(self) -> dict[str, str]:
        """Return the environment variables that log in."""
        keys = self.state.credentials
        return {"HUAWEICLOUD_SDK_AK": keys.ak, "HUAWEICLOUD_SDK_SK": keys.sk}

    @property
    def region(self) -> str:
        return self.state.fleet.options.region


class _QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers, that tells when it is up and stops at once
    when asked.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()
        self._stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1.0)
            await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, without its fixed tenths of a second: answers that are due leave,
        then all is closed.
        """
        for server in self.servers:
            server.close()
        connections = list(self.server_state.connections)
        for connection in connections:
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for connection in connections:
            if not connection.transport.is_closing():
                connection.transport.abort()
        await asyncio.sleep(0)  # the transports tell their protocols

    def stop(self) -> None:
        self._stop.set()


@asynccontextmanager
async def serve(
    world: State | CloudOptions | None = None, *, port: int = 0, tls: Tls | None = None
) -> AsyncIterator[Running]:
    """Serve in the running loop until the block ends. Port 0 takes a free one. Raises OSError
    if it is taken, and for a certificate or a key that cannot be used (ssl.SSLError is
    one).
    """
    state = world if isinstance(world, State) else State(world)
    listener = _listen(port)
    config = uvicorn.Config(
        make_app(state),
        http=Protocol,
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    try:
        config.load()
    except BaseException:
        listener.close()
        raise
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        up = asyncio.create_task(server.is_up.wait())
        await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        yield Running(f"{'https' if tls else 'http'}://{HOST}:{listener.getsockname()[1]}", state)
    finally:
        server.stop()
        await task
        listener.close()
        if state is not world:
            state.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio sets TCP_NODELAY only then
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def serve_in_thread(
    world: State | CloudOptions | None = None, *, port: int = 0, tls: Tls | None = None
) -> Iterator[Running]:
    """The same in a thread with an event loop of its own, for callers that block."""
    started: threading.Event = threading.Event()
    outcome: list[Running | BaseException] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        async with serve(world, port=port, tls=tls) as running:
            done = asyncio.Event()
            stop.append((asyncio.get_running_loop(), done))
            outcome.append(running)
            started.set()
            await done.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            outcome.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="simulated-cloud", daemon=True)
    thread.start()
    started.wait()
    if isinstance(first := outcome[0], BaseException):
        thread.join()
        raise first
    try:
        yield first
    finally:
        loop, done = stop[0]
        loop.call_soon_threadsafe(done.set)
        thread.join()


def options_for(
    config: SimulatorOptions, region: str, scenario: Path | None = None
) -> CloudOptions:
    """The options of a simulated target in a configuration. `scenario`: its file, found already.

    Raises ScenarioInvalid if the file is wrong.
    """
    fleet = FleetOptions(servers=config.servers, seed=config.seed, region=region)
    if scenario is None:
        return CloudOptions(fleet=fleet, time_scale=config.time_scale)
    loaded = load_scenario(scenario)
    return CloudOptions(
        fleet=fleet,
        switches=loaded.switches,
        rules=loaded.rules,
        scenario=loaded.digest,
        time_scale=config.time_scale,
    )


@contextmanager
def serve_embedded(
    options: CloudOptions,
    state_path: Path | None = None,
    wall: Wall = utc_now,
    clock: SimClock | None = None,
) -> Iterator[Running]:
    """Serve until the block ends. With a state file the cloud goes on from it: servers, jobs
    and simulated time.

    `clock`: of another simulated cloud that this one shares its time with. Keys are new at
    each start. Raises WorldMismatch if the file belongs to another fleet.
    """
    state = State(options, state_path=state_path, clock=clock, wall=wall)
    try:
        with serve_in_thread(state) as running:
            yield running
    finally:
        state.close()
