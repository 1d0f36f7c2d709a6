"""`doctor` on what a target shows: its servers, whether one is this machine, and what the runner depends on."""

from __future__ import annotations

import asyncio

from runner.app.doctor.making import counted, failed, ok, skipped, warning
from runner.app.open_target import Session
from runner.errors import CloudError
from runner.model.inventory import Inventory
from runner.model.machine import NOBODY, is_it
from runner.report.doctor import Check, listed

LIST_WITHIN = 6
"""The whole list may take so many times as long as one question: a large fleet has many pages."""


async def servers(session: Session, within_s: float) -> tuple[Inventory | None, list[Check]]:
    """The inventory, None where it could not be read, and the checks that it allows."""
    try:
        async with asyncio.timeout(LIST_WITHIN * within_s):
            inventory = await session.cloud.inventory()
    except CloudError as error:
        return None, [failed("servers", error)]
    except TimeoutError:
        said = f"the whole list takes longer than {LIST_WITHIN * within_s:g} s"
        return None, [warning("servers", said, "give more time with --timeout")]
    return inventory, [_visible(inventory), _this_machine(session, inventory), _support(session, inventory)]


def _visible(inventory: Inventory) -> Check:
    if not inventory.servers:
        hint = "check the project; rights in one enterprise project only do not show the others"
        return warning("servers", "the target shows no server at all", hint)
    groups = counted(len(inventory.groups), "server group")
    return ok("servers", f"{counted(len(inventory.servers), 'server')} and {groups} are visible")


def _this_machine(session: Session, inventory: Inventory) -> Check:
    machine = session.spared.machine
    if machine == NOBODY:
        return skipped("this machine", "the servers are simulated: none of them is this machine")
    found = [(server, how) for server in inventory.servers if (how := is_it(machine, server)) is not None]
    if found:
        rows = listed([f"{server.name} ({server.id}): {how}" for server, how in found])
        return ok("this machine", f"it is a server of the target, and is never rebooted from here: {rows}")
    if machine.server_id or machine.stated:
        return ok("this machine", "it is no server of this target")
    return ok("this machine", "it is no server of this target by its addresses; no metadata service answers here")


def _support(session: Session, inventory: Inventory) -> Check:
    support = session.spared.support
    if not support:
        return ok("support", "nothing is configured that the runner depends on (docs/itself.md)")
    missing = list(session.spared.unmatched(inventory.servers))
    if missing:
        said = f"{listed(missing)}: the target has no such server, so nothing is protected by it"
        return warning("support", said, "correct support of the target in the configuration")
    return ok("support", f"{listed([one.name for one in support])}: found among the servers")
