"""The policy in commands: loaded once, asked about each plan."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.app.app import App
from runner.app.targets import WantedTargets
from runner.errors import InvalidInput
from runner.loading.config import LoadedConfig, load_config
from runner.loading.plan import Loaded
from runner.loading.policy_file import LoadedPolicy, require_policy
from runner.model.problem import Problem


@dataclass(frozen=True)
class Police:
    """The policy that holds for a command, or that there is none: then nothing is ever wrong."""

    loaded: LoadedPolicy
    config: LoadedConfig

    @classmethod
    def of(cls, config: LoadedConfig) -> Police:
        """The policy of a configuration on disk. What is wrong with it is in `loaded.problems`."""
        if config.config.policy is None:
            return cls(LoadedPolicy(None, None), config)
        from runner.loading.policy import load_policy

        return cls(load_policy(config, Path.cwd()), config)

    def demand_usable(self) -> None:
        """Raises InvalidInput where there is a policy that cannot be used: then nothing may run."""
        require_policy(self.loaded)

    def plans_among(self, files: Iterable[Path]) -> list[Path]:
        """The same files without the policy's own: it lies where plans are searched."""
        own = self.loaded.path
        return [path for path in files if own is None or path.resolve() != own.resolve()]

    def judge(self, plan: Loaded, targets: Sequence[str] = ()) -> list[Problem]:
        """What a plan breaks by what is written in it, each problem at its place in the file.

        `targets` are those that will be used; without any the plan's own, or the only one there is.
        """
        if self.loaded.policy is None or plan.plan is None:
            return []
        from runner.planning.policy import judge_plan

        try:
            path = self.loaded.path_of(Path(plan.name))
        except InvalidInput as error:
            return list(error.problems)
        known = list(self.config.config.targets)
        named: Sequence[str | None] = targets or [t for t in WantedTargets.of(plan.plan).names if t]
        named = named or (known if len(known) == 1 else [None])
        found: dict[Problem, None] = {}
        for target in named:
            found.update(dict.fromkeys(judge_plan(self.loaded.policy, plan.plan, path, target)))
        return [plan.place(p) for p in found]


def rules_of(app: App, revision: str | None) -> tuple[LoadedConfig, Police]:
    """Configuration and policy of a revision, or of the working tree. What is wrong with them
    is in their problems.

    Raises UnknownRevision, GitError.
    """
    if revision is not None:
        from runner.app.rules import rules_at

        return rules_at(app, revision)
    config = load_config(app.config, Path.cwd(), os.environ)
    return config, Police.of(config)
