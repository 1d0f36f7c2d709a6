"""Fault rules: what goes wrong, on which call, how often. The models are the scenario
file's format.

Three families. *Call* rules spoil single HTTP calls. *Batch* rules decide what becomes
of servers whose reboot was just accepted. *World* rules change the fleet, at a time or
when a call comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from http.client import responses
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runner.simulator.answers import Response, ecs_error, gateway_error, proxy_page, throttled
from runner.simulator.chance import pick_share
from runner.simulator.fleet import FleetServer
from runner.simulator.switches import Duration
from runner.simulator.timeline import Millis, length_millis

REFUSAL_TIME: Millis = 7_000
"""How long a sub-job takes to find out that its server cannot be rebooted (a guess)."""

SubStatus = Literal["SUCCESS", "FAIL", "RUNNING"]


@dataclass(frozen=True, slots=True)
class RebootPart:
    """One server's part of an accepted batch, all of it already decided.

    `ends` None: the sub-job never ends. `back` None: the server never comes back from
    REBOOT. `goes_down` False: it was refused inside the job and never went down; then
    `back` means nothing.
    """

    server: str
    begins: Millis
    ends: Millis | None
    sub_status: SubStatus = "SUCCESS"
    goes_down: bool = True
    back: Millis | None = None
    back_to: str = "ACTIVE"
    code: str | None = None
    reason: str | None = None
    message: str | None = None
    is_listed: bool = True
    lag: Millis = 0


On = Literal[
    "reboot", "job", "list", "show", "actions", "tags", "groups", "limits", "token", "metadata", "projects",  # noqa: E501
    "alarms", "scaling", "events", "unknown", "any",
]  # fmt: skip
"""The kinds of calls. `unknown` is any route that the cloud does not have."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerPick(_Strict):
    """Which servers: all that match `names` (globs, or ids) and `tags`; of those a `share` (0
    to 1) or `count`.

    Shares and counts are drawn by the seed: the same servers each time. An empty pick means
    every server.
    """

    names: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    count: Annotated[int, Field(ge=1)] | None = None

    def choose(self, servers: Iterable[FleetServer], seed: int, salt: int) -> list[str]:
        """The ids of the picked ones among `servers`, in their order."""
        found = [
            s
            for s in servers
            if (not self.names or any(n == s.id or fnmatchcase(s.name, n) for n in self.names))
            and self.tags.items() <= dict(s.tags).items()
        ]
        if self.share is not None:
            found = [s for s in found if pick_share(seed, "pick", salt, s.id) < self.share]
        if self.count is not None:
            drawn = sorted(found, key=lambda s: pick_share(seed, "pick", salt, s.id))[: self.count]
            keep = {s.id for s in drawn}
            found = [s for s in found if s.id in keep]
        return [s.id for s in found]


class _Rule(_Strict):
    """`after`: that many matching calls (batches) pass first. `times`: how often it fires.

    `at`, `until`: only in this stretch of simulated time, counted from the moment the rule
    was added. `probability`: of firing, drawn by the seed for each matching call.
    """

    after: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    at: Duration | None = None
    until: Duration | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0

    def is_due(self, since_added: timedelta) -> bool:
        """Return True within the rule's stretch of time."""
        if self.at is not None and since_added < self.at:
            return False
        return self.until is None or since_added < self.until


class CallRule(_Rule):
    """Spoils calls of the kind `on`."""

    on: On


class Throttle(CallRule):
    """Flow control in front of the service: nothing is accepted. 202 has `Common.0024` in its body.

    `effect`: the request was carried out all the same, as when flow control judges the answer.
    """

    do: Literal["throttle"]
    status: Literal[429, 202, 503] = 429
    code: Literal["Common.1503", "Common.0024", "APIGW.0308"] | None = None
    retry_after: Duration | None = None
    effect: bool = False

    def answer(self, request_id: str) -> Response:
        code = self.code or ("Common.0024" if self.status == 202 else "Common.1503")
        wait_s = None if self.retry_after is None else round(self.retry_after.total_seconds())
        return throttled(request_id, self.status, code, wait_s)


class Error(CallRule):
    """An error answer. `effect`: the request was carried out all the same. `body: raw`:
    `message` is the JSON body.
    """

    do: Literal["error"]
    status: Annotated[int, Field(ge=200, le=599)] = 500
    code: str = "Common.0001"
    message: str = "System exception."
    body: Literal["json", "html", "text", "empty", "raw"] = "json"
    effect: bool = False

    def answer(self, request_id: str) -> Response:
        code = str(self.status)
        match self.body:
            case "html":
                return proxy_page(self.status, responses.get(self.status, "Error"))
            case "text":
                return Response(self.status, self.message.encode(), "text/plain", code=code)
            case "raw":
                return Response(self.status, self.message.encode(), code=code)
            case "empty":
                return Response(self.status, b"", "text/plain", code=code)
        if self.code.startswith("APIG"):
            return gateway_error(self.status, self.code, self.message, request_id)
        return ecs_error(self.code, self.message, status=self.status)


class Reset(CallRule):
    """The connection is reset, before or after the request was carried out."""

    do: Literal["reset"]
    when: Literal["before", "after"] = "before"


class Delay(CallRule):
    """A slow call: it waits before it is carried out, or before its answer leaves."""

    do: Literal["delay"]
    seconds: Duration
    clock: Literal["sim", "wall"] = "sim"
    when: Literal["before", "after"] = "after"


class Truncate(CallRule):
    """The connection closes after half of the body. The request was carried out."""

    do: Literal["truncate"]


class ExpireToken(CallRule):
    """All tokens given out so far end just before this call."""

    do: Literal["expire_token"]


class BatchRule(_Rule):
    """Decides what becomes of servers in accepted batches. `times` counts for each server
    by itself.
    """

    on: Literal["reboot"] = "reboot"
    servers: ServerPick = ServerPick()

    def decide(self, part: RebootPart) -> RebootPart:
        """Return the part as this rule decides it. Rules apply one after the other."""
        return part


class JobFail(BatchRule):
    """The sub-job fails; the server comes back, or (`goes_down: false`) was never touched."""

    do: Literal["job_fail"]
    code: str | None = "Ecs.0227"
    reason: str | None = "Failed to restart the ECS."
    message: str | None = None
    parent: Literal["FAIL", "SUCCESS"] | None = None
    goes_down: bool = True

    def decide(self, part: RebootPart) -> RebootPart:
        part = replace(
            part, sub_status="FAIL", code=self.code, reason=self.reason, message=self.message
        )
        if self.goes_down:
            return part
        ends = part.begins + REFUSAL_TIME
        return replace(part, goes_down=False, back=None, ends=min(ends, part.ends or ends))


class JobStuck(BatchRule):
    """The sub-job, and so its parent, stays RUNNING for ever. The server itself comes back."""

    do: Literal["job_stuck"]

    def decide(self, part: RebootPart) -> RebootPart:
        return with_sub_job(part, "RUNNING")


class JobUnknown(BatchRule):
    """The job of the batch is unknown for a while (`seconds`)."""

    do: Literal["job_unknown"]
    seconds: Duration


class SubJobMissing(BatchRule):
    """The job never lists this server, which is rebooted all the same."""

    do: Literal["sub_job_missing"]

    def decide(self, part: RebootPart) -> RebootPart:
        return replace(part, is_listed=False)


class ServerError(BatchRule):
    """The server ends in ERROR."""

    do: Literal["server_error"]
    sub_job: SubStatus = "FAIL"
    code: str | None = "Ecs.0227"
    reason: str | None = "Failed to restart the ECS."

    def decide(self, part: RebootPart) -> RebootPart:
        part = with_sub_job(part, self.sub_job)
        return replace(part, back_to="ERROR", code=self.code, reason=self.reason)


class StaysInReboot(BatchRule):
    """The server never comes back from REBOOT (HARD_REBOOT)."""

    do: Literal["stays_in_reboot"]
    sub_job: SubStatus = "SUCCESS"

    def decide(self, part: RebootPart) -> RebootPart:
        return replace(with_sub_job(part, self.sub_job), back=None)


class Slow(BatchRule):
    """The reboot takes exactly `seconds`."""

    do: Literal["slow"]
    seconds: Duration

    def decide(self, part: RebootPart) -> RebootPart:
        back = part.begins + length_millis(self.seconds)
        return replace(part, back=part.back and back, ends=part.ends and back)


class StateLag(BatchRule):
    """Lists and shows lag behind this server, at both edges of its reboot."""

    do: Literal["state_lag"]
    seconds: Duration

    def decide(self, part: RebootPart) -> RebootPart:
        return replace(part, lag=length_millis(self.seconds))


def with_sub_job(part: RebootPart, status: SubStatus) -> RebootPart:
    """Return the part with a sub-job of this status; one that is RUNNING never ends."""
    return replace(part, sub_status=status, ends=None if status == "RUNNING" else part.ends)


class WorldRule(_Rule):
    """Changes the fleet: at `at` (at once without it), or, with `on`, just before the call
    that fires it.

    `for`: it ends after so long; without it, it is for good.
    """

    on: On | None = None
    servers: ServerPick = ServerPick()
    lasts: Annotated[Duration | None, Field(alias="for")] = None

    @property
    def values(self) -> dict[str, Any]:
        """What `events.Changed` overlays while the rule holds."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _once(self) -> WorldRule:
        if self.on is None and (
            self.after or self.until is not None or self.times != 1 or self.probability < 1
        ):
            raise ValueError("after, times, until and probability need `on`")
        return self


class Locked(WorldRule):
    """Locked: every action is refused with Ecs.0605."""

    do: Literal["locked"]

    @property
    def values(self) -> dict[str, Any]:
        return {"locked": True}


class Frozen(WorldRule):
    """Frozen by the provider (`EcmResStatus: freeze`): refused with Ecs.0030."""

    do: Literal["frozen"]

    @property
    def values(self) -> dict[str, Any]:
        return {"frozen": True}


class Busy(WorldRule):
    """Another task runs on it; it still reads ACTIVE."""

    do: Literal["busy"]
    task_state: str = "powering-off"

    @property
    def values(self) -> dict[str, Any]:
        return {"task_state": self.task_state}


class Missing(WorldRule):
    """Deleted: no list shows it any more."""

    do: Literal["missing", "delete_servers"]

    @property
    def values(self) -> dict[str, Any]:
        return {"deleted": True}


class NotActive(WorldRule):
    """In another state than ACTIVE."""

    do: Literal["not_active"]
    status: Literal[
        "", "SHUTOFF", "ERROR", "BUILD", "REBUILD", "MIGRATING", "RESIZE", "SHELVED", "UNKNOWN"
    ] = "SHUTOFF"

    @property
    def values(self) -> dict[str, Any]:
        return {"status": self.status, "task_state": None}


class Alarm(WorldRule):
    """A Cloud Eye alarm is on for them: by a rule for each server, or (`rule: shared`) by
    one that names none.
    """

    do: Literal["alarm"]
    name: Annotated[str, Field(min_length=1, max_length=128)] = "cpu-high"
    rule: Literal["own", "shared"] = "own"

    @property
    def values(self) -> dict[str, Any]:
        return {"alarm": self.name, "shared": self.rule == "shared"}


class InScalingGroup(WorldRule):
    """They are members of an auto-scaling group, which judges their health every `audit`
    (the service: in minutes).
    """

    do: Literal["scaling_group"]
    name: Annotated[str, Field(min_length=1, max_length=64)] = "as-group"
    audit: Duration = timedelta(minutes=5)
    is_scaling: bool = False

    @property
    def values(self) -> dict[str, Any]:
        return {
            "scaling_group": self.name,
            "audit_minutes": round(self.audit.total_seconds() / 60),
            "is_scaling": self.is_scaling,
        }


class HasScheduledEvent(WorldRule):
    """The provider plans something with them: from `begins` on, counted from the rule's
    time, for `lasts_for`.
    """

    do: Literal["scheduled_event"]
    type: Annotated[str, Field(min_length=1, max_length=64)] = "system-maintenance"
    state: Annotated[str, Field(min_length=1, max_length=32)] = "scheduled"
    begins: Duration = timedelta(hours=2)
    lasts_for: Duration = timedelta(hours=4)

    @property
    def values(self) -> dict[str, Any]:
        return {
            "scheduled_event": self.type,
            "state": self.state,
            "begins": length_millis(self.begins),
            "lasts": length_millis(self.lasts_for),
        }


class CreateServers(WorldRule):
    """New servers appear at the end of the list, for good. They are new, so `servers` and
    `for` are refused.
    """

    do: Literal["create_servers"]
    count: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _new(self) -> CreateServers:
        if self.lasts is not None or self.servers != ServerPick():
            raise ValueError("new servers are not picked, and they stay: no `servers`, no `for`")
        return self


class SetTags(WorldRule):
    """The servers' tags are these, and only these."""

    do: Literal["tags"]
    tags: Mapping[str, str]

    @property
    def values(self) -> dict[str, Any]:
        return {"tags": dict(self.tags)}


class RebootBySomebody(WorldRule):
    """Somebody else reboots these servers; no job of ours tells about it."""

    do: Literal["rebooted_by_somebody"]
    type: Literal["SOFT", "HARD"] = "SOFT"


Rule = Annotated[
    Throttle | Error | Reset | Delay | Truncate | ExpireToken
    | JobFail | JobStuck | JobUnknown | SubJobMissing | ServerError | StaysInReboot | Slow | StateLag  # noqa: E501
    | Locked | Frozen | Busy | Missing | NotActive | Alarm | InScalingGroup | HasScheduledEvent
    | CreateServers | SetTags | RebootBySomebody,
    Field(discriminator="do"),
]  # fmt: skip
