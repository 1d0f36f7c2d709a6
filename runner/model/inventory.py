"""What the cloud has now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

NO_TAGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Server:
    """One server as the list call shows it, without `user_data` (it can hold a password hash).

    Only `id` is sure to be there: live answers leave out many of the other fields (page
    "Querying Details About ECSs"). `status` is empty where the answer has none.
    `bare_metal`: the entry is a bare metal server (BMS), which shares the list with ECSs
    and has an API of its own. `updated` is the cloud's time of the last change of any kind;
    it is compared, never interpreted as a boot time. `task_state` is None when the server
    is idle, and also where the answer has no such field. `own_address`: the first private
    address of its own network cards, else the first of them, empty where none is shown;
    floating (elastic) addresses are none of its own. `macs`: of its network cards, empty
    where the answer has none. `tags_unknown`: the answer had tags that could not be read;
    `tags` is empty then.
    """

    id: str
    name: str
    status: str
    task_state: str | None = None
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
        """ACTIVE and no task is running on it.

        A server that is powering off or being deleted still reads ACTIVE (table of server
        states), so the task state decides as well.
        """
        return self.status == "ACTIVE" and not self.task_state


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
