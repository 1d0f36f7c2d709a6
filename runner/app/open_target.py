"""Opens a target: its client, its clock, and what the driver needs; the simulated cloud in
this process too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from runner.app.app import App
from runner.app.mask import mask
from runner.app.stores import open_store_of, store_url
from runner.app.targets import all_targets, base_folder, is_embedded
from runner.checks.prober import NetProber
from runner.errors import CloudError, StoreError
from runner.execution.effects import Tuning
from runner.execution.site import Site
from runner.loading.config import LoadedConfig
from runner.model.clouds import SIMULATOR
from runner.model.config import Endpoints, SimulatorOptions, TargetConfig
from runner.model.inventory import Inventory
from runner.model.schedule import Target
from runner.net.wire import RequestLog
from runner.planning.spared import Spared
from runner.ports import Clock
from runner.ports.provider import Access, CloudClient, provider_of
from runner.report.safe import plain
from runner.simulator.log import WorldMismatch
from runner.simulator.scenario import ScenarioInvalid
from runner.simulator.server import Running, options_for, serve_embedded
from runner.store.open import STATE_FOLDER, is_local_file
from runner.store.spool import FileSpool

FORGET_AFTER_S = 600.0


class WallClock:
    """Real time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Session:
    """An open target. `time_scale` is 1 but for the embedded simulated cloud. `is_real`: its
    servers are real, which only `cloud` decides: an endpoint on loopback can be a tunnel to
    a real cloud.

    `spared`: what must stay up while plans run here: this machine, and what configuration
    names as support.
    """

    target: Target
    cloud: CloudClient
    clock: Clock
    site: Site
    time_scale: float
    is_embedded: bool
    is_real: bool
    spool: FileSpool
    spared: Spared

    async def inventory(self) -> Inventory:
        """Return what the target has now. Raises CloudError, CloudDenied that name the target."""
        try:
            return await self.cloud.inventory()
        except CloudError as error:
            error.name_target(self.target.name)
            raise


@dataclass(frozen=True, slots=True)
class Asking:
    """How a target is asked by who cannot wait as long as a run does: `within_s` for each
    question, a second try at most. `watch` is told of each request.
    """

    within_s: float
    watch: Callable[[RequestLog], None]


@asynccontextmanager
async def open_target(
    app: App,
    loaded: LoadedConfig,
    name: str,
    clock: Clock | None = None,
    asking: Asking | None = None,
) -> AsyncIterator[Session]:
    """The target by name: its client, its clock, and what the driver needs. Raises CloudError,
    CloudDenied.

    `clock`: that of another embedded cloud that this one is to live by.
    """
    config = all_targets(loaded)[name]
    folder = _state_folder(app, loaded)
    with (
        _started(app, loaded, name, config, folder, clock)
        if is_embedded(config)
        else nullcontext() as simulated
    ):
        provider, log = provider_of(config.cloud), request_log(app)
        if simulated is None:
            clock, access = WallClock(), Access(os.environ, config.project_id, WallClock().now)
            if app.verbose:
                for one in provider.login_options(config, os.environ):
                    taken = "taken" if one.taken else "not taken"
                    app.talk(f"target {name}: login {one.kind} is {taken}: {plain(one.why, 1000)}")
        else:
            clock = simulated.state.clock
            endpoints = Endpoints(**simulated.endpoints)
            config = config.model_copy(
                update={"endpoints": endpoints, "auth": "aksk", "env_prefix": None}
            )
            access = Access(
                simulated.credentials,
                simulated.project_id,
                clock.now,
                simulated.state.options.time_scale,
            )

        def on_request(entry: RequestLog) -> None:
            if asking is not None:
                asking.watch(entry)
            if log is not None:
                log(entry)

        access = replace(
            access,
            within_s=asking.within_s if asking else None,
            on_secret=mask if simulated is None else None,
            on_request=on_request,
            warn=lambda sentence: app.talk(f"warning: {plain(sentence, 1000)}"),
            tell=lambda sentence: app.talk(f"target {name}: {plain(sentence)}"),
        )
        async with provider.open(config, access) as cloud:
            rate, is_real = config.rate, config.cloud != SIMULATOR
            most = cloud.capabilities
            per_minute = min(rate.servers_per_minute, most.servers_per_minute)
            tuning = Tuning(
                poll_every_s=rate.poll_every.total_seconds(),
                settle_s=rate.settle.total_seconds(),
                servers_per_request=min(
                    rate.servers_per_request, per_minute, most.servers_per_request
                ),
                servers_per_minute=per_minute,
            )
            prober = NetProber(loopback_only=not is_real)
            machine = await provider.this_machine(os.environ, is_real=is_real)
            yield Session(
                target=Target(name, config.cloud, config.region, cloud.project_id),
                cloud=cloud,
                clock=clock,
                site=Site(cloud, cloud.project_id, tuning, prober),
                time_scale=access.time_scale,
                is_embedded=simulated is not None,
                is_real=is_real,
                spool=FileSpool(folder / "spool"),
                spared=Spared(machine, config.support),
            )


@contextmanager
def _started(
    app: App,
    loaded: LoadedConfig,
    name: str,
    config: TargetConfig,
    folder: Path,
    clock: Clock | None,
) -> Iterator[Running]:
    """The simulated cloud in this process, spoken to over HTTP like any other. Its state lies
    beside the store.

    Raises StoreError for a state or a scenario that cannot be used.
    """
    state = folder / f"simulator-{name}.db"
    _forget_if_idle(app, loaded, state)
    options = config.simulator or SimulatorOptions()
    scenario = base_folder(loaded) / options.scenario if options.scenario else None
    try:
        with serve_embedded(
            options_for(options, config.region, scenario), state, clock=clock
        ) as simulated:
            yield simulated
    except WorldMismatch as error:
        hint = (
            f"its options have changed: delete {state}, or set them back to end an open run first"
        )
        raise StoreError(
            f"the simulated cloud's state cannot be used: {error}", hint=hint
        ) from error
    except ScenarioInvalid as error:
        raise StoreError(
            f"the scenario cannot be used: {error}", hint="see docs/simulator.md"
        ) from error


def _forget_if_idle(app: App, loaded: LoadedConfig, state: Path) -> None:
    """Simulated time runs on while nobody serves it: without an open run a cloud of a while
    ago begins anew, today.
    """
    try:
        age_s = time.time() - state.stat().st_mtime
    except OSError:
        return
    if age_s < FORGET_AFTER_S:
        return
    with open_store_of(app, loaded) as store:
        if store.runs(open_only=True, limit=1):
            return
    for suffix in ("", "-wal", "-shm"):
        state.with_name(state.name + suffix).unlink(missing_ok=True)


def _state_folder(app: App, loaded: LoadedConfig) -> Path:
    """Where what belongs to the store and to this machine lies: beside a local store, else in
    `REBOOT_RUNNER_STATE`, else in a folder beside the configuration.
    """
    url = store_url(app, loaded)
    base = base_folder(loaded)
    if is_local_file(url):
        return (base / url.removeprefix("sqlite:///")).parent
    named = os.environ.get("REBOOT_RUNNER_STATE")
    return Path(named).absolute() if named else base / STATE_FOLDER


def request_log(app: App) -> Callable[[RequestLog], None] | None:
    """Return what tells of each request on stderr; None without `-v`."""
    return (lambda entry: app.talk(f"http: {plain(entry)}")) if app.verbose else None
