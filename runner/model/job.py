"""The cloud's asynchronous work, and what a reboot request can answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobStatus(StrEnum):
    """Only SUCCESS and FAIL are final."""

    PENDING = "pending"
    SUCCESS = "success"
    FAIL = "fail"

    @property
    def is_final(self) -> bool:
        return self is not JobStatus.PENDING


@dataclass(frozen=True, slots=True)
class SubJob:
    """A job's part for one server; `server_id` is empty where the cloud names none.

    `word`: the status as the cloud wrote it. `looks_ended`: the word is none that the cloud
    documents, and the part has an end time. `reason`: at most 500 characters.
    """

    server_id: str
    status: JobStatus
    began: datetime | None = None
    ended: datetime | None = None
    code: str | None = None
    reason: str | None = None
    word: str = ""
    looks_ended: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A job with its sub-jobs by server id.

    Judge a server by its own sub-job: what the status of a mixed batch means is not known.
    `sub_jobs` may be empty or incomplete at any time. `anonymous`: sub-jobs that name no
    server. `request_id`: of the request that read the job.
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
    looks_ended: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobGone:
    """The cloud does not know the job: it expired, or is not visible yet."""

    id: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The cloud took the batch. `job_id`: empty where the cloud has no jobs."""

    job_id: str = ""
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


class Refusal(StrEnum):
    """Why a cloud did not begin. The words are the reason codes of skipped servers."""

    NOT_ACTIVE = "NotActive"
    BUSY = "Busy"
    MISSING = "Missing"
    LOCKED = "Locked"
    FROZEN = "Frozen"
    TOO_MANY = "TooMany"
    OTHER = "Refused"

    @property
    def is_of_state(self) -> bool:
        """Return True if what is in the way can be an earlier request of ours."""
        return self in (Refusal.NOT_ACTIVE, Refusal.BUSY)


@dataclass(frozen=True, slots=True)
class Refused:
    """The cloud proved by its answer that it did not begin.

    `why`: each reason that the answer gives, the one that counts for a batch of a single
    server first. `is_divisible`: others of the batch may go on without those it is about,
    so that smaller batches are worth a try. `code`: the cloud's own.
    """

    code: str
    reason: str
    status: int
    request_id: str | None = None
    why: tuple[Refusal, ...] = (Refusal.OTHER,)
    is_divisible: bool = False


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
