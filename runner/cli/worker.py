"""`worker`: advance the due runs of a store for as long as the process lives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from runner.app.app import App
from runner.cli.options import Length
from runner.errors import UsageProblem


class HostPort(click.ParamType[tuple[str, int]]):
    """`127.0.0.1:9464`, `[::]:9464`, `0.0.0.0:0`: an address of this machine and a port."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
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
    epilog="""\b
Examples:
  reboot-runner worker                                      one of any number, on any number of machines
  reboot-runner worker --runs 50 --listen 0.0.0.0:9464      in a container: probes and Prometheus reach it
  REBOOT_RUNNER_STORE=postgresql://… reboot-runner worker
  reboot-runner worker --engine temporal --temporal-address temporal.example.com:7233 --namespace ops
"""  # noqa: E501
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Most runs that are advanced at once.",
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
@click.option(
    "--engine",
    type=click.Choice(["store", "temporal"]),
    default="store",
    show_default=True,
    help=(
        "Who says which run is next: the store itself, or workflows of a Temporal cluster "
        "(extra `temporal`)."
    ),
)
@click.option(
    "--temporal-address", metavar="HOST:PORT", help="Of the cluster; else TEMPORAL_ADDRESS."
)
@click.option("--namespace", help="Of the cluster; else TEMPORAL_NAMESPACE, else `default`.")
@click.option("--task-queue", help="One for each store.  [default: reboot-runner]")
@click.pass_obj
def command(
    app: App,
    runs: int,
    grace: timedelta,
    listen: tuple[str, int],
    engine: str,
    temporal_address: str | None,
    namespace: str | None,
    task_queue: str | None,
) -> int:
    """Advance the open runs of the store, each when it is due, until SIGTERM or SIGINT.

    Any number of workers, of `reconcile` in cron and of people with `run` and `resume`
    share one store: a run is advanced by one of them at a time. A worker never starts a
    run: work is begun by `run`. New runs and a person's decisions are seen within a second.
    What fails is tried again later and does not stop the others. The configuration is read
    again every second.

    On the first signal nothing new is begun, requests on their way get the grace period to
    be answered, and every run is left to the others; it exits 143 (SIGTERM) or 130
    (SIGINT). A second signal ends it at once.

    With --engine temporal each open run has a workflow `reboot-runner/RUN` that takes the
    steps; the journal in the store stays the truth, and `approve`, `cancel` and `status`
    work as ever.
    """
    from runner.app.worker_base import Options

    options = Options(runs, grace.total_seconds(), listen)
    if engine == "temporal":
        from runner.app import temporal_worker
        from runner.temporal.driving import Cluster

        cluster = Cluster(temporal_address, namespace, task_queue or "reboot-runner")
        return temporal_worker.work(app, options, cluster)
    if temporal_address or namespace or task_queue:
        raise UsageProblem(
            "--temporal-address, --namespace and --task-queue go with --engine temporal"
        )
    from runner.app import worker

    return worker.work(app, options)
