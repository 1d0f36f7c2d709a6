"""What other services of the cloud know of servers: members of auto-scaling groups, and
what the provider plans.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScalingGroup:
    """A group of Auto Scaling, with the ids of its servers.

    `audit_minutes`: how often it judges their health (`health_periodic_audit_time`); None
    where that is not said. `is_scaling`: it is just adding or removing servers.
    """

    id: str
    name: str
    members: tuple[str, ...] = ()
    audit_minutes: int | None = None
    is_scaling: bool = False


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """Something that the provider is going to do, or does, with a server. Times are the
    cloud's own texts.
    """

    id: str
    server: str
    type: str
    state: str = ""
    begins: str = ""
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`unread`: sentences about what could not be read; where there are some, nothing is
    known of that.
    """

    scaling_groups: tuple[ScalingGroup, ...] = ()
    events: tuple[ScheduledEvent, ...] = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[Surroundings]) -> Surroundings:
        """What is known of several targets."""
        all_of = list(parts)
        return cls(
            tuple(group for part in all_of for group in part.scaling_groups),
            tuple(event for part in all_of for event in part.events),
            tuple(dict.fromkeys(sentence for part in all_of for sentence in part.unread)),
        )
