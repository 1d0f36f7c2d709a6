"""What the policy says about a schedule, and the rules of a revision."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from pathlib import Path

from runner.app.app import App
from runner.app.policy import Police
from runner.git.repository import Repository
from runner.loading.config import LoadedConfig
from runner.loading.plan import Loaded
from runner.loading.policy import load_policy_text
from runner.loading.policy_file import LoadedPolicy
from runner.loading.revision import load_config_at
from runner.model.inventory import Inventory
from runner.model.problem import Location, Problem
from runner.model.schedule import Schedule
from runner.planning.dead_words import dead_of_policy
from runner.planning.lifted import Lift
from runner.planning.policy import judge_schedule, loosened
from runner.planning.support_lifted import loosened_support
from runner.planning.targets_lifted import changed_configuration


def policy_problems(
    police: Police, plan: Loaded, schedule: Schedule, inventory: Inventory
) -> list[Problem]:
    """What a plan breaks of the policy, by what is written in it and by what became of it,
    each at its place.
    """
    policy, path = police.loaded.policy, police.loaded.path
    if policy is None:
        return []
    names = [t.name for t in schedule.targets]
    made = [plan.place(p) for p in judge_schedule(policy, plan.plan, schedule, inventory)]
    if policy.forbidden is not None:
        where = Location(Path(os.path.relpath(path)).as_posix()) if path else None
        is_all = police.config.config.targets.keys() <= set(names)
        dead = dead_of_policy(policy.forbidden.selector, inventory, is_all=is_all)
        made += [replace(p, location=where) for p in dead]
    return [*police.judge(plan, names), *made]


def rules_at(app: App, revision: str) -> tuple[LoadedConfig, Police]:
    """See `rules_of`: as they are in a revision."""
    repository = Repository.find(Path.cwd(), os.environ)
    root, commit = repository.root, repository.resolve(revision)

    def read(path: str) -> bytes | None:
        return repository.read(commit, path)

    here = repository.path_of(Path.cwd())
    named = repository.path_of(Path.cwd() / app.config) if app.config is not None else None
    start = "" if here in (None, ".") else here
    config = load_config_at(read, os.environ, root=root, start=start or "", path=named)
    policy = config.config.policy
    if policy is None or config.path is None:
        return config, Police(LoadedPolicy(None, None), config)
    path = posixpath.normpath(
        (config.path.absolute().parent.relative_to(root.absolute()) / policy).as_posix()
    )
    data = None if path.startswith("../") else read(path)
    if data is not None:
        return config, Police(load_policy_text(data, path, config.config, root), config)
    hint = "add the file, or remove policy: from the configuration"
    missing = Problem("Unreadable", "the policy is not in the base revision", Location(path), hint)
    return config, Police(LoadedPolicy(None, Path(path), (missing,), root), config)


def loosened_rules(app: App, revision: str, police: Police) -> tuple[Lift, ...]:
    """Return which rules the policy loosens against that of a revision, which support its
    configuration protects less, and which targets, sources of gates and stores became
    others.

    Nothing of what cannot be used in one of the two.
    """
    config, before = rules_at(app, revision)
    found: list[Lift] = []
    if before.loaded.is_valid and police.loaded.is_valid:
        found += loosened(before.loaded.policy, police.loaded.policy)
    if config.is_valid and police.config.is_valid:
        found += loosened_support(config.config.targets, police.config.config.targets)
        found += changed_configuration(config.config, police.config.config)
    return tuple(found)
