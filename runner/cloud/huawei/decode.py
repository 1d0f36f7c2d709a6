"""JSON of the service as our nouns. Lenient: only what a noun cannot do without is required. Pure.

Live answers lack many documented keys and have others (pages "Querying Details About ECSs",
"Querying Job Execution Status"): unknown keys are ignored, missing and null ones mean "not
known", a wrong type is taken as missing. `user_data` is never looked at: it may hold a
password hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from types import MappingProxyType
from typing import Any

from runner.cloud.huawei.bodies import read_error, words_of_page
from runner.inputs.fields import as_list, as_map, as_text
from runner.model.inventory import NO_TAGS, PowerState, Server, ServerGroup, Task
from runner.model.job import Job, JobStatus, SubJob
from runner.net.hosts import is_private
from runner.net.text import tidy
from runner.net.wire import Reply

_ENTERPRISE_PROJECT = "_sys_enterprise_project_id"
_BARE_METAL = "__type_baremetal"
_FRACTION = re.compile(r"[.,](\d{1,6})\d*")
_MAX_NAME = 256
_MAX_CAUSE = 4_000
MOST_TAGS = 1_000
"""Of a server. A longer list is taken for damaged."""
OPEN_WORDS = frozenset({"", "INIT", "RUNNING", "PENDING_PAYMENT"})
"""Documented words of work that goes on ("Querying Job Execution Status", `status`)."""
STATES = {
    "ACTIVE": PowerState.RUNNING,
    "REBOOT": PowerState.REBOOTING,
    "HARD_REBOOT": PowerState.REBOOTING,
    "ERROR": PowerState.ERROR,
    "UNKNOWN": PowerState.UNKNOWN,
    "": PowerState.UNKNOWN,
}
"""The table of server states. A server that is powering off or being deleted still reads
ACTIVE, so its task counts as well."""
TASKS = {"powering-off": Task.STOP, "deleting": Task.STOP}
MOST_SUB_JOBS = 2_000
"""A request has at most 1,000 servers ("Restarting ECSs in a Batch")."""


def server(value: Any) -> Server | None:
    """Return a server of a list or a single answer; None for an entry without an id.

    A status that is missing, null or empty is kept as "": such a server is never rebooted,
    and never disappears.
    """
    if not isinstance(value, dict):
        return None
    server_id = value.get("id")
    if not isinstance(server_id, str) or not server_id:
        return None
    read_tags = tags(value.get("tags"))
    # Elastic addresses are `floating`. The own one is the first private fixed one, else the
    # first fixed one.
    addresses = list(_address_parts(value.get("addresses")))
    fixed = [a["addr"] for a in addresses if a.get("OS-EXT-IPS:type") != "floating"]
    macs = filter(None, (as_text(a.get("OS-EXT-IPS-MAC:mac_addr")).lower() for a in addresses))
    return Server(
        id=server_id,
        name=tidy(as_text(value.get("name")), _MAX_NAME),
        **_state(as_text(value.get("status")), as_text(value.get("OS-EXT-STS:task_state"))),
        zone=intern(as_text(value.get("OS-EXT-AZ:availability_zone"))),
        flavor=intern(as_text(as_map(value.get("flavor")).get("id"))),
        tags=NO_TAGS if read_tags is None else read_tags,
        tags_unknown=read_tags is None,
        enterprise_project=intern(_enterprise_project(value)),
        server_group=_first(as_map(value.get("os:scheduler_hints")).get("group")),
        locked=value.get("locked") in (True, "true"),
        frozen=as_text(as_map(value.get("metadata")).get("EcmResStatus")).lower() == "freeze",
        updated=as_text(value.get("updated")) or None,
        addresses=tuple(dict.fromkeys(a["addr"] for a in addresses)),
        own_address=next(filter(is_private, fixed), fixed[0] if fixed else ""),
        macs=tuple(dict.fromkeys(macs)),
        bare_metal=_BARE_METAL in (read_tags or ())
        or _BARE_METAL in (tags(value.get("sys_tags")) or ()),
    )


@lru_cache(maxsize=256)
def _state(status: str, task: str) -> dict[str, Any]:
    said = [f"status {status}"] if status not in ("", "ACTIVE") else []
    if task:
        said.append(f"task {task}")
    kind = Task.REBOOT if "reboot" in task else TASKS.get(task, Task.OTHER)
    return {
        "state": STATES.get(status, PowerState.STOPPED),
        "task": kind if task else None,
        "words": ", ".join(said) or ("running" if status else "no status"),
    }


def ghost(value: Any) -> str | None:
    """Return the id of an entry that says "no such server": every field but `id` and `fault`
    is null or empty.

    So the `server_id` filter answers for an id that does not exist.
    """
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        return None
    is_ghost = not any(content for key, content in value.items() if key not in ("id", "fault"))
    return str(value["id"]) if is_ghost else None


def tags(value: Any) -> Mapping[str, str] | None:
    """Return `["env=prod", "canary"]` as a mapping: split at the first `=`, no `=` is an
    empty value.

    The pages of the tag service write `[{"key", "value"}]`; that is read too. None and a
    missing field are no tags. Everything else, one key with two values, and more than
    `MOST_TAGS` are None: tags that cannot be read must not look like none.
    """
    if value is None:
        return NO_TAGS
    if not isinstance(value, list) or len(value) > MOST_TAGS:
        return None
    items = [_tag(item) for item in value]
    texts = tuple(text for text in items if text is not None)
    return _tags(texts) if len(texts) == len(items) else None


def _tag(item: Any) -> str | None:
    """Return `key=value`, empty for a blank entry; None for what is no tag."""
    if isinstance(item, str):
        return None if item.startswith("=") else item
    key, text = (item.get("key"), item.get("value")) if isinstance(item, dict) else (None, None)
    if not isinstance(key, str) or not key or not isinstance(text, str | None):
        return None
    return f"{key}={text or ''}"


@lru_cache(maxsize=4096)
def _tags(items: tuple[str, ...]) -> Mapping[str, str] | None:
    """Many servers have the same tags: they share one mapping. None where a key has two values."""
    parts = {item.partition("=")[::2] for item in items if item}
    found = {intern(key): intern(text) for key, text in parts}
    if len(found) < len(parts):
        return None
    return MappingProxyType(found) if found else NO_TAGS


def _enterprise_project(value: Mapping[str, Any]) -> str:
    """`enterprise_project_id`; where the cloud does not have that field (OTC), the system tag."""
    own = as_text(value.get("enterprise_project_id"))
    system = (as_map(item) for item in as_list(value.get("sys_tags")))
    named = (
        as_text(item.get("value")) for item in system if item.get("key") == _ENTERPRISE_PROJECT
    )
    return own or next(named, "")


def _address_parts(value: Any) -> Iterator[Mapping[str, Any]]:
    for net in as_map(value).values():
        for address in as_list(net):
            if isinstance(address, dict) and isinstance(address.get("addr"), str):
                yield address


def server_groups(value: Any) -> list[ServerGroup]:
    """Return the groups of one page ("Querying ECS Groups").

    Raises ValueError for another shape: a group that is left out is not spread.
    """
    listed = as_map(value).get("server_groups")
    return [server_group(entry) for entry in (listed if isinstance(listed, list) else [None])]


def server_group(value: Any) -> ServerGroup:
    fields = as_map(value)
    group_id, members = as_text(fields.get("id")), fields.get("members")
    listed = [member for member in as_list(members) if isinstance(member, str)]
    if not group_id or (members is not None and listed != members):
        raise ValueError("the list of server groups is not as its page documents")
    policies = (policy for policy in as_list(fields.get("policies")) if isinstance(policy, str))
    return ServerGroup(
        group_id, tidy(as_text(fields.get("name")), _MAX_NAME), tuple(policies), tuple(listed)
    )


def job(value: Any, job_id: str, request_id: str | None = None) -> Job:
    """Return a job with its sub-jobs by server id, and those without one. Every failure has
    a reason.

    A job for a single resource has no `sub_jobs`: then its own `entities.server_id` is
    read as its only one. Raises ValueError for more sub-jobs than any request of ours
    can have.
    """
    fields = as_map(value)
    whole = _part(fields)
    items = as_list(as_map(fields.get("entities")).get("sub_jobs"))
    if len(items) > MOST_SUB_JOBS:
        raise ValueError(f"the job has {len(items):,} sub-jobs, more than {MOST_SUB_JOBS:,}")
    parts: dict[str, SubJob] = {}
    anonymous: list[SubJob] = []
    for item in items:
        if not isinstance(item, dict):
            continue
        part = _explained(_part(item), whole)
        if part.server_id:
            parts[part.server_id] = _later(parts.get(part.server_id), part)
        else:
            anonymous.append(part)
    if not items and whole.server_id:
        parts[whole.server_id] = _explained(whole, whole)
    return Job(
        job_id,
        whole.status,
        MappingProxyType(parts),
        whole.began,
        whole.ended,
        whole.code,
        whole.reason,
        tuple(anonymous),
        whole.word,
        whole.looks_ended,
        request_id,
    )


def _part(fields: Mapping[str, Any]) -> SubJob:
    word, end_time = tidy(as_text(fields.get("status")), 64), fields.get("end_time")
    code, reason = _cause(fields)
    status = job_status(word)
    is_odd = not status.is_final and word.upper() not in OPEN_WORDS
    return SubJob(
        as_text(as_map(fields.get("entities")).get("server_id")),
        status,
        when(fields.get("begin_time")),
        when(end_time),
        code,
        reason,
        word,
        is_odd and isinstance(end_time, str | int) and bool(end_time),
    )


def _explained(part: SubJob, whole: SubJob) -> SubJob:
    """Return a part that did not succeed with a cause: its own, the whole job's, or that
    there is none.
    """
    if part.status is JobStatus.SUCCESS or not (part.status.is_final or part.looks_ended):
        return part
    code, reason = part.code, part.reason
    if not code and not reason:
        code, reason = whole.code, whole.reason
    return replace(part, code=code, reason=reason or "the cloud gave no reason")


def _later(old: SubJob | None, new: SubJob) -> SubJob:
    """Of two parts for one server the one that began later; without times the one that
    stands later.
    """
    if old is None or old.began is None or new.began is None:
        return new
    return old if old.began > new.began else new


def _cause(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return code and reason: `error_code`, `fail_reason`, `entities.errorcode_message`.

    The last two can hold, or end in, a JSON document or a page of HTML. A code in them counts where
    `error_code` is empty, but not a bare HTTP status.
    """
    error_code = fields.get("error_code")
    code = str(error_code) if isinstance(error_code, str | int) and error_code else ""
    reason, inner = _readable(fields.get("fail_reason"))
    detail, deepest = _readable(as_map(fields.get("entities")).get("errorcode_message"))
    if detail and detail not in reason:
        reason = f"{reason} ({detail})" if reason else detail
    found = next((c for c in (inner, deepest) if c and not c.isdigit()), "")
    return (tidy(code, 64) or found or None), (tidy(reason) or None)


def _readable(value: Any) -> tuple[str, str]:
    """Return the words of a text without the JSON or HTML it holds, and the code in that JSON."""
    text = (json.dumps(value) if isinstance(value, dict | list) else as_text(value))[
        :_MAX_CAUSE
    ].strip()
    start = min((at for mark in "{<" if (at := text.find(mark)) >= 0), default=-1)
    if start < 0:
        return text, ""
    head, tail = text[:start].strip(), text[start:]
    if tail.startswith("<"):
        return f"{head} {words_of_page(tail)}".strip(), ""
    error = read_error(Reply(0, {}, tail.encode("utf-8", "replace")))
    if not error.is_json or (not error.code and not error.says):
        return text, ""
    return f"{head} {error.says}".strip(), error.code or ""


def job_status(value: Any) -> JobStatus:
    """SUCCESS and FAIL are final; every other word, and none, is pending."""
    word = value.upper() if isinstance(value, str) else ""
    return {"SUCCESS": JobStatus.SUCCESS, "FAIL": JobStatus.FAIL}.get(word, JobStatus.PENDING)


def reboot_history(value: Any) -> tuple[datetime, ...]:
    """Return when a server was rebooted, newest first, by `instanceActions` of its history
    (`action`, `start_time`). Entries without a readable time are left out.

    Raises ValueError where the answer has no such list: an unreadable history is not an empty one.
    """
    listed = as_map(value).get("instanceActions")
    if not isinstance(listed, list):
        raise ValueError("no instanceActions in the answer")  # noqa: TRY004 - the answer is wrong, no type of ours
    items = (item for item in listed if isinstance(item, dict) and item.get("action") == "reboot")
    return tuple(sorted(filter(None, (when(i.get("start_time")) for i in items)), reverse=True))


def when(value: Any) -> datetime | None:
    """A time in any of the service's forms, as aware UTC; None for everything else, and never
    an error.

    `2023-07-26T02:11:05.120Z`, `2019-05-22T03:30:52Z`, `2018-08-13T13:46:46.000000` (no zone: UTC),
    `2022-02-10T10:05:46+08:00`, `""` while a job runs, and milliseconds since 1970 as a number.
    """
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        if not isinstance(value, str) or len(value) > 40:
            return None
        found = datetime.fromisoformat(
            _FRACTION.sub(lambda found: "." + found[1].ljust(6, "0"), value.strip())
        )
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _first(value: Any) -> str | None:
    """Scheduler hints are lists; some answers have the bare text."""
    items = value if isinstance(value, list) else (value,)
    return next(filter(None, map(as_text, items)), None)
