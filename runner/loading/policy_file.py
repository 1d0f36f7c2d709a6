"""The file of a policy as commands hold it, and where a plan lies, as the policy's paths see it.

Where no policy is configured, its model and its reader are not imported: this module is all
there is of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import InvalidInput
from runner.loading.files import check_inside
from runner.loading.source import Unreadable
from runner.model.problem import Location, Problem

if TYPE_CHECKING:
    from runner.model.policy import Policy


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, or that there is none. With an error in `problems` there is one that cannot be
    used: nothing may run.

    `root` is the folder from which the policy's paths are written. None where the policy
    was read as a text.
    """

    policy: Policy | None
    path: Path | None
    problems: tuple[Problem, ...] = ()
    root: Path | None = None

    @property
    def is_valid(self) -> bool:
        return not any(p.severity == "error" for p in self.problems)

    def path_of(self, plan: Path) -> str:
        """A plan file as the rules see it. Raises InvalidInput where it lies outside the
        repository of the policy.
        """
        try:
            return path_in_repository(plan, self.root or Path())
        except Unreadable as error:
            said = f"the policy cannot judge the plan: the file {error.message}"
            raise InvalidInput(
                [Problem(error.code, said, Location(plan.as_posix()), error.hint)]
            ) from None


def require_policy(loaded: LoadedPolicy) -> Policy | None:
    """The policy, or None where there is none. Raises InvalidInput where there is one that
    cannot be used.
    """
    if not loaded.is_valid:
        raise InvalidInput(loaded.problems)
    return loaded.policy


def path_in_repository(path: Path, root: Path) -> str:
    """Where a file lies, from the repository's root, with `/`; its links are resolved first.

    Raises Unreadable for a file outside, and for a path that is spelled otherwise than on
    disk: a file system that does not tell `Plans` from `plans` must not let a path slip
    past a rule.
    """
    base = root.resolve()
    real = check_inside(path, root)
    folder = base
    for part in real.relative_to(base).parts:
        try:
            listed = any(entry.name == part for entry in folder.iterdir())
        except OSError:
            listed = False
        if not listed:
            hint = "write the path as it is listed, with the same upper and lower case"
            raise Unreadable("Unreadable", "does not exist under exactly this name", hint)
        folder /= part
    return real.relative_to(base).as_posix()
