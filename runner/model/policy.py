"""The policy as people mean it: belts that every plan of a repository must obey.

Every rule is optional, a policy without any is refused by the loader. What each rule means,
and what it means that it is not written, is said in docs/policy.md; the rules are judged by
`runner/planning/policy.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from runner.model.plan import (
    Budget,
    Ids,
    Many,
    Part,
    Selector,
    TagKey,
    TagValues,
    Text,
    Texts,
    Version,
    as_the_cloud_writes,
    only_true,
)

_ANY_DEPTH = "**"


def _path_glob(value: str) -> str:
    parts = value.split("/")
    if "\\" in value or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            "write it from the repository's root, with single slashes and without . and .."
        )
    if any(_ANY_DEPTH in part and part != _ANY_DEPTH for part in parts):
        raise ValueError("** stands alone between slashes, for example plans/**/web.yaml")
    if not re.search(r"[*?\[.]", parts[-1]):
        raise ValueError(f"matches files, and this looks like a folder; write {value[:200]}/**")
    return value


PathGlob = Annotated[Text, AfterValidator(_path_glob)]
PathGlobs = Annotated[tuple[PathGlob, ...], Field(min_length=1, max_length=1000), Many(or_one=True)]
OnUnknown = Annotated[
    tuple[Literal["hold", "retry"], ...], Field(min_length=1, max_length=10), Many(or_one=True)
]
_SAYS_SOMETHING = ConfigDict(json_schema_extra={"minProperties": 1})


class Most(Part):
    """A number of servers, a percentage, or both: then both hold."""

    model_config = _SAYS_SOMETHING

    servers: Annotated[int, Field(ge=1)] | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None


class Above(Part):
    """The size from which on a rule holds: more servers than this."""

    above: Annotated[int, Field(ge=0)]


class HardRule(Part):
    """Where HARD reboots are allowed. With both keys both must match."""

    model_config = _SAYS_SOMETHING

    paths: PathGlobs | None = Field(
        None, description="Plan files, by globs from the repository's root."
    )
    targets: Texts | None = Field(None, description="Targets of the configuration.")


class Forbidden(Part):
    """Servers that no plan may reboot: those that match any one key or tag, as in `exclude`."""

    model_config = _SAYS_SOMETHING

    ids: Annotated[Ids, AfterValidator(as_the_cloud_writes)] | None = Field(
        None, description="Server ids."
    )
    names: Texts | None = Field(None, description="Shell globs, for example db-*.")
    tags: dict[TagKey, TagValues] | None = Field(
        None, min_length=1, description="Any one tag with one of its values."
    )
    zones: Texts | None = Field(None, description="Availability zones.")
    flavors: Texts | None = Field(None, description="Flavor ids.")
    server_groups: Texts | None = Field(
        None, description="Ids or names of the cloud's anti-affinity groups."
    )
    enterprise_projects: Texts | None = Field(
        None, description="Ids of enterprise projects; 0 is the default one."
    )

    @cached_property
    def selector(self) -> Selector:
        """The same as a selector, to be matched as `exclude` is."""
        return Selector(**{name: getattr(self, name) for name in type(self).model_fields})


class TargetRule(Part):
    """Which targets the plans of some paths may use."""

    paths: PathGlobs = Field(description="Plan files, by globs from the repository's root.")
    allow: Texts = Field(description="Targets of the configuration.")


class Policy(Part):
    """`policy.yaml`: what every plan of the repository must obey."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    version: Version = Field(description="Of the format.")
    limits: Most | None = Field(
        None, description="The most servers a plan may reboot, and its limits may say."
    )
    max_wave: Most | None = Field(
        None, description="The largest wave; percent is of the group's eligible servers."
    )
    canary: Above | None = Field(
        None, description="Groups with more eligible servers begin with a wave of 1."
    )
    approval: Above | None = Field(
        None, description="Plans with more servers wait for an approval after their first wave."
    )
    max_failures: Budget | None = Field(
        None, description="The most that a plan's max_failures may be."
    )
    windows: Literal["required"] | None = Field(
        None, description="Every plan says when its waves may start."
    )
    gates: Literal["required"] | None = Field(
        None, description="Every plan has a gate that decides."
    )
    hard: HardRule | None = Field(
        None, description="Where HARD reboots are allowed; without it nowhere."
    )
    on_unknown: OnUnknown | None = Field(
        None, description="The values of on_unknown that plans may have."
    )
    exclude_must_match: Annotated[Literal[True], BeforeValidator(only_true)] | None = Field(
        None,
        description="A word of a plan's exclude that matches no server of the target is an error.",
    )
    forbidden: Forbidden | None = Field(None, description="Servers that no plan may reboot.")
    targets: (
        Annotated[tuple[TargetRule, ...], Field(min_length=1, max_length=1000), Many()] | None
    ) = Field(
        None,
        description=(
            "The first rule with a matching path decides; a plan without one may use no target."
        ),
    )


def matches_path(globs: Iterable[str], path: str) -> bool:
    """Whether one of the globs is the path of a file, both from the repository's root.

    `*`, `?` and `[…]` stay inside a folder's or file's name, `**` is any number of folders,
    upper and lower case differ. `plans/**` matches `plans/a.yaml` and `plans/x/a.yaml`,
    never `old/plans/a.yaml`.
    """
    parts = path.split("/")
    return any(_matches(glob.split("/"), parts) for glob in globs)


def _matches(glob: Sequence[str], parts: Sequence[str]) -> bool:
    """By the set of positions in `parts` that can be reached: no glob takes more than its
    length times the path's.
    """
    reached = {0}
    for n, piece in enumerate(glob):
        if piece == _ANY_DEPTH:
            least = min(reached) + (n == len(glob) - 1)  # the last piece is a file at least
            reached = set(range(least, len(parts) + 1))
        else:
            fits = re.compile(translate(piece)).match
            reached = {k + 1 for k in reached if k < len(parts) and fits(parts[k])}
        if not reached:
            return False
    return len(parts) in reached
