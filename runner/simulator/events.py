"""The lines of the log: everything that ever happened to the simulated world.

What the cloud shows is computed from them and the present moment; nothing is ever changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from runner.simulator.faults import RebootPart, Rule
from runner.simulator.switches import Switches
from runner.simulator.timeline import Millis


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """A reboot that the cloud took. `by` is `api`, or `scenario` for one that somebody else
    asked for.
    """

    at: Millis
    job: str
    request_id: str
    type: str
    parts: tuple[RebootPart, ...]
    visible: Millis
    runs_from: Millis
    ends: Millis | None
    gone: Millis | None
    status: Literal["SUCCESS", "FAIL"]
    by: Literal["api", "scenario"] = "api"
    kind: Literal["accepted"] = "accepted"


@dataclass(frozen=True, slots=True)
class Changed:
    """Something else happened to servers from `at` to `until` (None: for good).

    `values` overlay the server's own: `status`, `task_state`, `locked`, `frozen`, `deleted`,
    `tags`, `fault`. Those with `alarm`, `scaling_group` or `scheduled_event` are what other
    services know, and change nothing of the server itself.
    """

    at: Millis
    servers: tuple[str, ...]
    values: dict[str, Any]
    until: Millis | None = None
    kind: Literal["changed"] = "changed"

    def is_on(self, now: Millis) -> bool:
        """Return True while it holds."""
        return self.at <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Created:
    """`count` new servers appear at the end of the fleet."""

    at: Millis
    count: int
    kind: Literal["created"] = "created"


@dataclass(frozen=True, slots=True)
class Called:
    """One request and its answer. `status` 0: the connection was reset before the cloud
    took the request.
    """

    at: Millis
    call: str
    method: str
    path: str
    status: int
    code: str | None
    request_id: str
    faults: tuple[str, ...] = ()
    kind: Literal["called"] = "called"


@dataclass(frozen=True, slots=True)
class RulesAdded:
    """Fault rules become active. `source` tells a scenario apart from another; `replace`
    drops all older ones.
    """

    at: Millis
    rules: tuple[Rule, ...]
    source: str = ""
    replace: bool = False
    kind: Literal["rules"] = "rules"


@dataclass(frozen=True, slots=True)
class RulesMet:
    """Calls or batches met rules: those `passed` were only counted, those `fired` had their effect.

    `servers`: per fired rule, the servers it hit. Keys are positions of rules in the log's order.
    """

    at: Millis
    passed: tuple[int, ...]
    fired: tuple[int, ...]
    servers: dict[int, tuple[str, ...]] = field(default_factory=dict)
    kind: Literal["met"] = "met"


@dataclass(frozen=True, slots=True)
class Switched:
    """The switches from now on."""

    at: Millis
    switches: Switches
    kind: Literal["switched"] = "switched"


@dataclass(frozen=True, slots=True)
class TokenIssued:
    """A token or a temporary key was given out. Only a SHA-256 is kept. `expires` is real time.

    `is_scoped`: it is for the project, else it opens IAM alone.
    """

    at: Millis
    digest: str
    expires: Millis
    is_scoped: bool = True
    kind: Literal["token"] = "token"


@dataclass(frozen=True, slots=True)
class TokensExpired:
    """All tokens given out so far are no longer good."""

    at: Millis
    kind: Literal["tokens_expired"] = "tokens_expired"


Event = (
    AcceptedBatch
    | Changed
    | Created
    | Called
    | RulesAdded
    | RulesMet
    | Switched
    | TokenIssued
    | TokensExpired
)

_LINES: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def to_line(event: Event) -> bytes:
    """The event as JSON, rules written as in a scenario file."""
    return _LINES.dump_json(event, by_alias=True)


def from_line(line: bytes) -> Event:
    """Raises ValueError (pydantic's) for a line that this version does not know."""
    return _LINES.validate_json(line)
