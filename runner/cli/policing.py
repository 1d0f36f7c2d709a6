"""The policy in commands: loaded once, asked about each plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import InvalidInput

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig
    from runner.loading.plan import Loaded
    from runner.loading.policy import LoadedPolicy
    from runner.model.problem import Problem


@dataclass(frozen=True)
class Police:
    """The policy that holds for a command, or that there is none: then nothing is ever wrong."""

    loaded: LoadedPolicy
    config: LoadedConfig

    @classmethod
    def of(cls, config: LoadedConfig) -> Police:
        """The policy of a configuration on disk. What is wrong with it is in `loaded.problems`."""
        from runner.loading.policy import load_policy

        return cls(load_policy(config, Path.cwd()), config)

    def plans_among(self, files: Iterable[Path]) -> list[Path]:
        """The same files without the policy's own: it lies where plans are searched."""
        own = self.loaded.path
        return [path for path in files if own is None or path.resolve() != own.resolve()]

    def judge(self, plan: Loaded, target: str | None = None) -> list[Problem]:
        """What a plan breaks by what is written in it, each problem at its place in the file.

        `target` is the one that will be used; None takes the plan's own, or the only one there is.
        """
        from runner.planning.policy import judge_plan

        if self.loaded.policy is None or plan.plan is None:
            return []
        try:
            path = self.loaded.path_of(Path(plan.name))
        except InvalidInput as error:
            return list(error.problems)
        target = target or plan.plan.target or self._only_target()
        return [plan.place(p) for p in judge_plan(self.loaded.policy, plan.plan, path, target)]

    def _only_target(self) -> str | None:
        targets = self.config.config.targets
        return next(iter(targets)) if len(targets) == 1 else None
