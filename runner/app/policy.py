"""The policy in commands: loaded once, asked about each plan."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.app import App
from runner.app.targets import WantedTargets
from runner.errors import InvalidInput
from runner.loading.config import LoadedConfig, load_config
from runner.loading.plan import Loaded
from runner.loading.policy_file import LoadedPolicy, require_policy
from runner.model.problem import Location, Problem

if TYPE_CHECKING:
    from runner.loading.revision import RevisionReader
    from runner.model.inventory import Inventory
    from runner.model.schedule import Schedule
    from runner.planning.lifted import Lift


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

    @classmethod
    def at(cls, config: LoadedConfig, read: RevisionReader, root: Path) -> Police:
        """The policy that a revision's configuration names, as it is in that revision. `root`: of the repository."""
        from runner.loading.policy import load_policy_text

        name = config.config.policy
        if name is None or config.path is None:
            return cls(LoadedPolicy(None, None), config)
        path = posixpath.normpath((config.path.absolute().parent.relative_to(root.absolute()) / name).as_posix())
        data = None if path.startswith("../") else read(path)
        if data is None:
            hint = "add the file, or remove policy: from the configuration"
            missing = Problem("Unreadable", "the policy is not in the base revision", Location(path), hint)
            return cls(LoadedPolicy(None, Path(path), (missing,), root), config)
        return cls(load_policy_text(data, path, config.config, root), config)

    def demand_usable(self) -> None:
        """Raises InvalidInput where there is a policy that cannot be used: then nothing may run."""
        require_policy(self.loaded)

    def judge_made(self, plan: Loaded, schedule: Schedule, inventory: Inventory) -> list[Problem]:
        """What a plan breaks by what is written in it and by what became of it, each problem at its place."""
        from runner.planning.dead_words import dead_of_policy
        from runner.planning.policy import judge_schedule

        policy = self.loaded.policy
        if policy is None:
            return []
        names = [t.name for t in schedule.targets]
        made = [plan.place(p) for p in judge_schedule(policy, plan.plan, schedule, inventory)]
        if policy.forbidden is not None:
            path = self.loaded.path
            where = Location(Path(os.path.relpath(path)).as_posix()) if path else None
            dead = dead_of_policy(
                policy.forbidden.selector, inventory, is_all=self.config.config.targets.keys() <= set(names)
            )
            made += [replace(p, location=where) for p in dead]
        return [*self.judge(plan, names), *made]

    def held_to(self, planned: Iterable[Problem]) -> list[Problem]:
        """What planning found, with the warnings that the policy makes errors."""
        from runner.planning.policy import held_to

        return list(planned) if self.loaded.policy is None else held_to(self.loaded.policy, planned)

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
        named: Sequence[str | None] = targets or [t for t in WantedTargets.of(plan.plan).names if t]
        found: dict[Problem, None] = {}
        for target in named or [self._only_target()]:
            found.update(dict.fromkeys(judge_plan(self.loaded.policy, plan.plan, path, target)))
        return [plan.place(p) for p in found]

    def _only_target(self) -> str | None:
        targets = self.config.config.targets
        return next(iter(targets)) if len(targets) == 1 else None


def rules_of(app: App, revision: str | None) -> tuple[LoadedConfig, Police]:
    """Configuration and policy of a revision, or of the working tree. What is wrong with them is in their problems.

    Raises UnknownRevision, GitError.
    """
    if revision is None:
        config = load_config(app.config, Path.cwd(), os.environ)
        return config, Police.of(config)
    from runner.git.repository import Repository
    from runner.loading.revision import load_config_at

    repository = Repository.find(Path.cwd(), os.environ)
    commit = repository.resolve(revision)

    def read(path: str) -> bytes | None:
        return repository.read(commit, path)

    here = repository.path_of(Path.cwd())
    named = repository.path_of(Path.cwd() / app.config) if app.config is not None else None
    start = "" if here in (None, ".") else here
    config = load_config_at(read, os.environ, root=repository.root, start=start or "", path=named)
    return config, Police.at(config, read, repository.root)


def loosened_rules(app: App, revision: str, police: Police) -> tuple[Lift, ...]:
    """Return which rules the policy loosens against that of a revision, which support its configuration protects less,
    and which targets, sources of gates and stores became others.

    Nothing of what cannot be used in one of the two.
    """
    from runner.planning.policy import loosened
    from runner.planning.support_lifted import loosened_support
    from runner.planning.targets_lifted import changed_configuration

    config, before = rules_of(app, revision)
    found: list[Lift] = []
    if before.loaded.is_valid and police.loaded.is_valid:
        found += loosened(before.loaded.policy, police.loaded.policy)
    if config.is_valid and police.config.is_valid:
        found += loosened_support(config.config.targets, police.config.config.targets)
        found += changed_configuration(config.config, police.config.config)
    return tuple(found)
