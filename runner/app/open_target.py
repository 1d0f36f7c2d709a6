"""Opens a target: its client, its clock, and what the driver needs; the simulated cloud in
this process too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.app.app import App
from runner.app.mask import mask
from runner.app.stores import open_store_of, store_url
from runner.app.targets import all_targets, base_folder, is_embedded
from runner.checks.prober import NetProber
from runner.cloud.huawei.auth.choice import choose, explain_choice
from runner.cloud.huawei.auth.logins import given_secrets
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import Settings, settings_for
from runner.cloud.huawei.machine import OVERRIDE, this_machine
from runner.cloud.huawei.reader import Patience
from runner.cloud.huawei.throttle import RequestPace, pace_of
from runner.errors import CloudError, StoreError
from runner.execution.effects import Tuning
from runner.execution.site import Site
from runner.loading.config import LoadedConfig
from runner.model.config import SimulatorOptions, TargetConfig
from runner.model.inventory import Inventory
from runner.model.machine import NOBODY
from runner.model.schedule import Target
from runner.net.transport import ExchangeLimits
from runner.net.wire import RequestLog
from runner.planning.spared import Spared
from runner.ports import Clock
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
    cloud: HuaweiCloud
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

    def options(self, log: Callable[[RequestLog], None] | None) -> dict[str, Any]:
        """Return what opens the client for short questions."""

        def both(entry: RequestLog) -> None:
            self.watch(entry)
            if log is not None:
                log(entry)

        within_s = self.within_s
        return {
            "log": both,
            "patience": Patience(
                attempts=2, budget_s=within_s, first_wait_s=min(0.4, within_s / 4)
            ),
            "limits": ExchangeLimits(connect_s=within_s, read_s=within_s, total_s=within_s),
            "pace": RequestPace(most_s=within_s),
        }


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
        environ: Mapping[str, str] = os.environ
        scale, project_id = 1.0, config.project_id
        if simulated is None:
            clock = WallClock()
        else:
            state, project_id = simulated.state, simulated.project_id
            clock, scale = state.clock, state.options.time_scale
            environ = {
                "HUAWEICLOUD_SDK_AK": state.credentials.ak,
                "HUAWEICLOUD_SDK_SK": state.credentials.sk,
            }
            here = config.endpoints.model_copy(update={"ecs": simulated.url, "iam": simulated.url})
            config = config.model_copy(
                update={"endpoints": here, "auth": "aksk", "env_prefix": None}
            )
        settings = endpoints_of(config, environ, project_id)
        if app.verbose and simulated is None:
            for one in explain_choice(config, environ):
                taken = "taken" if one.taken else "not taken"
                app.talk(f"target {name}: login {one.kind} is {taken}: {plain(one.why, 1000)}")
        choice = choose(config.auth, environ, config.env_prefix or "")
        if simulated is None:
            for warning in choice.warnings:
                app.talk(f"warning: {plain(warning, 1000)}")
            for secret in given_secrets(choice.login):
                mask(secret)
        log = request_log(app)
        pace = pace_of(f"{settings.ecs_url} {project_id or config.region}", scale)
        pace.tell = lambda sentence: app.talk(f"target {name}: {plain(sentence)}")
        options = {"log": log, "pace": pace} | (asking.options(log) if asking else {})
        async with HuaweiCloud.open(
            settings, choice.login, now=clock.now, on_secret=mask, **options
        ) as cloud:
            rate, is_real = config.rate, config.cloud != "simulator"
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
            machine = NOBODY
            if is_real or OVERRIDE in os.environ:
                machine = await this_machine(os.environ)
                if (
                    not is_real
                ):  # made-up addresses: it is a simulated server only if a metadata service says so
                    machine = replace(machine, addresses=frozenset())
            yield Session(
                target=Target(name, config.cloud, config.region, cloud.project_id),
                cloud=cloud,
                clock=clock,
                site=Site(cloud, cloud.project_id, tuning, prober),
                time_scale=scale,
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


def endpoints_of(
    config: TargetConfig, environ: Mapping[str, str], project_id: str | None
) -> Settings:
    """The endpoints of a target. Raises InvalidInput for those that may not be used."""
    return settings_for(
        cloud=config.cloud,
        region=config.region,
        project_id=project_id,
        ecs=config.endpoints.ecs,
        iam=config.endpoints.iam,
        sts=config.endpoints.sts,
        ces=config.endpoints.ces,
        autoscaling=config.endpoints.autoscaling,
        enterprise_project=config.enterprise_project,
        environ=environ,
    )


def request_log(app: App) -> Callable[[RequestLog], None] | None:
    """Return what tells of each request on stderr; None without `-v`."""
    return (lambda entry: app.talk(f"http: {plain(entry)}")) if app.verbose else None
