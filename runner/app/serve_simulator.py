"""`simulator`: serve the simulated cloud over HTTP until it is stopped."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.app.app import App
from runner.errors import InvalidInput, UsageProblem
from runner.model.problem import Location, Problem
from runner.simulator.fleet import FleetOptions, SimulatedFleet, generate
from runner.simulator.inventory import load_fleet
from runner.simulator.log import WorldMismatch
from runner.simulator.scenario import Scenario, ScenarioInvalid, load_scenario
from runner.simulator.server import Running, Tls, serve
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Instance, KnownLogins, OidcTrust

PREFIX = "REBOOT_RUNNER_SIMULATOR_"
AK, SK, PASSWORD, OIDC_SECRET = (
    f"{PREFIX}{name}" for name in ("AK", "SK", "PASSWORD", "OIDC_SECRET")
)


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """The cloud that is to be simulated and where, as the command's options of these
    names say it.
    """

    cloud: str | None
    port: int
    servers: int
    seed: int
    region: str
    zones: int
    reboot_seconds: float | None
    inventory: Path | None
    time_scale: float
    scenario: Path | None
    state: Path | None
    control: bool
    metadata_of: str | None
    tls_cert: Path | None
    tls_key: Path | None
    security_token: bool


def serve_simulator(app: App, world: ServeRequest) -> None:
    """Serve a simulated cloud on loopback until a signal comes, which is the ordinary end.

    Raises UsageProblem and InvalidInput for what cannot be served.
    """
    if world.tls_key is not None and world.tls_cert is None:
        raise UsageProblem("--tls-key without --tls-cert")
    try:
        options = _options(world)
    except ScenarioInvalid as error:
        place = Location(error.name)
        raise InvalidInput(
            Problem("ScenarioInvalid", finding, place) for finding in error.findings
        ) from error
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    try:
        state = State(options, state_path=world.state)
    except WorldMismatch as error:
        raise UsageProblem(
            str(error), hint="give another --state, or the options it was made with"
        ) from error
    try:
        asyncio.run(_serve(app, state, world))
    except ssl.SSLError as error:
        raise UsageProblem(
            f"--tls-cert {world.tls_cert} cannot be used: "
            f"{error.reason or 'no certificate with its key'}",
            hint="both are files in PEM form; give the key with --tls-key if it is in another file",
        ) from error
    except OSError as error:
        said = f"cannot listen on port {world.port}: {error.strerror}"
        raise UsageProblem(said, hint="choose another --port") from error
    finally:
        state.close()


def _options(world: ServeRequest) -> CloudOptions:
    generated = FleetOptions(
        world.servers, world.seed, world.region, world.zones, world.reboot_seconds
    )
    fleet = load_fleet(world.inventory, generated) if world.inventory else generated
    keys = KnownLogins.generated(*(os.environ.get(name) or None for name in (AK, SK, PASSWORD)))
    if issuer_secret := os.environ.get(OIDC_SECRET):
        if len(issuer_secret) < 16:
            raise UsageProblem(
                f"{OIDC_SECRET} is shorter than 16 characters", hint="set a longer one"
            )
        keys = keys.model_copy(update={"oidc": OidcTrust(secret=issuer_secret)})
    if world.security_token:
        keys = keys.model_copy(update={"security_token": secrets.token_urlsafe(60)})
    loaded = load_scenario(world.scenario) if world.scenario else Scenario()
    switches = (
        loaded.switches.model_copy(update={"cloud": world.cloud})
        if world.cloud
        else loaded.switches
    )
    if world.metadata_of is not None:
        fleet = fleet if isinstance(fleet, SimulatedFleet) else generate(fleet)
        found = next((s.id for s in fleet.servers if world.metadata_of in (s.id, s.name)), None)
        if found is None:
            raise UsageProblem(
                f"--metadata-of {world.metadata_of}: the fleet has no server of this name or id"
            )
        keys = keys.model_copy(update={"instance": Instance(server=found)})
    return CloudOptions(
        fleet, keys, switches, loaded.rules, loaded.digest, world.time_scale, world.control
    )


async def _serve(app: App, state: State, world: ServeRequest) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tls = Tls(world.tls_cert, world.tls_key) if world.tls_cert else None
    async with serve(state, port=world.port, tls=tls) as running:
        for line in _instructions(running):
            app.echo(line)
        await stop.wait()
        app.talk("simulated cloud: stopped")


def _target(running: Running) -> str:
    """The target to write. One that is to be spoken to as OTC names every endpoint: else
    the rule's would hold.
    """
    if running.state.options.switches.cloud == "otc":
        services = ", ".join(
            f"{service}: '{running.url}'" for service in ("ecs", "iam", "ces", "autoscaling")
        )
        return f"{{cloud: otc, region: {running.region}, endpoints: {{{services}}}}}"
    return f"{{cloud: simulator, region: {running.region}, endpoints: {{ecs: '{running.url}'}}}}"


def _instructions(running: Running) -> Iterator[str]:
    """Yield how to point a client at it: environment lines, the rest as comments, so that
    `source` works.
    """
    keys = running.state.credentials
    yield f"# simulated cloud: {len(running.state.fleet.servers)} servers at {running.url}"
    exports = [("HUAWEICLOUD_SDK_AK", keys.ak), ("HUAWEICLOUD_SDK_PROJECT_ID", running.project_id)]
    if not os.environ.get(SK):
        exports.insert(1, ("HUAWEICLOUD_SDK_SK", keys.sk))
    if keys.security_token is not None:
        exports.append(("HUAWEICLOUD_SDK_SECURITY_TOKEN", keys.security_token))
    for name, value in exports:
        yield f"export {name}={shlex.quote(value)}"
    if os.environ.get(SK):
        yield f'export HUAWEICLOUD_SDK_SK="${SK}"'
    password = f"${PASSWORD}" if os.environ.get(PASSWORD) else keys.password
    yield (
        f"# or a token: user {keys.user}, domain {keys.domain}, password {password}, at "
        f"{running.url}/v3/auth/tokens\n"
        "# in reboot-runner.yaml:\n"
        "#   targets:\n"
        f"#     simulated: {_target(running)}"
    )
    if running.url.startswith("https:"):
        yield (
            "# its certificate is trusted with REBOOT_RUNNER_CA_FILE=the certificate of its "
            "authority"
        )
    if keys.oidc is not None:
        trust = keys.oidc
        if running.state.options.switches.cloud == "otc":  # it has no STS
            who = f"HUAWEICLOUD_SDK_IDP_ID={trust.idp_id}, and HUAWEICLOUD_SDK_ID_TOKEN_FILE"
        else:
            who = (
                f"HUAWEICLOUD_OIDC_PROVIDER_URN={trust.provider_urn} "
                f"HUAWEICLOUD_OIDC_AGENCY_URN={trust.agency_urn}"
            )
        yield (
            f"# or OIDC: {who}\n#   ID tokens: HS256, iss {trust.issuer}, aud {trust.audience}, "
            f"any sub"
        )
    if keys.instance is not None:
        yield (
            f"# or as server {keys.instance.server}, which its metadata service says and gives "
            f"keys to:\n"
            f"#   export REBOOT_RUNNER_METADATA={running.url}"
        )
    if running.state.options.control:
        yield f"# control: {running.url}/_simulator/state, /log, /faults, /switches"
    yield "# Ctrl-C stops it"
