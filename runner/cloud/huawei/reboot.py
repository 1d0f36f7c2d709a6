"""What the answer to a reboot request proves. Pure: (status, headers, body) in, one of six
answers out.

Page "Restarting ECSs in a Batch": `POST /v1/{project_id}/cloudservers/action` answers with
a `job_id`. There is no idempotency token for it ("Idempotency" lists creation only), so
whatever proves neither acceptance nor refusal is ambiguous and will not be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from runner.cloud.huawei.bodies import ApiError, read_error
from runner.cloud.huawei.codes import BATCH_FAILED, REFUSALS, Verdict, proof, same
from runner.cloud.huawei.denials import REBOOT, denial, is_denial
from runner.cloud.huawei.throttle import allowed
from runner.inputs.fields import as_text, json_object
from runner.model.job import Accepted, Ambiguous, Denied, RebootAnswer, Refusal, Refused, Throttled
from runner.model.schedule import RebootType
from runner.net.secret import Scrub, no_scrub
from runner.net.wire import Reply

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LONGEST_WAIT_S = 3600.0


def reboot_body(ids: Collection[str], kind: RebootType) -> bytes:
    """The bytes of the request: serialised once, so that what is hashed is what is sent.

    Raises ValueError for no id, over 1,000 ("Restarting ECSs in a Batch", `servers`) and an
    id asked for twice.
    """
    if not 1 <= len(ids) <= 1000:
        raise ValueError(f"a batch holds 1 to 1,000 servers, not {len(ids)}")
    if len(set(ids)) != len(ids):
        raise ValueError("a server stands twice in one batch")
    body = {"reboot": {"type": kind, "servers": [{"id": i} for i in ids]}}
    return json.dumps(body, separators=(",", ":")).encode()


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    asked: Collection[str] = (),
    scrub: Scrub = no_scrub,
) -> RebootAnswer:
    """Accepted with a job id; throttled, denied or refused by a code of the allow-list; else
    ambiguous.

    `headers` have lower-case names. `asked`: the ids of the request, to see which of them
    the answer names. Never raises, whatever the body is.
    """
    reply = Reply(status, headers, body)
    if 200 <= status < 300:
        job_id = job_id_of(body)
        if job_id is not None:
            return Accepted(job_id, reply.request_id, status)
    error = read_error(reply, scrub)
    found = _proven(error, asked)
    if found is None:
        unproven = "does not prove that nothing was begun"
        reason = f"{error.message}, which {unproven}"
        if 200 <= status < 300:
            reason = f"HTTP {status} without a job id" + (
                f": {error.sentence}" if error.code else ""
            )
        elif error.code:
            reason = f"HTTP {status}, and {error.sentence} {unproven}"
        return Ambiguous(reason, status, error.code, error.request_id)
    if found is Verdict.THROTTLED:
        code, wait = error.code or str(status), retry_after_s(headers)
        return Throttled(
            code, error.sentence, wait, error.request_id, status, allowed(error.message)
        )
    if found is Verdict.DENIED:
        message, hint = denial(error, REBOOT)
        if error.code and error.code not in message:
            message = f"{message} ({error.code})"
        return Denied(error.code or str(status), message, status, error.request_id, hint)
    why = tuple(dict.fromkeys(REFUSALS[c] for c in error.codes if c in REFUSALS))
    return Refused(
        error.code or str(status),
        error.sentence,
        status,
        error.request_id,
        why or (Refusal.OTHER,),
        is_divisible=found is Verdict.SERVERS or Refusal.TOO_MANY in why,
    )


def job_id_of(body: bytes) -> str | None:
    """The job id of an answer; None where there is none that could be asked for."""
    job_id = as_text(json_object(body).get("job_id"))
    return job_id if JOB_ID.fullmatch(job_id) else None


def _proven(error: ApiError, asked: Collection[str]) -> Verdict | None:
    """What the codes prove together. One detail that proves nothing takes the proof from all."""
    if not error.is_json or error.did_some:
        return None
    details = [proof(d.code, error.status) for d in error.details if d.code is not None]
    if None in details:
        return None
    inner = {p.verdict for p in details if p is not None}
    if error.code is not None and same(error.code) == BATCH_FAILED:
        return _batch_failed(error, inner, asked)
    if is_denial(error):
        return Verdict.DENIED
    outer = proof(error.code, error.status)
    if outer is not None and outer.verdict is Verdict.REFUSED and inner == {Verdict.SERVERS}:
        return Verdict.SERVERS
    return outer.verdict if outer is not None else None


def _batch_failed(error: ApiError, inner: set[Verdict], asked: Collection[str]) -> Verdict | None:
    """Ecs.0611: every detail must have a code of the list; where ids are named, all that
    were asked for.
    """
    if error.status < 400 or not inner or any(d.code is None for d in error.details):
        return None
    named = {d.server_id for d in error.details if d.server_id}
    if named and not named.issuperset(asked):
        return None  # it says nothing about the others, and they may be rebooting
    if Verdict.THROTTLED in inner:
        return None
    if inner == {Verdict.DENIED}:
        return Verdict.DENIED
    return Verdict.SERVERS if inner == {Verdict.SERVERS} else Verdict.REFUSED


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, written as a number or as a date (against the
    answer's own `Date`).

    At most an hour; None where the header is missing or unreadable.
    """
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", said):
        return min(float(said), _LONGEST_WAIT_S)
    until, now = _http_date(said), _http_date(headers.get("date", ""))
    if until and now:
        return min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT_S)
    return None


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
