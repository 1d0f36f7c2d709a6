"""The store's SQL on a Git ref: a transaction is a commit on the newest one, and its push is
the compare-and-swap.

A write runs on the tables as this process knows them, becomes files, a commit, and a push
that the host takes only if nobody was quicker. If somebody was, the tables go back, what
the others wrote is read, and whoever wrote does it again on that (`Overtaken`;
`store.GitStore` does). So whatever a transaction has read - fence, sequence, claims, rate,
halt - is still true when it is stored, and nothing needs to be asked before.

A push whose answer is lost is never taken for either: the ref is read, and tells. Our
commit in its history: stored. The ref moved on without it: never to be stored, since the
ref never goes back. The ref where it was: the same commit is offered again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from runner.errors import RunnerError, StoreError
from runner.store.gitref.address import Address
from runner.store.gitref.answers import Refusal
from runner.store.gitref.errors import Overtaken, RefUnreachable
from runner.store.gitref.memory import Seen
from runner.store.gitref.mirror import Mirror
from runner.store.gitref.remote import Remote, patiently, replaced
from runner.store.gitref.tree import run_folder
from runner.store.sqlite import Sqlite

FRESH_S = 1.0
"""How old what is read may be. Decisions do not depend on it: each write is on the newest
state, or refused.
"""
PATIENCE_S = 15.0
"""How long a write is offered to a host that gives no answer, or to which others write at
that moment.
"""


AT_ONCE = 4
"""So many pushes without a pause in between, and others get a turn."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A write that goes with the next push: of which run, and how to do it again when
    others were quicker.
    """

    run: str
    again: Callable[[], object]
    has_events: bool


def open_ref(url: str, state: Path, patience_s: float | None = None) -> Git:
    """The dialect of a `git+…` URL; its clone is in a folder of its own in `state`. Raises
    StoreError.
    """
    address = Address.read(url, os.environ)
    if patience_s is None:
        return Git(Remote(address, state), steady())
    return Git(Remote(address, state, patience_s=patience_s), steady(), patience_s=patience_s)


class Git:
    """The dialect of a ref. `clock`: seconds that count on while the machine sleeps and
    never jump (`steady`).
    """

    elements: ClassVar = Sqlite.elements
    is_one_of: ClassVar = Sqlite.is_one_of

    def __init__(
        self,
        remote: Remote,
        clock: Callable[[], float],
        *,
        fresh_s: float = FRESH_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.remote = remote
        self.waiting: list[Waiting] = []
        self.lost: set[str] = set()
        """Runs of which waiting writes could not be done again: their holder has to read them anew.
        """
        self.patience_s = patience_s
        self._fresh_s = fresh_s
        self._base: str | None = None
        self._looked = float("-inf")
        self._pushed = float("-inf")
        self._took_s = 0.0
        self._in_a_row = 0
        self._inside = False
        self._is_put_off = False
        try:
            self.mirror = Mirror(clock)
            self.look()
            self._demand_known()
        except BaseException:
            remote.close()
            raise

    def _demand_known(self) -> None:
        """Raises StoreRefused where the ref does not contain what this machine last saw there:
        with what is gone, what was asked of the cloud would be forgotten.
        """
        memory = self.remote.memory
        seen = self._remembered = memory.read()
        if seen is not None and self._base is None:
            raise replaced("is gone", memory)
        if seen is not None and seen.store != self._store_id():
            raise replaced("was replaced by another store's", memory)
        if (
            seen is not None
            and seen.commit not in ("", self._base)
            and not self.remote.was_built_on(seen.commit)
        ):
            raise replaced("was rewound or replaced", memory)
        self._remember()

    def _remember(self) -> None:
        """Keep the newest commit, unless another process of this machine has kept one that
        is not known here yet.
        """
        store, held = self._store_id(), self.remote.memory.read()
        if store is None or self._base is None:
            return
        is_older = held in (None, self._remembered) or self.remote.is_in(held.commit, self._base)
        if is_older:
            self._remembered = Seen(store, self._base)
            self.remote.memory.write(self._remembered)

    def _store_id(self) -> str | None:
        found = self.mirror.execute("select id from git_store")
        return str(found[0][0]) if found else None

    # --- what the store's SQL needs -------------------------------------------

    def bounded(self, column: str) -> str:
        return self.mirror.bounded(column)

    def listed(self, texts: Sequence[str]) -> Any:
        return self.mirror.listed(texts)

    def execute(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        if not self._inside and time.monotonic() - self._looked > self._fresh_s:
            self.look()
        return self.mirror.execute(sql, args)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.mirror.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it in one commit, with what waits; or, inside `put_off`, only in the tables,
        to go with the next one.

        Raises Overtaken when somebody else was quicker: by then what they wrote is read.
        Raises StoreError when nobody knows whether it is stored.
        """
        if not self.mirror.in_transaction:
            self.mirror.execute("begin")
        self.mirror.execute("savepoint write")
        self._inside = True
        try:
            yield
        except BaseException:
            self.mirror.execute("rollback to write")
            self.mirror.execute("release write")
            raise
        else:
            self.mirror.execute("release write")
        finally:
            self._inside = False
            if not self.waiting and not self.mirror.is_touched():
                self._undo()
        if not self._is_put_off and self.mirror.in_transaction:
            self._store()

    @contextmanager
    def put_off(self, wanted: bool) -> Iterator[None]:
        """Transactions inside wait for the next push."""
        before, self._is_put_off = self._is_put_off, wanted
        try:
            yield
        finally:
            self._is_put_off = before

    def lock(self, name: str, *, shared: bool = False) -> None:
        """The push compares the whole store."""

    def has_table(self, name: str) -> bool:
        return self.mirror.has_table(name)

    def now(self) -> float:
        return self.mirror.now()

    def close(self) -> None:
        self.mirror.close()
        self.remote.close()

    # --- the ref --------------------------------------------------------------

    def look(self) -> bool:
        """Read what others wrote since; whether there was anything. What waits is done
        again on top of it.
        """
        tip = patiently(lambda: self.remote.fetch(self._base))
        self._looked = time.monotonic()
        if tip == self._base or tip is None:
            return False
        self._undo()
        is_first = self._base is None
        self._load(tip)
        self._wait_again()
        if not is_first:
            self._remember()
        return True

    def _wait_again(self) -> None:
        """Do what waits again, on the tables as they are now; what cannot be done any
        more is lost.
        """
        waiting, self.waiting = self.waiting, []
        for write in waiting:
            if write.run in self.lost:
                continue
            try:
                with self.put_off(wanted=True):
                    write.again()
            except RunnerError:
                self.lost.add(write.run)
            else:
                self.waiting.append(write)

    def ask_to_write(self) -> None:
        """Go through a write up to the point where the host would take it: nothing is
        stored. Raises StoreError.
        """
        commit = self._base or self.remote.write(None, {}, "nothing\n")
        answer = self.remote.push(commit, dry=True)
        if answer is not None:
            raise _error(answer)

    def recall(self, run: str) -> bool:
        """Make the events of a run readable that has ended long ago; whether they were not."""
        commit = self.mirror.missing(run)
        if commit is not None:
            self.mirror.recalled(run, self.remote.recall(commit, f"{run_folder(run)}/events"))
        return commit is not None

    def flush(self) -> None:
        """Push what waits. Raises StoreError: Overtaken when others were quicker."""
        if self.waiting:
            self._store()

    def _undo(self) -> None:
        if self.mirror.in_transaction:
            self.mirror.execute("rollback")

    def _load(self, tip: str) -> None:
        files = self.remote.differences(self._base, tip)
        blobs = [file.blob for file in files if file.blob is not None]
        held = (file.path for file in files if file.blob is not None)
        with self.mirror.transaction():
            self.mirror.load(
                [file.path for file in files], zip(held, self.remote.read(blobs), strict=True)
            )
        self._base = tip

    def _store(self) -> None:
        """Push what was written to the tables, whatever waited included.

        Raises Overtaken when others were quicker, StoreError when the host refuses or
        nobody knows. What waited still waits then.
        """
        try:
            quicker = self._push()
        except BaseException:
            self._undo()
            self._wait_again()
            raise
        if quicker is not None:
            self._undo()
            self._load(quicker)
            self._wait_again()
            raise Overtaken
        self.mirror.execute("commit")
        self.waiting = []

    def _push(self) -> str | None:
        """Make files and a commit of the touched rows, and deliver it; the newest commit
        where others were quicker.
        """
        files = self.mirror.changes(self._base)
        if not files:
            return None
        self._leave_room()
        began = time.monotonic()
        commit = self.remote.write(self._base, files, f"reboot-runner\n\nTransaction: {uuid4()}\n")
        is_stored, tip = self._deliver(commit)
        if not is_stored:
            return tip
        self._base = commit
        self._remember()
        self._pushed = time.monotonic()
        self._took_s = self._pushed - began
        self._looked = self._pushed if tip == commit else float("-inf")
        return None

    def _leave_room(self) -> None:
        """Who pushes without a pause is always quicker than others, who have to read first:
        after a few, wait.
        """
        is_at_once = time.monotonic() - self._pushed < self._took_s
        self._in_a_row = self._in_a_row + 1 if is_at_once else 0
        if self._in_a_row >= AT_ONCE:
            self._in_a_row = 0
            time.sleep(random.uniform(2.0, 4.0) * min(self._took_s, 1.0))  # noqa: S311 - no secret

    def _deliver(self, commit: str) -> tuple[bool, str]:
        """Push a commit until it is known what became of it: whether it is stored, and the
        newest commit of the ref.

        Raises StoreError when the host refuses it for good, or gives no answer for long.
        """
        until = time.monotonic() + self.patience_s
        doubt: StoreError | None = None
        while True:
            answer = self.remote.push(commit)
            if answer is None:
                return True, commit
            if not isinstance(answer, Refusal):
                doubt = answer
            try:
                tip = self.remote.fetch(self._base, whole=True)
            except RefUnreachable as error:
                doubt = error
            else:
                if tip is not None and self.remote.is_in(commit, tip):
                    return True, tip
                if tip != self._base and tip is not None:
                    return False, tip
                if isinstance(answer, Refusal) and answer.is_final:
                    raise answer.error
                if answer is doubt and not isinstance(answer, RefUnreachable):
                    raise answer
            if time.monotonic() > until:
                raise _unknown(doubt) if doubt else _error(answer)
            time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - only so that two do not keep in step


def _error(answer: Refusal | StoreError) -> StoreError:
    return answer.error if isinstance(answer, Refusal) else answer


def _unknown(doubt: StoreError) -> StoreError:
    return StoreError(
        f"{doubt.message}: the last write may be stored or not",
        hint="the journal tells; go on with `reboot-runner resume`",
    )


def steady() -> Callable[[], float]:
    """A clock of this process: it begins with the wall clock's time, counts on in sleep,
    and is never set.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    offset = time.time() - time.clock_gettime(clock)
    return lambda: time.clock_gettime(clock) + offset
