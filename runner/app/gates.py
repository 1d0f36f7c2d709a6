"""Gates in commands: what the configuration has to ask, and the answers for a dry-run."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.model.gate import Gate, GateAnswer, GateState
from runner.model.schedule import Schedule

if TYPE_CHECKING:
    from runner.app.app import App
    from runner.app.sessions import Sessions
    from runner.checks.gatekeeper import Source
    from runner.loading.config import LoadedConfig
    from runner.model.config import Config
    from runner.ports import Alarms
    from runner.report.gates import GatesNow

LONGEST_TOKEN = 8192


def sources_of(config: Config, environ: Mapping[str, str]) -> dict[str, Source]:
    """The sources of a configuration with their tokens, which only the environment holds."""
    from runner.checks.gatekeeper import Source

    made = {}
    for name, source in config.sources.items():
        made[name] = Source(source.kind, source.url)
        if source.token_env is not None:
            made[name] = _with_token(made[name], source.token_env, environ)
    return made


def _with_token(source: Source, name: str, environ: Mapping[str, str]) -> Source:
    from runner.app.mask import mask
    from runner.net.secret import Secret

    token = environ.get(name, "").strip()
    if not token:
        return replace(source, lacks=f"the environment variable {name} is not set")
    if len(token) > LONGEST_TOKEN or not (token.isascii() and token.isprintable() and " " not in token):
        return replace(source, lacks=f"the environment variable {name} holds no token")
    secret = Secret(token)
    mask(secret)
    return replace(source, token=secret)


@dataclass(frozen=True, slots=True)
class ConfiguredGatekeeper:
    """The sources as the configuration has them at the moment of asking: a run lives long. See `ports.Gatekeeper`."""

    app: App
    alarms: Mapping[str, Alarms]

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        from runner.app.open_target import request_log
        from runner.checks.gatekeeper import NetGatekeeper
        from runner.loading.config import load_config

        loaded = load_config(self.app.config, Path.cwd(), os.environ)
        if not loaded.is_valid:
            return GateAnswer(GateState.CANNOT_TELL, "", "the configuration cannot be used as it is now")
        sources, log = sources_of(loaded.config, os.environ), request_log(self.app)
        return await NetGatekeeper(sources, self.alarms, log=log).ask(gate, servers)


async def gates_now(app: App, loaded: LoadedConfig, sessions: Sessions, schedule: Schedule) -> GatesNow | None:
    """What the gates of a schedule answer now; None where it has none. Never raises for what they do."""
    if not schedule.gates:
        return None
    from datetime import UTC, datetime

    from runner.app.open_target import request_log
    from runner.checks.gatekeeper import NetGatekeeper
    from runner.execution.gates import ask_all
    from runner.report.gates import GatesNow

    sources, alarms = sources_of(loaded.config, os.environ), {n: s.cloud for n, s in sessions.by_name.items()}
    keeper = NetGatekeeper(sources, alarms, log=request_log(app))
    return GatesNow(datetime.now(UTC), await ask_all(schedule, keeper))
