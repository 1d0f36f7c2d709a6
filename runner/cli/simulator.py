"""`simulator`: serve the simulated cloud over HTTP until it is stopped."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.errors import Exit, InvalidInput, UsageProblem

if TYPE_CHECKING:
    from runner.simulator.fleet import Fleet, FleetOptions
    from runner.simulator.server import Running, Tls
    from runner.simulator.state import CloudOptions, State
    from runner.simulator.switches import Credentials

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
AK, SK, PASSWORD, OIDC_SECRET = (f"REBOOT_RUNNER_SIMULATOR_{name}" for name in ("AK", "SK", "PASSWORD", "OIDC_SECRET"))

EPILOG = f"""\b
Examples:
  reboot-runner simulator                                    60 servers on a free port
  reboot-runner simulator --port 8080 --servers 1000 --time-scale 60
  reboot-runner simulator --scenario faults.yaml --control   with faults; more can be added while it runs
  reboot-runner simulator --state cloud.db                   stopped or killed, it goes on from the file

It prints what to export and what to write into reboot-runner.yaml, so that the tool (or the vendor's SDK) finds it.

{AK}, {SK} and {PASSWORD} fix the credentials; else they are
generated and printed. {OIDC_SECRET} (16 characters or more) makes it
exchange ID tokens that are signed with it (HS256) for temporary keys. A server is rebooted in 15 to 120 simulated
seconds; --time-scale makes them pass quicker.
"""


@click.command(epilog=EPILOG)
@click.option("--cloud", type=click.Choice(["huaweicloud", "otc"]), help="Which cloud's dialect it speaks.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="On loopback. 0, the default, takes a free one.")
@click.option("--servers", type=click.IntRange(1, 200_000), default=60, show_default=True, help="Size of the fleet.")
@click.option("--seed", type=click.IntRange(0, 2**53), default=1, show_default=True, help="Same seed, same fleet.")
@click.option("--region", default="eu-west-101", show_default=True, help="Its name is also the project's.")
@click.option("--zones", type=click.IntRange(1, 8), default=3, show_default=True, help="Availability zones.")
@click.option("--reboot-seconds", type=click.FloatRange(0.1, 86_400), help="Every reboot takes exactly this long.")
@click.option("--inventory", type=click.Path(dir_okay=False, path_type=Path), help="The fleet of this file instead.")
@click.option(
    "--time-scale",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    default=1.0,
    show_default=True,
    help="Simulated seconds per real second.",
)
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), help="Switches and fault rules.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the world in this file.")
@click.option("--control", is_flag=True, help="Serve /_simulator: add faults, read the log. Needs no credentials.")
@click.option("--metadata-of", metavar="SERVER", help="Also be the metadata service of this server (name or id).")
@click.option("--tls-cert", type=_FILE, help="Serve https with this certificate (PEM), for 127.0.0.1.")
@click.option("--tls-key", type=_FILE, help="Its key, if it is in a file of its own.")
@click.option("--security-token", is_flag=True, help="A temporary key: requests must carry its security token.")
def command(
    cloud: str | None,
    port: int,
    servers: int,
    seed: int,
    region: str,
    zones: int,
    reboot_seconds: float | None,
    inventory: Path | None,
    time_scale: float,
    scenario: Path | None,
    state: Path | None,
    control: bool,
    metadata_of: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    security_token: bool,
) -> None:
    """Serve a simulated cloud over HTTP.

    It speaks the calls of ECS and IAM that reboots need, verifies signatures and tokens, enforces the quota, and
    goes wrong as a scenario file says. It listens on loopback only, until SIGINT or SIGTERM.
    """
    import asyncio
    import ssl

    from runner.simulator.fleet import FleetOptions
    from runner.simulator.scenario import ScenarioInvalid

    if tls_key is not None and tls_cert is None:
        raise UsageProblem("--tls-key without --tls-cert")
    try:
        fleet = FleetOptions(servers, seed, region, zones, reboot_seconds)
        options = _options(_fleet(fleet, inventory), scenario, time_scale, control, _credentials(security_token))
        options = _speaking(options, cloud)
    except ScenarioInvalid as error:
        raise _invalid(error) from error
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    world = _world(_with_instance(options, metadata_of), state)
    try:
        asyncio.run(_serve(world, port, _tls(tls_cert, tls_key)))
    except ssl.SSLError as error:
        raise UsageProblem(
            f"--tls-cert {tls_cert} cannot be used: {error.reason or 'no certificate with its key'}",
            hint="both are files in PEM form; give the key with --tls-key if it is in another file",
        ) from error
    except OSError as error:
        raise UsageProblem(f"cannot listen on port {port}: {error.strerror}", hint="choose another --port") from error
    finally:
        world.close()
    raise SystemExit(Exit.DONE)


def _fleet(options: FleetOptions, inventory: Path | None) -> FleetOptions | Fleet:
    if inventory is None:
        return options
    from runner.simulator.inventory import load_fleet

    return load_fleet(inventory, options)


def _credentials(with_token: bool) -> Credentials:
    """Those of the environment, and new ones for what it lacks."""
    import secrets

    from runner.simulator.switches import Credentials, OidcTrust

    keys = Credentials.generated(*(os.environ.get(name) or None for name in (AK, SK, PASSWORD)))
    if issuer_secret := os.environ.get(OIDC_SECRET):
        if len(issuer_secret) < 16:
            raise UsageProblem(f"{OIDC_SECRET} is shorter than 16 characters", hint="set a longer one")
        keys = keys.model_copy(update={"oidc": OidcTrust(secret=issuer_secret)})
    return keys.model_copy(update={"security_token": secrets.token_urlsafe(60)}) if with_token else keys


def _options(
    fleet: FleetOptions | Fleet, scenario: Path | None, time_scale: float, control: bool, credentials: Credentials
) -> CloudOptions:
    from runner.simulator.scenario import Scenario, load_scenario
    from runner.simulator.state import CloudOptions

    loaded = Scenario() if scenario is None else load_scenario(scenario)
    return CloudOptions(fleet, credentials, loaded.switches, loaded.rules, loaded.digest, time_scale, control)


def _speaking(options: CloudOptions, cloud: str | None) -> CloudOptions:
    """The same cloud in this dialect; without one, in that of the scenario."""
    from dataclasses import replace

    return replace(options, switches=options.switches.model_copy(update={"cloud": cloud})) if cloud else options


def _with_instance(options: CloudOptions, server: str | None) -> CloudOptions:
    """The same cloud with the metadata service of one of its servers. Raises UsageProblem for one it does not have."""
    from dataclasses import replace

    from runner.simulator.fleet import Fleet, generate
    from runner.simulator.switches import Instance

    if server is None or options.credentials is None:
        return options
    fleet = options.fleet if isinstance(options.fleet, Fleet) else generate(options.fleet)
    found = next((s.id for s in fleet.servers if server in (s.id, s.name)), None)
    if found is None:
        raise UsageProblem(f"--metadata-of {server}: the fleet has no server of this name or id")
    keys = options.credentials.model_copy(update={"instance": Instance(server=found)})
    return replace(options, fleet=fleet, credentials=keys)


def _world(options: CloudOptions, path: Path | None) -> State:
    from runner.simulator.log import WorldMismatch
    from runner.simulator.state import State

    try:
        return State(options, state_path=path)
    except WorldMismatch as error:
        raise UsageProblem(str(error), hint="give another --state, or the options it was made with") from error


def _invalid(error: Exception) -> InvalidInput:
    from runner.model.problem import Location, Problem
    from runner.simulator.scenario import ScenarioInvalid

    assert isinstance(error, ScenarioInvalid)  # noqa: S101 - the only caller catches this
    return InvalidInput(Problem("ScenarioInvalid", f, Location(error.name)) for f in error.findings)


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    from runner.simulator.server import Tls

    return Tls(certificate, key) if certificate else None


async def _serve(world: State, port: int, tls: Tls | None) -> None:
    """Serve until a signal comes, which is the ordinary end."""
    import asyncio
    import signal

    from runner.simulator.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(world, port=port, tls=tls) as running:
        _explain(running)
        await stop.wait()
        click.echo("simulated cloud: stopped", err=True)


def _target(running: Running) -> str:
    """The target to write. One that is to be spoken to as OTC names every endpoint: else the rule's would hold."""
    if running.state.options.switches.cloud == "otc":
        services = ", ".join(f"{service}: '{running.url}'" for service in ("ecs", "iam", "ces", "autoscaling"))
        return f"{{cloud: otc, region: {running.region}, endpoints: {{{services}}}}}"
    return f"{{cloud: simulator, region: {running.region}, endpoints: {{ecs: '{running.url}'}}}}"


def _explain(running: Running) -> None:
    """How to point a client at it: environment lines on stdout, the rest as comments, so that `source` works."""
    keys = running.state.credentials
    click.echo(f"# simulated cloud: {len(running.state.fleet.servers)} servers at {running.url}")
    exports = [("HUAWEICLOUD_SDK_AK", keys.ak), ("HUAWEICLOUD_SDK_PROJECT_ID", running.project_id)]
    if not os.environ.get(SK):
        exports.insert(1, ("HUAWEICLOUD_SDK_SK", keys.sk))
    if keys.security_token is not None:
        exports.append(("HUAWEICLOUD_SDK_SECURITY_TOKEN", keys.security_token))
    for name, value in exports:
        click.echo(f"export {name}={shlex.quote(value)}")
    if os.environ.get(SK):
        click.echo(f'export HUAWEICLOUD_SDK_SK="${SK}"')
    password = f"${PASSWORD}" if os.environ.get(PASSWORD) else keys.password
    click.echo(
        f"# or a token: user {keys.user}, domain {keys.domain}, password {password}, at {running.url}/v3/auth/tokens\n"
        "# in reboot-runner.yaml:\n"
        "#   targets:\n"
        f"#     simulated: {_target(running)}"
    )
    if running.url.startswith("https:"):
        click.echo("# its certificate is trusted with REBOOT_RUNNER_CA_FILE=the certificate of its authority")
    if keys.oidc is not None:
        trust = keys.oidc
        if running.state.options.switches.cloud == "otc":  # it has no STS
            who = f"HUAWEICLOUD_SDK_IDP_ID={trust.idp_id}, and HUAWEICLOUD_SDK_ID_TOKEN_FILE"
        else:
            who = f"HUAWEICLOUD_OIDC_PROVIDER_URN={trust.provider_urn} HUAWEICLOUD_OIDC_AGENCY_URN={trust.agency_urn}"
        click.echo(f"# or OIDC: {who}\n#   ID tokens: HS256, iss {trust.issuer}, aud {trust.audience}, any sub")
    if keys.instance is not None:
        click.echo(
            f"# or as server {keys.instance.server}, which its metadata service says and gives keys to:\n"
            f"#   export REBOOT_RUNNER_METADATA={running.url}"
        )
    if running.state.options.control:
        click.echo(f"# control: {running.url}/_simulator/state, /log, /faults, /switches")
    click.echo("# Ctrl-C stops it")
