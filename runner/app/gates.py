"""Gates in commands: what the configuration has to ask, and the answers for a dry-run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.mask import mask
from runner.app.open_target import Session, request_log
from runner.app.sessions import Sessions
from runner.checks.gatekeeper import GateSource, NetGatekeeper
from runner.execution.reading import gate_answers
from runner.loading.config import LoadedConfig
from runner.model.config import Config
from runner.model.schedule import Schedule
from runner.net.secret import Secret
from runner.report.gates import GatesNow

LONGEST_TOKEN = 8192


def sources_of(config: Config, environ: Mapping[str, str]) -> dict[str, GateSource]:
    """The sources of a configuration with their tokens, which only the environment holds."""
    made = {}
    for name, source in config.sources.items():
        secret, lacks, variable = None, "", source.token_env
        if variable is not None:
            token = environ.get(variable, "").strip()
            if not token:
                lacks = f"the environment variable {variable} is not set"
            elif len(token) > LONGEST_TOKEN or not (
                token.isascii() and token.isprintable() and " " not in token
            ):
                lacks = f"the environment variable {variable} holds no token"
            else:
                secret = Secret(token)
                mask(secret)
        made[name] = GateSource(source.kind, source.url, secret, lacks)
    return made


def gatekeeper(app: App, loaded: LoadedConfig, sessions: Mapping[str, Session]) -> NetGatekeeper:
    """Return who asks gates with the sources of a configuration, and the alarms of
    these targets.
    """
    alarms = {name: session.cloud for name, session in sessions.items()}
    return NetGatekeeper(sources_of(loaded.config, os.environ), alarms, log=request_log(app))


async def gates_now(
    app: App, loaded: LoadedConfig, sessions: Sessions, schedule: Schedule
) -> GatesNow | None:
    """What the gates of a schedule answer now; None where it has none. Never raises for
    what they do.
    """
    if not schedule.gates:
        return None
    return GatesNow(
        datetime.now(UTC), await gate_answers(schedule, gatekeeper(app, loaded, sessions.by_name))
    )
