"""The machine that this process runs on, as far as it can be told from inside: it must not
reboot itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from runner.model.inventory import Server

NO_SERVER = "none"
"""What a person writes who knows that this machine is no server of any target."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of this machine; nothing of it may be known.

    `server_id`: what the metadata service says (`uuid`); `stated`: the id that a person
    gave in the environment, or NO_SERVER; `addresses`: of all its interfaces but loopback
    and link-local ones; `macs`: of its network cards, in lower case.
    """

    server_id: str | None = None
    stated: str | None = None
    addresses: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()


NOBODY = Machine()
"""A machine that is no server of anybody: what runs against a simulated cloud."""


def is_it(machine: Machine, server: Server) -> str | None:
    """How it is known that `server` is this machine, in words; None if it is not.

    An id decides: once the metadata service or a person has named one, addresses count for
    nothing, for the same private address is in use in many networks. Without an id a shared
    address counts, unless the cloud shows the server's network cards and none of them is
    this machine's.
    """
    if machine.stated and _same(machine.stated, server.id):
        return "REBOOT_RUNNER_ITSELF says so"
    if machine.server_id:
        return "the metadata service says so" if _same(machine.server_id, server.id) else None
    if machine.stated:
        return None
    shared = next((a for a in map(_canonical, server.addresses) if a in machine.addresses), None)
    if shared is None:
        return None
    if server.macs and machine.macs:
        return (
            f"both have the address {shared} and the same network card"
            if _have_one_card(machine, server)
            else None
        )
    return (
        f"both have the address {shared}, and the metadata service does not say which server "
        f"this machine is"
    )


def _have_one_card(machine: Machine, server: Server) -> bool:
    return any(mac.lower() in machine.macs for mac in server.macs)


def _same(one: str, other: str) -> bool:
    """Whether two ids are one UUID, however they are written."""
    return one.replace("-", "").lower() == other.replace("-", "").lower()


def _canonical(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address
