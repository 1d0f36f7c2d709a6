"""`simulator`: serve the simulated cloud over HTTP until it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from runner.app.app import App

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)

EPILOG = """\b
Examples:
  reboot-runner simulator                                    60 servers on a free port
  reboot-runner simulator --port 8080 --servers 1000 --time-scale 60
  reboot-runner simulator --scenario faults.yaml --control   with faults; more can be added while it runs
  reboot-runner simulator --state cloud.db                   stopped or killed, it goes on from the file

It prints what to export and what to write into reboot-runner.yaml, so that the tool (or the vendor's SDK) finds it.

REBOOT_RUNNER_SIMULATOR_AK, REBOOT_RUNNER_SIMULATOR_SK and
REBOOT_RUNNER_SIMULATOR_PASSWORD fix the credentials; else they are
generated and printed. REBOOT_RUNNER_SIMULATOR_OIDC_SECRET (16 characters or more) makes it
exchange ID tokens that are signed with it (HS256) for temporary keys. A server is rebooted in 15 to 120 simulated
seconds; --time-scale makes them pass quicker.
"""  # noqa: E501


@click.command(epilog=EPILOG)
@click.option(
    "--cloud", type=click.Choice(["huaweicloud", "otc"]), help="Which cloud's dialect it speaks."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="On loopback. 0, the default, takes a free one.",
)
@click.option(
    "--servers",
    type=click.IntRange(1, 200_000),
    default=60,
    show_default=True,
    help="Size of the fleet.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**53),
    default=1,
    show_default=True,
    help="Same seed, same fleet.",
)
@click.option(
    "--region", default="eu-west-101", show_default=True, help="Its name is also the project's."
)
@click.option(
    "--zones", type=click.IntRange(1, 8), default=3, show_default=True, help="Availability zones."
)
@click.option(
    "--reboot-seconds",
    type=click.FloatRange(0.1, 86_400),
    help="Every reboot takes exactly this long.",
)
@click.option(
    "--inventory",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The fleet of this file instead.",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    default=1.0,
    show_default=True,
    help="Simulated seconds per real second.",
)
@click.option(
    "--scenario", type=click.Path(dir_okay=False, path_type=Path), help="Switches and fault rules."
)
@click.option(
    "--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the world in this file."
)
@click.option(
    "--control",
    is_flag=True,
    help="Serve /_simulator: add faults, read the log. Needs no credentials.",
)
@click.option(
    "--metadata-of",
    metavar="SERVER",
    help="Also be the metadata service of this server (name or id).",
)
@click.option(
    "--tls-cert", type=_FILE, help="Serve https with this certificate (PEM), for 127.0.0.1."
)
@click.option("--tls-key", type=_FILE, help="Its key, if it is in a file of its own.")
@click.option(
    "--security-token",
    is_flag=True,
    help="A temporary key: requests must carry its security token.",
)
@click.pass_obj
def command(app: App, /, **options: Any) -> None:
    """Serve a simulated cloud over HTTP.

    It speaks the calls of ECS and IAM that reboots need, verifies signatures and tokens,
    enforces the quota, and goes wrong as a scenario file says. It listens on loopback only,
    until SIGINT or SIGTERM.
    """
    from runner.app.serve_simulator import ServeRequest, serve_simulator

    serve_simulator(app, ServeRequest(**options))
