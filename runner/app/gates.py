"""Gates in commands: what the configuration has to ask, and the answers for a dry-run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.mask import mask
from runner.app.open_target import Session, request_log
from runner.app.sessions import Sessions
from runner.checks.gatekeeper import NetGatekeeper, Source
from runner.execution.gates import ask_all
from runner.loading.config import LoadedConfig
from runner.model.config import Config
from runner.model.schedule import Schedule
from runner.net.secret import Secret
from runner.report.gates import GatesNow

LONGEST_TOKEN = 8192


def sources_of(config: Config, environ: Mapping[str, str]) -> dict[str, Source]:
    """The sources of a configuration with their tokens, which only the environment holds."""
    made = {}
    for name, source in config.sources.items():
        made[name] = Source(source.kind, source.url)
        if source.token_env is not None:
            made[name] = _with_token(made[name], source.token_env, environ)
    return made


def _with_token(source: Source, name: str, environ: Mapping[str, str]) -> Source:
    token = environ.get(name, "").strip()
    if not token:
        return replace(source, lacks=f"the environment variable {name} is not set")
    if len(token) > LONGEST_TOKEN or not (token.isascii() and token.isprintable() and " " not in token):
        return replace(source, lacks=f"the environment variable {name} holds no token")
    secret = Secret(token)
    mask(secret)
    return replace(source, token=secret)


def gatekeeper(app: App, loaded: LoadedConfig, sessions: Mapping[str, Session]) -> NetGatekeeper:
    """Return who asks gates with the sources of a configuration, and the alarms of these targets."""
    alarms = {name: session.cloud for name, session in sessions.items()}
    return NetGatekeeper(sources_of(loaded.config, os.environ), alarms, log=request_log(app))


async def gates_now(app: App, loaded: LoadedConfig, sessions: Sessions, schedule: Schedule) -> GatesNow | None:
    """What the gates of a schedule answer now; None where it has none. Never raises for what they do."""
    if not schedule.gates:
        return None
    return GatesNow(datetime.now(UTC), await ask_all(schedule, gatekeeper(app, loaded, sessions.by_name)))
