"""The journal: a sequence without gaps, written under a fence, whole or not at all, and
read back as it was.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from runner.errors import LeaseLost, StoreError
from runner.model.events import BatchAccepted, Note, RunCreated, WaveStarted
from runner.ports.store import JournalMoved, Taken
from runner.store import rows
from runner.store.sql import SqlStore
from tests.store.kit import (
    AT,
    NOTE,
    PROJECT,
    SCHEDULE,
    TTL,
    Place,
    asked,
    begun,
    intent,
    leased,
    new_run,
    owner,
    told,
)

HOSTILE: dict[str, Any] = {
    "name": "wéb \x00 \x1b[31m \ud800 \u202e 服务器 😀",
    "quote": "'; drop table event; -- %s ? {}",
    "deep": {"list": [1, 2.5, None, True, []]},
    "": "",
}
"""What an API can answer and JSON can hold, half a surrogate pair included."""


def test_events_are_numbered_without_gaps(store: SqlStore) -> None:
    """Events of one append follow each other, appends and records follow on, and reading
    can begin anywhere.
    """
    lease = leased(store)
    stored = store.append(lease, AT, [Note("a"), WaveStarted(1)])
    store.record("r1", AT, [Note("c")])
    store.append(lease, AT, [Note("d")])
    assert [(e.seq, e.type, e.fence) for e in stored] == [(2, "note", 1), (3, "wave.started", 1)]
    assert told(store, "r1") == [
        *((1, "run.created"), (2, "note"), (3, "wave.started"), (4, "note"), (5, "note"))
    ]
    assert [e.seq for e in store.events("r1", after=3)] == [4, 5]
    assert [e.fence for e in store.events("r1")] == [0, 1, 1, 0, 1]


def test_what_is_returned_is_what_is_read(store: SqlStore) -> None:
    """Events come back from the write as they will be read, whatever text and zone was put in."""
    lease = leased(store)
    at = (AT + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=8)))
    stored = store.append(
        lease, at, [RunCreated(SCHEDULE, HOSTILE, baseline={HOSTILE["name"]: HOSTILE["quote"]})]
    )
    stored += store.record("r1", at, [Note(HOSTILE["name"])])
    assert store.events("r1", after=1) == stored
    assert stored[0].at == at
    assert stored[0].data == RunCreated(
        SCHEDULE, HOSTILE, baseline={HOSTILE["name"]: HOSTILE["quote"]}
    )
    assert stored[1].data == Note(HOSTILE["name"])


def test_hostile_text_in_every_column(store: SqlStore) -> None:
    """Text from elsewhere is a value, never a part of a statement."""
    nasty = "'; drop table run; -- %s ? 服"
    begun(store, nasty, plan=nasty, cycle=nasty)
    lease = store.take(nasty, owner(host=nasty), TTL)
    store.append(lease, AT, [Note(nasty)], intent=intent([nasty], cycle=nasty), word=nasty)
    row = store.find(nasty)
    assert (row.plan, row.cycle, row.word, row.owner) == (nasty, nasty, nasty, owner(host=nasty))
    assert store.spent(nasty, PROJECT) == {nasty: nasty}


def test_a_journal_that_moved_is_not_written_to(store: SqlStore) -> None:
    """With the sequence it has read, a holder never overtakes a cancel that it has not seen."""
    lease = leased(store)
    store.append(lease, AT, NOTE, expect=1)
    store.record("r1", AT, [Note("cancelled")], expect=2)
    before = store.find("r1")
    with pytest.raises(JournalMoved, match="at 3, not at 2"):
        store.append(lease, AT, [asked()], expect=2, intent=intent(["s1"]))
    with pytest.raises(JournalMoved):
        store.record("r1", AT, NOTE, expect=2)
    assert store.find("r1") == before
    assert store.spent("c1", PROJECT) == {}
    store.append(lease, AT, NOTE, expect=3)


def test_an_append_is_whole_or_not_at_all(store: SqlStore) -> None:
    """When one part of an append is refused, no event, claim, word or renewal of it stays."""
    first = leased(store, "r1")
    store.append(first, AT, [asked()], intent=intent(["s2"]))
    second = leased(store, "r2")
    before = store.find("r2")
    with pytest.raises(Taken):
        store.append(second, AT, NOTE, intent=intent(["s1", "s2"]), word="waiting", close=True)
    assert store.find("r2") == before
    assert told(store, "r2") == [(1, "run.created")]
    assert store.spent("c1", PROJECT) == {"s2": "r1"}


def test_facts_need_no_lease(place: Place, store: SqlStore) -> None:
    """A job id that arrives after the lease was lost is recorded, and makes the run due."""
    lost = leased(store)
    place.clock.step(TTL)
    store.give_back(store.take("r1", owner(2), TTL), place.clock.now + 1000)
    with pytest.raises(LeaseLost):
        store.append(lost, AT, [BatchAccepted(1, "j1")])
    store.record("r1", AT, [BatchAccepted(1, "j1", late=True)], open_only=False)
    assert store.events("r1")[-1].data == BatchAccepted(1, "j1", late=True)
    assert [r.id for r in store.due()] == ["r1"]


def test_the_word_of_a_run_follows_its_events(store: SqlStore) -> None:
    """`status` can list what runs wait for without reading their journals."""
    lease = leased(store)
    store.append(lease, AT, NOTE, word="waiting")
    assert store.find("r1").word == "waiting"
    store.append(lease, AT, NOTE)
    assert store.find("r1").word == "waiting"


def test_what_cannot_be_read_is_a_store_error(store: SqlStore) -> None:
    """A row that was edited is named, not a crash."""
    lease = leased(store)
    store.append(lease, AT, NOTE)
    with store.db.transaction():
        store.db.execute("update event set data = ? where seq = 2", ("{",))
        store.db.execute("update run set owner = ?", ("[]",))
        store.db.execute("insert into flag(name, data) values('halt', 'null')")
    for read in (lambda: store.events("r1"), lambda: store.find("r1"), store.halted):
        with pytest.raises(StoreError, match="unreadable"):
            read()


@pytest.mark.parametrize(
    "data", ["[" * 5000, '{"a":' * 5000, "[" + "[]," * 2_000_000 + "1]"], ids=lambda d: d[:6]
)
def test_hostile_data_of_an_event_names_run_and_event(store: SqlStore, data: str) -> None:
    """Deep or endless JSON in a row is a store error, not a crash."""
    store.append(leased(store), AT, NOTE)
    with store.db.transaction():
        store.db.execute("update event set data = ? where seq = 2", (data,))
    with pytest.raises(StoreError, match=r"event holds something unreadable at 'r1, event 2'"):
        store.events("r1")


def test_a_run_whose_first_event_could_not_be_read_back_is_not_begun(store: SqlStore) -> None:
    """A plan and schedule over the bounds of the journal are refused, and nothing is stored."""
    with pytest.raises(StoreError, match="plan and schedule: JSON with too many values") as refused:
        store.create(new_run(), RunCreated(SCHEDULE, {"servers": [[]] * 1_000_000}))
    assert refused.value.hint == "split the plan into several"
    assert store.runs() == []


def test_an_event_that_could_not_be_read_back_is_not_stored(store: SqlStore) -> None:
    """Neither it nor what comes with it: run and event are named."""
    lease = leased(store)
    with pytest.raises(StoreError, match="event 3 of run r1: JSON larger than 16 MB"):
        store.append(lease, AT, [Note("fits"), Note("x" * 17_000_000)])
    assert told(store, "r1") == [(1, "run.created")]


def test_each_event_holds_the_hash_of_the_one_before(store: SqlStore) -> None:
    """Across appends and records, in every store: a line's `previous` is the SHA-256 of the
    line before it.
    """
    store.append(leased(store), AT, [Note("a"), WaveStarted(1)])
    store.record("r1", AT, [Note("b")])
    columns = f"select {rows.EVENT_COLUMNS} from event where run = 'r1' order by seq"  # noqa: S608
    lines = [rows.event_line(row) for row in store.db.execute(columns)]
    hashes = ["", *(sha256(line).hexdigest() for line in lines)]
    assert [e.previous for e in store.events("r1")] == hashes[:-1]
    assert store.db.execute("select head from run") == [(hashes[-1],)]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("format", 2, "does not know its format"),
        ("type", "wave.flown", "does not know its type"),
        ("data", '{"text": "x", "extra": 1}', "extra: Unexpected"),
        ("data", '{"text": ["x"]}', "text: Input should be a valid string"),
        ("data", "[]", "data: Input should be a dictionary"),
    ],
)
def test_an_event_of_another_shape_names_run_and_event(
    store: SqlStore, column: str, value: object, says: str
) -> None:
    """What a newer version wrote, or somebody edited: the error says what does not fit, and
    quotes nothing.
    """
    store.append(leased(store), AT, NOTE)
    with store.db.transaction():
        store.db.execute(f"update event set {column} = ? where seq = 2", (value,))  # noqa: S608
    with pytest.raises(StoreError, match=f"'r1, event 2': .*{says}"):
        store.events("r1")
