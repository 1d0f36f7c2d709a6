"""`worker`: advance the due runs of a store for as long as the process lives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from runner.cli.common import App
from runner.cli.options import Length


class HostPort(click.ParamType[tuple[str, int]]):
    """`127.0.0.1:9464`, `[::]:9464`, `0.0.0.0:0`: an address of this machine and a port."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            self.fail("write an IPv6 address in brackets: [::1]:9464", param, ctx)
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            self.fail("write HOST:PORT, as in 127.0.0.1:9464", param, ctx)
        return host, int(port)


@click.command(
    "worker",
    short_help="Advance due runs for as long as the process lives.",
    epilog="""\b
Examples:
  reboot-runner worker                                      one of any number, on any number of machines
  reboot-runner worker --runs 50 --listen 0.0.0.0:9464      in a container: probes and Prometheus reach it
  REBOOT_RUNNER_STORE=postgresql://… reboot-runner worker
""",
)
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most runs that are advanced at once."
)
@click.option(
    "--grace",
    type=Length(),
    default="25s",
    show_default=True,
    help="From SIGTERM to the end: how long requests on their way may still be answered.",
)
@click.option(
    "--listen",
    type=HostPort(),
    default="127.0.0.1:9464",
    show_default=True,
    help="Where /healthz, /readyz and /metrics are served; port 0 takes a free one.",
)
@click.pass_context
def command(ctx: click.Context, runs: int, grace: timedelta, listen: tuple[str, int]) -> None:
    """Advance the open runs of the store, each when it is due, until SIGTERM or SIGINT.

    Any number of workers, of `reconcile` in cron and of people with `run` and `resume` share one store: a run is
    advanced by one of them at a time. A worker never starts a run: work is begun by `run`. New runs and a person's
    decisions are seen within a second. What fails is tried again later and does not stop the others. The
    configuration is read again every second.

    On the first signal nothing new is begun, requests on their way get the grace period to be answered, and every
    run is left to the others; it exits 143 (SIGTERM) or 130 (SIGINT). A second signal ends it at once.
    """
    from runner.cli.executing import run_now
    from runner.cli.worker_base import Options
    from runner.cli.working import work

    app: App = ctx.obj
    ctx.exit(run_now(work(app, Options(runs, grace.total_seconds(), listen))))
