"""A gate as a schedule holds it: what is asked before a wave, and the three answers. Pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field as Bounds
from pydantic import StringConstraints

from runner.model.bounds import Finite, Line, Name, Statuses
from runner.model.patterns import PATH_PATTERN
from runner.model.quantity import format_duration
from runner.model.shape import Shaped

MAX_QUERY = 2_000
MAX_GATES = 20
GateKind = Literal["prometheus", "alarms", "http"]


@dataclass(frozen=True, slots=True)
class Gate(Shaped):
    """One condition for a wave to begin. `source` is a name of the configuration; a plan names
    no host.

    `prometheus`: every sample of `query` lies within `min` and `max`, during the whole last
    `for_s` seconds where that is not 0. `alarms`: Cloud Eye shows no alarm on a server of
    the schedule. `http`: a GET of `path` is answered with one of `status`, and `body`
    stands in the answer if it is not empty. With `dry_run` the answer is reported and
    decides nothing. Fields that are not of its kind are empty.
    """

    kind: GateKind
    name: Name | Literal[""] = ""
    source: Name | Literal[""] = ""
    query: Annotated[str, StringConstraints(max_length=MAX_QUERY)] = ""
    max: Finite | None = None
    min: Finite | None = None
    for_s: Annotated[float, Bounds(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    path: Annotated[str, StringConstraints(pattern=f"{PATH_PATTERN}|^$")] = ""
    status: Statuses = ()
    body: Line = ""
    dry_run: bool = False
    """Asked and reported, and decides nothing."""

    @property
    def title(self) -> str:
        """Its name, else what and whom it asks: `prometheus main`, `alarms`, `http hook/ready`."""
        if self.name or self.kind == "alarms":
            return self.name or self.kind
        return f"{self.kind} {self.source}{self.path}"

    @property
    def bounds(self) -> str:
        """`at least 1 and at most 5`."""
        said = [f"at least {self.min:.15g}"] if self.min is not None else []
        return " and ".join(said + ([f"at most {self.max:.15g}"] if self.max is not None else []))

    def __str__(self) -> str:
        """`prometheus main: up is at least 1 for 2m`, `no alarm …`, `GET hook/ready is 200
        with 'ok'`; `(dry run)`.
        """
        dry = " (dry run)" if self.dry_run else ""
        if self.kind == "prometheus":
            lasting = f" for {format_duration(self.for_s)}" if self.for_s else ""
            return f"prometheus {self.source}: {self.query} is {self.bounds}{lasting}{dry}"
        if self.kind == "alarms":
            return f"no Cloud Eye alarm on a server of the plan{dry}"
        said = " or ".join(map(str, self.status))
        return (
            f"GET {self.source}{self.path} is "
            f"{said}{f' with {self.body!r}' if self.body else ''}{dry}"
        )

    def within(self, value: float) -> bool:
        """Whether a sample is as the gate wants it. Not for NaN and the infinite, of which
        nobody can tell.
        """
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class GateState(StrEnum):
    """What came of asking. Only `open` lets a wave begin: a gate that cannot tell is closed."""

    OPEN = "open"
    CLOSED = "closed"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """An answer: `value` is what was measured, in a few characters, `reason` a sentence;
    both may hold foreign text.
    """

    state: GateState
    value: str = ""
    reason: str = ""

    @property
    def word(self) -> str:
        return self.state.value.replace("_", " ")


def verdict(gates: Iterable[Gate], answers: Iterable[GateAnswer]) -> GateState:
    """What the answers of several gates come to, dry runs left out: open if all are, closed
    if one surely is.
    """
    states = {a.state for g, a in zip(gates, answers, strict=True) if not g.dry_run}
    return next(
        (s for s in (GateState.CLOSED, GateState.CANNOT_TELL) if s in states), GateState.OPEN
    )
