"""What an intent needs besides the lease: no halt, free servers, room in the rate budget. All in its transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import StoreError
from runner.ports.store import Halt, Halted, Intent, RateFull, Taken
from runner.store import rows
from runner.store.dialect import Dialect

CHUNK = 500
"""Values in one statement, far below SQLite's limit (32,766; 999 before 3.32)."""


def reserve(db: Dialect, run_id: str, intent: Intent) -> None:
    """Claim the servers and the room. Raises Halted, Taken, RateFull; then the transaction must not commit."""
    db.lock("halt", shared=True)
    flag = halted(db)
    if flag is not None:
        raise Halted(flag.reason)
    db.lock(f"project:{intent.project}")
    now = (
        db.now()
    )  # after the lock: reservations of a project are made one after the other, in the order of their times
    _claim(db, run_id, intent, now)
    _room(db, run_id, intent, now)


def _claim(db: Dialect, run_id: str, intent: Intent, now: float) -> None:
    claimed: dict[str, str] = {}
    spent: dict[str, str] = {}
    for chunk, marks in _chunks(intent.servers):
        sql = f"select server, cycle, run, released from claim where project = ? and server in ({marks})"  # noqa: S608
        for server, cycle, holder, released in db.execute(sql, (intent.project, *chunk)):
            if released is None:
                claimed[server] = holder
            elif cycle == intent.cycle:
                spent[server] = holder
    if claimed or spent:
        raise Taken(claimed, spent)
    db.executemany(
        "insert into claim(project, server, cycle, run, batch, at) values(?,?,?,?,?,?)",
        [(intent.project, s, intent.cycle, run_id, intent.batch, now) for s in intent.servers],
    )


def _room(db: Dialect, run_id: str, intent: Intent, now: float) -> None:
    """Servers asked for in any window must not exceed the budget; a reservation is never given back."""
    wanted = len(intent.servers)
    if wanted > intent.per_window:
        raise StoreError(f"a batch of {wanted} servers can never fit into {intent.per_window} a minute")
    begin, end = now - intent.window_s, now + intent.window_s
    # What is later than a window from now was written before the clock was set back: it must not close the budget
    # until the clock has caught up.
    sql = "delete from rate where project = ? and (at <= ? or at > ?)"
    db.execute(sql, (intent.project, begin - intent.window_s, end))
    made = db.execute("select at, n from rate where project = ? and at > ? order by at", (intent.project, begin))
    used = sum(n for _, n in made)
    until = now
    for at, n in made:
        if used + wanted <= intent.per_window:
            break
        used -= n
        until = at + intent.window_s
    if until > now:
        raise RateFull(until - now)
    db.execute("insert into rate(project, at, n, run) values(?,?,?,?)", (intent.project, now, wanted, run_id))


def free(db: Dialect, run_id: str, release: Sequence[str], forget: Sequence[str]) -> None:
    """End this run's claims: `release` leaves the cycle spent, `forget` gives it back."""
    now = db.now() if release else 0.0
    for chunk, marks in _chunks(release):
        sql = f"update claim set released = ? where run = ? and released is null and server in ({marks})"  # noqa: S608
        db.execute(sql, (now, run_id, *chunk))
    for chunk, marks in _chunks(forget):
        db.execute(f"delete from claim where run = ? and server in ({marks})", (run_id, *chunk))  # noqa: S608


def set_halt(db: Dialect, halt: Halt | None) -> None:
    """Set or lift the flag. Waits for intents that are just being written: all later ones see it."""
    db.lock("halt")
    db.execute("delete from flag where name = 'halt'")
    if halt is not None:
        db.execute("insert into flag(name, data) values('halt', ?)", (rows.written_halt(halt),))


def halted(db: Dialect) -> Halt | None:
    found = db.execute("select data from flag where name = 'halt'")
    return rows.halt(found[0][0]) if found else None


def _chunks(ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Ids in pieces, each with its `?,?,…`."""
    for i in range(0, len(ids), CHUNK):
        chunk = ids[i : i + CHUNK]
        yield chunk, ",".join("?" * len(chunk))
