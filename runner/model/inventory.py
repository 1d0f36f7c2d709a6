"""What the cloud has now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

NO_TAGS: Mapping[str, str] = MappingProxyType({})


class PowerState(StrEnum):
    """What a server does, in words that hold for every cloud."""

    RUNNING = "running"
    REBOOTING = "rebooting"
    ERROR = "error"
    STOPPED = "stopped"
    """Stopped, suspended, being built or deleted: anything that is none of the others."""
    UNKNOWN = "unknown"


class Task(StrEnum):
    """What the cloud is doing to a server, whatever the server's state still reads."""

    REBOOT = "reboot"
    STOP = "stop"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Server:
    """One server as the cloud lists it. Only `id` is sure to be there.

    `task`: None when nothing is being done to it. `words`: state and task as the cloud
    itself names them. `updated`: the cloud's mark of the last change of any kind; it is
    compared, never interpreted as a boot time. `own_address`: the first private address of
    its own network cards, else the first of them; floating addresses are none of its own.
    `macs`: of its network cards. `tags_unknown`: the tags could not be read; `tags` is empty
    then. `bare_metal`: listed with the others, but not to be rebooted by their API.
    """

    id: str
    name: str
    state: PowerState = PowerState.RUNNING
    task: Task | None = None
    words: str = "running"
    zone: str = ""
    flavor: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    enterprise_project: str = ""
    server_group: str | None = None
    locked: bool = False
    frozen: bool = False
    updated: str | None = None
    addresses: tuple[str, ...] = ()
    own_address: str = ""
    macs: tuple[str, ...] = ()
    tags_unknown: bool = False
    bare_metal: bool = False

    @property
    def is_idle(self) -> bool:
        """Running, and no task is on it that may change that."""
        return self.state is PowerState.RUNNING and self.task is None

    @property
    def is_rebooting(self) -> bool:
        return self.state is PowerState.REBOOTING or self.task is Task.REBOOT

    @property
    def is_busy(self) -> bool:
        """Return True while something runs on the server that ends by itself."""
        return self.state is PowerState.REBOOTING or self.task is not None


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """An anti-affinity group of the cloud ("ECS group")."""

    id: str
    name: str
    policies: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a part of an inventory could not be read. `is_denied`: a permission is missing,
    which `hint` names.
    """

    message: str
    hint: str = ""
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """The servers of one target at one moment. Servers are sorted by id, each once.

    `groups_unread`: `groups` is empty because the server groups could not be read, not
    because there are none.
    """

    servers: tuple[Server, ...]
    read_at: datetime
    groups: tuple[ServerGroup, ...] = ()
    groups_unread: Unread | None = None
    by_id: Mapping[str, Server] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {s.id: s for s in self.servers})
