"""`doctor`: whether plans could run from here, and what to mend. Reads only; it never asks
for a reboot.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from runner.app.app import App
from runner.app.doctor.here import (
    CONFIGURATION,
    PROGRAM,
    STORE,
    UNUSABLE,
    Here,
    asks_alarms,
    plans_of,
)
from runner.app.doctor.questions import CheckRow, ask_all
from runner.app.doctor.target import EMBEDDED, TARGET, Examined
from runner.app.policy import Police, rules_of
from runner.app.targets import all_targets, choose_target, is_embedded
from runner.errors import InvalidInput, UsageProblem
from runner.loading.config import LoadedConfig
from runner.model.shape import json_values
from runner.ports.provider import provider_of
from runner.report.doctor import About, Diagnosis, Subject, doctor_document, doctor_text
from runner.report.safe import json_text


def diagnose(
    app: App, names: tuple[str, ...], plans: tuple[Path, ...], within_s: float, output: str
) -> int:
    """Check everything and write what was found; return the exit code.

    `names`: of targets; without one all that are configured. `plans`: those whose gates
    count. `within_s`: of each question. Raises InvalidInput for a target that is not there.
    """
    found = asyncio.run(_examine(app, *rules_of(app, None), names, plans, within_s))
    if output == "json":
        app.echo(json_text(json_values(doctor_document(found)), indent=2))
    else:
        app.show(doctor_text(found, color=True))
    return found.exit_code


async def _examine(
    app: App,
    loaded: LoadedConfig,
    police: Police,
    names: tuple[str, ...],
    plans: tuple[Path, ...],
    within_s: float,
) -> Diagnosis:
    here = Here(app, loaded, police, within_s)
    problems = (*loaded.problems, *police.loaded.problems)
    program = Subject("program", "program", await ask_all(PROGRAM, here))
    if not here.is_valid:
        return Diagnosis(
            (program, Subject("configuration", "configuration", await ask_all(UNUSABLE, here))),
            problems,
        )
    chosen, known = _chosen(loaded, names), all_targets(loaded)
    here.is_real = any(known[name].cloud != "simulator" for name in chosen)
    here.plans = plans_of(loaded, police, plans)
    alarms = asks_alarms(here.plans)

    async def examine(name: str) -> Subject:
        config = known[name]
        async with AsyncExitStack() as stack:
            it = Examined(app, loaded, name, config, alarms, within_s, stack)
            checks = await ask_all(EMBEDDED if is_embedded(config) else TARGET, it)
        return Subject("target", f"target {name} ({config.cloud}, {config.region})", checks, name)

    async def section(about: About, title: str, questions: Sequence[CheckRow[Here]]) -> Subject:
        return Subject(about, title, await ask_all(questions, here))

    sections = await asyncio.gather(
        section("configuration", "configuration", CONFIGURATION),
        section("store", here.store_title, STORE),
        *map(examine, chosen),
    )
    return Diagnosis((program, *sections), problems)


def _chosen(loaded: LoadedConfig, names: tuple[str, ...]) -> list[str]:
    """Return the targets that are named, each once; without a name all that are configured."""
    return list(dict.fromkeys(choose_target(loaded, name) for name in names)) or sorted(
        loaded.config.targets
    )


def print_policy(app: App, names: tuple[str, ...], plans: tuple[Path, ...]) -> None:
    """Write the IAM policy for the targets that are meant: all of them may be given it.
    Asks nobody.
    """
    loaded, police = rules_of(app, None)
    if not (loaded.is_valid and police.loaded.is_valid):
        raise InvalidInput([*loaded.problems, *police.loaded.problems])
    chosen = _chosen(loaded, names)
    configs = [all_targets(loaded)[name] for name in chosen]
    clouds = sorted({config.cloud for config in configs if config.cloud != "simulator"})
    if len(clouds) > 1:
        raise UsageProblem(
            f"the targets are of several clouds ({', '.join(clouds)}), whose actions have "
            f"different names",
            hint="choose those of one cloud with --target",
        )
    cloud, lookup = (
        next(iter(clouds), "simulator"),
        any(config.project_id is None for config in configs),
    )
    provider, alarms = provider_of(cloud), asks_alarms(plans_of(loaded, police, plans))
    wanted = provider.permissions(alarms=alarms, lookup=lookup)
    app.echo(json.dumps(provider.policy(wanted), indent=2))
    elsewhere = provider.policy(wanted, is_global=True)["Statement"][0]["Action"]
    if elsewhere:
        app.talk(
            f"where project_id is not configured, {', '.join(elsewhere)} is needed too: an action "
            f"of a global service,"
            " which IAM wants in a policy of its own"
        )
