"""`doctor`: whether plans could run from here, and what to mend. Reads only; it never asks for a reboot."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import Length

if TYPE_CHECKING:
    from runner.app.policy import Police
    from runner.loading.config import LoadedConfig
    from runner.report.doctor import Diagnosis


@click.command(
    "doctor",
    short_help="Check configuration, credentials, network, permissions, store.",
    epilog="""\b
Examples:
  reboot-runner doctor                        everything; exit 0, or what kind of thing is wrong
  reboot-runner doctor --target prod-eu -o json
  reboot-runner doctor --policy > policy.json   the IAM policy that runs need, and no more
""",
)
@click.option("--target", "targets", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--plans",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Plans (files, folders) whose gates say what else is needed; else the folder plans.",
)
@click.option("--policy", is_flag=True, help="Print a custom policy for IAM with the needed actions. Asks nobody.")
@click.option(
    "--timeout", type=Length(), default="10s", show_default=True, help="Of each question; the whole is a few of them."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form on stdout."
)
@click.pass_context
def command(
    ctx: click.Context, targets: tuple[str, ...], plans: tuple[Path, ...], policy: bool, timeout: timedelta, output: str
) -> None:
    """Check from here all that a run needs, and say how to mend what is wrong. Reboots nothing.

    Configuration, policy and sources; for each target the way to its endpoints, credentials, the login, clocks, the
    project, permissions, servers; the store. Exits 0 (warnings allowed), 3 for an invalid configuration, 77 for
    credentials or permissions, 1 for anything else that failed.
    """
    import asyncio

    from runner.app.policy import rules_of

    app: App = ctx.obj
    loaded, police = rules_of(app, None)
    if policy:
        return _print_policy(app, loaded, police, targets, plans)
    found = asyncio.run(_examine(ctx, loaded, police, targets, plans, timeout.total_seconds()))
    _show(app, found, output, ctx.color)
    if found.exit_code:
        ctx.exit(found.exit_code)
    return None


def _show(app: App, found: Diagnosis, output: str, color: bool | None) -> None:
    from runner.report.doctor import doctor_document, doctor_text
    from runner.report.log_lines import json_text

    if output == "json":
        return app.echo(json_text(doctor_document(found), indent=2))
    return app.show(doctor_text(found, lambda text, color: click.style(text, fg=color)), color=color)


async def _examine(
    ctx: click.Context,
    loaded: LoadedConfig,
    police: Police,
    names: tuple[str, ...],
    plans: tuple[Path, ...],
    within_s: float,
) -> Diagnosis:
    """All sections; targets and store at the same time. Raises InvalidInput for a target that is not there."""
    import asyncio

    from runner.app.doctor import settings
    from runner.app.doctor.store import store
    from runner.app.doctor.target import Examination
    from runner.app.targets import all_targets, base_folder, store_url
    from runner.report.doctor import Diagnosis

    app: App = ctx.obj
    problems = (*loaded.problems, *police.loaded.problems)
    url, base = store_url(app, loaded), base_folder(loaded)
    program = settings.program()
    if not (loaded.is_valid and police.loaded.is_valid):
        return Diagnosis((program, settings.unusable(loaded, police)), problems)
    chosen = _chosen(loaded, names)
    known = all_targets(loaded)
    found = settings.look_at_plans(loaded, police, plans)
    real = any(known[name].cloud != "simulator" for name in chosen)
    sections = await asyncio.gather(
        settings.configuration(loaded, police, found, within_s),
        store(url, _origin(app, loaded), base, within_s, real=real),
        *(Examination(app, loaded, name, known[name], found.alarms, within_s).section() for name in chosen),
    )
    return Diagnosis((program, *sections), problems)


def _chosen(loaded: LoadedConfig, names: tuple[str, ...]) -> list[str]:
    """The targets that are named, each once; without a name all that are configured."""
    from runner.app.targets import choose_target

    return list(dict.fromkeys(choose_target(loaded, name) for name in names)) or sorted(loaded.config.targets)


def _origin(app: App, loaded: LoadedConfig) -> str:
    """Where the store's URL comes from."""
    from runner.loading.origins import origin_of

    if app.store:
        return "--store"
    return str(origin_of(loaded, ("store",), os.environ))


def _print_policy(
    app: App, loaded: LoadedConfig, police: Police, names: tuple[str, ...], plans: tuple[Path, ...]
) -> None:
    """The policy for the targets that are meant: all of them may be given it."""
    from runner.app.doctor.settings import look_at_plans
    from runner.app.targets import all_targets
    from runner.cloud.permissions import needs, policy
    from runner.errors import InvalidInput, UsageProblem

    if not (loaded.is_valid and police.loaded.is_valid):
        raise InvalidInput([*loaded.problems, *police.loaded.problems])
    chosen = _chosen(loaded, names)
    configs = [all_targets(loaded)[name] for name in chosen]
    clouds = sorted({config.cloud for config in configs if config.cloud != "simulator"})
    if len(clouds) > 1:
        raise UsageProblem(
            f"the targets are of several clouds ({', '.join(clouds)}), whose actions have different names",
            hint="choose those of one cloud with --target",
        )
    cloud, lookup = next(iter(clouds), "simulator"), any(config.project_id is None for config in configs)
    wanted = needs(cloud, alarms=look_at_plans(loaded, police, plans).alarms, lookup=lookup)
    app.echo(json.dumps(policy(wanted), indent=2))
    elsewhere = policy(wanted, is_global=True)["Statement"][0]["Action"]
    if elsewhere:
        app.talk(
            f"where project_id is not configured, {', '.join(elsewhere)} is needed too: an action of a global service,"
            " which IAM wants in a policy of its own"
        )
