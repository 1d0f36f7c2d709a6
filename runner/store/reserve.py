"""What an intent needs besides the lease: no halt, free servers, room in the rate budget.
All in its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import StoreError
from runner.ports.store import Halt, Halted, Intent, RateFull, Taken
from runner.store import rows
from runner.store.dialect import Dialect


def reserve(db: Dialect, run_id: str, intent: Intent) -> None:
    """Claim the servers and the room. Raises Halted, Taken, RateFull; then the transaction
    must not commit.
    """
    db.lock("halt", shared=True)
    flag = halted(db)
    if flag is not None:
        raise Halted(flag.reason)
    db.lock(f"project:{intent.project}")
    # After the lock: reservations of a project are made one after the other, in the order
    # of their times.
    now = db.now()
    _claim(db, run_id, intent, now)
    _room(db, run_id, intent, now)


def _claim(db: Dialect, run_id: str, intent: Intent, now: float) -> None:
    claimed: dict[str, str] = {}
    spent: dict[str, str] = {}
    again: list[str] = []
    servers = db.listed(intent.servers)
    found = db.execute(
        f"select server, run, released from claim where project = ? and server {db.is_one_of}"  # noqa: S608
        " and (released is null or cycle = ?)",
        (intent.project, servers, intent.cycle),
    )
    for server, holder, released in found:
        if released is not None and holder in intent.repeats:
            again.append(server)
        else:
            (claimed if released is None else spent)[server] = holder
    if claimed or spent:
        raise Taken(claimed, spent)
    if again:
        _take_over(db, run_id, intent, again, now)
        taken = set(again)
        servers = db.listed([s for s in intent.servers if s not in taken])
    values = (intent.project, intent.cycle, run_id, intent.batch, now, servers)
    columns = "project, server, cycle, run, batch, at"
    db.execute(
        f"insert into claim({columns}) select ?, value, ?, ?, ?, ? from {db.elements}",  # noqa: S608
        values,
    )


def _take_over(
    db: Dialect, run_id: str, intent: Intent, servers: Sequence[str], now: float
) -> None:
    """The spent claims of the run that is repeated become this run's."""
    db.execute(
        "update claim set before = run, run = ?, batch = ?, at = ?, released = null"  # noqa: S608
        f" where project = ? and cycle = ? and server {db.is_one_of}",
        (run_id, intent.batch, now, intent.project, intent.cycle, db.listed(servers)),
    )


def _room(db: Dialect, run_id: str, intent: Intent, now: float) -> None:
    """Servers asked for in any window must not exceed the budget; a reservation is given
    back by `hold` only.
    """
    wanted = len(intent.servers)
    if wanted > intent.per_window:
        raise StoreError(
            f"a batch of {wanted} servers can never fit into {intent.per_window} a minute"
        )
    begin, end = now - intent.window_s, now + intent.window_s
    # What is later than a window from now was written before the clock was set back: it
    # must not close the budget until the clock has caught up.
    sql = "delete from rate where project = ? and (at <= ? or at > ?)"
    db.execute(sql, (intent.project, begin - intent.window_s, end))
    made = db.execute(
        "select at, n from rate where project = ? and at > ? order by at", (intent.project, begin)
    )
    used = sum(n for _, n in made)
    until = now
    for at, n in made:
        if used + wanted <= intent.per_window:
            break
        used -= n
        until = at + intent.window_s
    if until > now:
        raise RateFull(until - now)
    db.execute(
        "insert into rate(project, at, n, run) values(?,?,?,?)",
        (intent.project, now, wanted, run_id),
    )


HELD = 1001
"""Servers of a reservation that stands for none: more than any batch has, so that no budget
has room beside it.
"""


def hold(db: Dialect, project: str, run_id: str, wait_s: float, window_s: float) -> None:
    """Reserve the whole budget, as if it had been used just so long ago that there is room
    again after `wait_s`.

    The run's newest reservation was turned away as a whole, so that it counts for nothing.
    """
    db.lock(f"project:{project}")
    now = db.now()
    asked = "project = ? and n between 1 and 1000"
    sql = f"select at, count(*) from rate where {asked} and run = ? group by at order by at desc limit 1"  # noqa: E501, S608
    for newest, number in db.execute(sql, (project, run_id)):
        if number == 1:  # of two that were made at the same instant nobody could tell which it was
            db.execute(
                f"update rate set n = 0 where {asked} and run = ? and at = ?",  # noqa: S608
                (project, run_id, newest),
            )
    at = now + min(wait_s, window_s) - window_s
    db.execute("insert into rate(project, at, n, run) values(?,?,?,?)", (project, at, HELD, run_id))


def free(db: Dialect, run_id: str, release: Sequence[str], forget: Sequence[str]) -> None:
    """End this run's claims: `release` leaves the cycle spent, `forget` gives it back (to
    the run that is repeated).
    """
    if release:
        db.execute(
            f"update claim set released = ? where run = ? and released is null and server {db.is_one_of}",  # noqa: E501, S608
            (db.now(), run_id, db.listed(release)),
        )
    if forget:
        db.execute(
            "update claim set run = before, before = null, released = ?"  # noqa: S608
            f" where run = ? and before is not null and server {db.is_one_of}",
            (db.now(), run_id, db.listed(forget)),
        )
        db.execute(
            f"delete from claim where run = ? and server {db.is_one_of}",  # noqa: S608
            (run_id, db.listed(forget)),
        )


def set_halt(db: Dialect, halt: Halt | None) -> None:
    """Set or lift the flag. Waits for intents that are just being written: all later
    ones see it.
    """
    db.lock("halt")
    db.execute("delete from flag where name = 'halt'")
    if halt is not None:
        db.execute("insert into flag(name, data) values('halt', ?)", (rows.written_halt(halt),))


def halted(db: Dialect) -> Halt | None:
    found = db.execute(f"select {db.bounded('data')} from flag where name = 'halt'")  # noqa: S608
    return rows.halt(found[0][0]) if found else None
