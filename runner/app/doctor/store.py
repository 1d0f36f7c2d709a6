"""`doctor` on the store: kind, writable, tables, clock, who holds what."""

from __future__ import annotations

from pathlib import Path

from runner.app.app import in_ci
from runner.app.doctor.making import counted, failed, ok, warning
from runner.errors import StoreError
from runner.net.reach import aside
from runner.report.doctor import Check, Section, listed
from runner.store.inspect import NEWEST, StoreFacts, look_at
from runner.store.open import dies_with_the_disk, is_local_file, shown

FAR_S = 60.0
"""Leases and rate budgets live by the store's clock; signatures and reports by ours. A minute apart is told."""


async def store(url: str, origin: str, base: Path, within_s: float, *, real: bool) -> Section:
    """`origin`: where the URL comes from, for people. `real`: a target with real servers is configured."""
    title = f"store {shown(url)} ({origin})"
    try:
        facts = await aside(lambda: look_at(url, base, within_s), 3 * within_s)
    except StoreError as error:
        return Section("store", title, (failed("open", error), *_persistent(url, real)))
    except TimeoutError:
        late = StoreError(f"no answer within {3 * within_s:g} s", hint="check the host of the store and the network")
        return Section("store", title, (failed("open", late), *_persistent(url, real)))
    return Section("store", title, (_tables(facts, url), *_of_others(facts, url), *_persistent(url, real)))


def _kind(url: str) -> str:
    if url.startswith("git+"):
        return "Git"
    return "SQLite" if is_local_file(url) else "PostgreSQL"


def _tables(facts: StoreFacts, url: str) -> Check:
    kind = _kind(url)
    if facts.version is None:
        return ok("open", f"{kind}; there is no file yet, and the first run can make it")
    if facts.version < 0:
        return ok("open", f"{kind}, empty and writable; the first command makes its tables")
    if facts.version < NEWEST:
        said = f"{kind}, writable; schema version {facts.version}, the next command brings it to {NEWEST}"
        return warning("open", said, "end the runners of older versions first")
    return ok("open", f"{kind}, writable; schema version {facts.version}")


def _of_others(facts: StoreFacts, url: str) -> list[Check]:
    if facts.version is None:
        return []
    needs_none = "a store in Git needs no common clock: leases run by the clock of who watches them"
    checks = [ok("clock", needs_none) if url.startswith("git+") else _clock(facts.ahead_s)]
    if facts.version == NEWEST:
        checks += [_runs(facts), _halt(facts)]
    return checks


def _clock(ahead_s: float) -> Check:
    if abs(ahead_s) < FAR_S:
        return ok("clock", "the store's clock and this machine's agree")
    direction = "ahead of" if ahead_s > 0 else "behind"
    said = f"the store's clock is {abs(ahead_s):.0f} s {direction} this machine's"
    return warning("clock", said, "set both clocks by NTP: leases live by the store's, signatures by this machine's")


def _runs(facts: StoreFacts) -> Check:
    if not facts.runs:
        return ok("runs", "no run is open")
    rows = [f"{run.word} {run.id}" for run in facts.runs]
    held = tuple(
        f"{run.id} is held by {run.owner} for {run.lease_until - facts.now:.0f} s more"
        for run in facts.runs
        if run.owner is not None and run.lease_until > facts.now
    )
    said = f"{counted(len(rows), 'run')} open: {listed(rows)}; leases held: {len(held)}"
    return ok("runs", said, details=held[:5])


def _halt(facts: StoreFacts) -> Check:
    if facts.halt is None:
        return ok("halt", "not halted")
    halt = facts.halt
    said = f"halted by {halt.by} since {halt.at:%Y-%m-%d %H:%M}Z: {halt.reason}; no run of this store begins a batch"
    return warning("halt", said, "when the reason is gone: `reboot-runner unhalt`")


def _persistent(url: str, real: bool) -> list[Check]:
    if not in_ci() or not dies_with_the_disk(url):
        return []
    said = "in CI a store on the local disk is lost with the job, and with it what was asked of the cloud"
    hint = "set REBOOT_RUNNER_STORE to git+https://… or postgresql://…; `run` needs --store-is-persistent for this one"
    return [warning("persistent", said, hint) if real else ok("persistent", f"{said}; no target has real servers")]
