"""The plan files that a command means, and how they are loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.app import App, PlanChoice
from runner.errors import UsageProblem
from runner.loading.config import LoadedConfig, template_env
from runner.loading.plan import LoadOptions
from runner.loading.search import find_plans
from runner.model.problem import Problem

if TYPE_CHECKING:
    from runner.app.changed_plans import Selection


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """The files that are meant, and what is wrong with the folders they were searched in."""

    files: list[Path]
    problems: list[Problem]
    selection: Selection | None = None

    @property
    def unchanged(self) -> list[Path]:
        """The plans beside them: a plan's name must not be that of one of them."""
        return self.selection.unchanged if self.selection else []


def find_chosen(app: App, chosen: PlanChoice) -> PlanFiles:
    """Return the plans that were named, that lie in a folder, or that a range of
    commits changed.
    """
    if chosen.changed is not None:
        from runner.app.changed_plans import select, tell_selection

        selection = select(
            chosen.paths, chosen.changed, os.environ, Path.cwd(), shared=chosen.vars_files
        )
        tell_selection(app, selection)
        return PlanFiles(selection.files, [], selection)
    if not chosen.paths:
        raise UsageProblem("name plans or a folder with plans, or give --changed BASE..HEAD")
    return PlanFiles(*find_plans(chosen.paths))


def options_of(chosen: PlanChoice, loaded: LoadedConfig) -> LoadOptions:
    """Return how the chosen plans are loaded, with the variables that the configuration
    lets templates read.
    """
    return LoadOptions(
        dict(chosen.variables), chosen.vars_files, template_env(loaded.config, os.environ)
    )
