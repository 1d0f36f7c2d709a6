"""The freezes of a run's plan as they are at this moment, where the plan is at hand: asked before each wave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.app.app import App
    from runner.model.run import Run
    from runner.model.window import CurrentFreezes


@dataclass(slots=True)
class Freezing:
    """Reads the calendars of the checkout that this process runs in. Says once of a run when they are not in it."""

    app: App
    said: bool = False

    def now(self, run: Run, at: datetime) -> CurrentFreezes | None:
        """What the calendars close from a moment on; None where they are not at hand. Never raises."""
        from runner.loading.current import current_freezes

        schedule = run.schedule
        zone = schedule.windows[0].timezone if schedule.windows else "UTC"
        found = current_freezes(schedule.plan_file, schedule.plan_name, zone, Path.cwd(), at)
        if found is None and schedule.calendars and not self.said:
            self.said = True
            self.app.talk(
                f"the calendars of {schedule.plan_name} are not at hand here; the run's own copy of its freezes holds",
                run=run.id,
            )
        return found
