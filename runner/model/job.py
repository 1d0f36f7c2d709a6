"""The cloud's asynchronous work, and what a reboot request can answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobStatus(StrEnum):
    """INIT, RUNNING and every word we do not know are PENDING; only SUCCESS and FAIL are final."""

    PENDING = "pending"
    SUCCESS = "success"
    FAIL = "fail"

    @property
    def is_final(self) -> bool:
        return self is not JobStatus.PENDING


OPEN_WORDS = frozenset({"INIT", "RUNNING", "PENDING_PAYMENT"})
"""Documented words of work that goes on ("Querying Job Execution Status", `status`)."""


@dataclass(frozen=True, slots=True)
class SubJob:
    """A job's part for one server; `server_id` is empty where the cloud names none.

    `word` is the status and `end_time` the time as the cloud wrote them, `ended` the same
    time where it can be read. `reason` is at most 500 characters.
    """

    server_id: str
    status: JobStatus
    began: datetime | None = None
    ended: datetime | None = None
    code: str | None = None
    reason: str | None = None
    word: str = ""
    end_time: str = ""

    @property
    def looks_ended(self) -> bool:
        """Return True for an undocumented status word with an `end_time`, like `CANCELLED`."""
        return _looks_ended(self.status, self.word, self.end_time)


@dataclass(frozen=True, slots=True)
class Job:
    """A job with its sub-jobs by server id (page "Querying Job Execution Status",
    `entities.sub_jobs[]`).

    The parent's status in a mixed batch is documented nowhere: judge a server by its own
    sub-job. `sub_jobs` may be empty or incomplete at any time. `anonymous`: sub-jobs that
    name no server. `word` and `end_time` are those of `SubJob`. `request_id` is that of the
    request that read the job.
    """

    id: str
    status: JobStatus
    sub_jobs: Mapping[str, SubJob]
    began: datetime | None = None
    ended: datetime | None = None
    code: str | None = None
    reason: str | None = None
    anonymous: tuple[SubJob, ...] = ()
    word: str = ""
    end_time: str = ""
    request_id: str | None = None

    @property
    def looks_ended(self) -> bool:
        """Return True for an undocumented status word with an `end_time`, like `CANCELLED`."""
        return _looks_ended(self.status, self.word, self.end_time)


def _looks_ended(status: JobStatus, word: str, end_time: str) -> bool:
    is_undocumented = bool(word) and word.upper() not in OPEN_WORDS
    return not status.is_final and is_undocumented and bool(end_time)


@dataclass(frozen=True, slots=True)
class JobGone:
    """The cloud does not know the job (`Common.0011`, or 404): expired after a day, or not
    visible yet.
    """

    id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The cloud took the batch."""

    job_id: str
    request_id: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left this machine: DNS, connect or TLS failed. Safe to repeat."""

    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """A limit that the cloud names: at most `requests` in any `window_s` seconds."""

    requests: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Throttled:
    """Flow control in front of the service refused the request.

    `retry_after_s`: seconds from the header `Retry-After`, else None (back off). `limit`:
    the limit that the text names. It is no time to wait: other programs may have used it
    up, and the end of its window is not known.
    """

    code: str
    reason: str
    retry_after_s: float | None = None
    request_id: str | None = None
    status: int = 429
    limit: Allowed | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The service proved by its code that it did not begin.

    `because_of_servers`: the code speaks of single servers (state, lock, busy, missing), so
    the others of the batch may go on without them. `named`: server ids that the answer
    itself names, with their codes. `codes`: every code of the answer, those of its details
    included.
    """

    code: str
    reason: str
    status: int
    request_id: str | None = None
    because_of_servers: bool = False
    named: Mapping[str, str] | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """Credentials, permission or the account: nothing was begun, and repeating does not
    help. `hint`: what to do.
    """

    code: str
    reason: str
    status: int
    request_id: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Nobody can say whether the batch was accepted: time-out, reset, 5xx, an answer
    without a job id.

    Never repeated. What cannot be known is settled by evidence.
    """

    reason: str
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


RebootAnswer = Accepted | NotSent | Throttled | Refused | Denied | Ambiguous


@dataclass(frozen=True, slots=True)
class Action:
    """One line of a server's action history (`os-instance-actions`). `started` is None
    where unreadable.
    """

    action: str
    started: datetime | None
    request_id: str | None = None
    message: str | None = None
