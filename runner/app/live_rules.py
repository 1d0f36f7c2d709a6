"""The rules of this moment for a run that goes on: policy, protected servers, calendars and gates.

A run lives long, so each is read again when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.app.app import App
from runner.app.gates import gatekeeper
from runner.app.open_target import Session
from runner.app.policy import Police
from runner.app.targets import all_targets
from runner.execution.site import LiveRules
from runner.loading.config import LoadedConfig, load_config
from runner.loading.current import current_freezes
from runner.model.events import Why
from runner.model.gate import Gate, GateAnswer, GateState
from runner.model.inventory import Inventory, Server
from runner.model.run import Run
from runner.model.window import CurrentFreezes
from runner.planning.policy import forbidden_now
from runner.planning.spared import spare_now


@dataclass
class ConfiguredRules(LiveRules):
    """See `LiveRules`. `sessions`: the targets that could be opened, by name."""

    app: App
    sessions: Mapping[str, Session]
    spares_any = True
    _told: bool = False

    def _config(self) -> LoadedConfig:
        return load_config(self.app.config, Path.cwd(), os.environ)

    def forbidden(self, run: Run, servers: Mapping[str, Server]) -> str | None:
        """A policy that cannot be used forbids all."""
        loaded = Police.of(self._config()).loaded
        if not loaded.is_valid:
            return f"the policy cannot be used: {loaded.problems[0].message}"
        if loaded.policy is None:
            return None
        wave = Inventory(tuple(sorted(servers.values(), key=lambda s: s.id)), run.created)
        return forbidden_now(loaded.policy, run.schedule, wave)

    def spared(
        self, run: Run, target: str, group: str, servers: Mapping[str, Server]
    ) -> Mapping[str, Why]:
        """Where the configuration cannot be read the one that the run was taken up with holds."""
        spared, config = self.sessions[target].spared, self._config()
        current = all_targets(config).get(target) if config.is_valid else None
        if current is not None:
            spared = replace(spared, support=current.support)
        return spare_now(spared, run.schedule, group, servers)

    def freezes(self, run: Run, now: datetime) -> CurrentFreezes | None:
        """Read the calendars of the checkout that this process runs in. Says once when they
        are not in it.
        """
        schedule = run.schedule
        zone = schedule.windows[0].timezone if schedule.windows else "UTC"
        found = current_freezes(schedule.plan_file, schedule.plan_name, zone, Path.cwd(), now)
        if found is None and schedule.calendars and not self._told:
            self._told = True
            what = f"the calendars of {schedule.plan_name} are not at hand here"
            self.app.talk(f"{what}; the run's own copy of its freezes holds", run=run.id)
        return found

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        """Ask with the sources that the configuration has now."""
        loaded = self._config()
        if not loaded.is_valid:
            return GateAnswer(
                GateState.CANNOT_TELL, "", "the configuration cannot be used as it is now"
            )
        return await gatekeeper(self.app, loaded, self.sessions).ask(gate, servers)
