"""One runner process of a storm: the real command line, with a death planned at a labelled instant.

The labels stand around every call to store and cloud; `die` is SIGKILL to oneself, so
nothing is cleaned up.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from runner.app import decide, execute_run, resolve, resume_run, retry, run_plans
from runner.cli.main import invoke
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.execution import evidence, machine, sending
from runner.loading import plan
from runner.model.events import BatchLooked, BatchSettled
from runner.report import run_text
from runner.store.sql import SqlStore

LABELS = (
    *(
        "take.after",
        "intent.before",
        "intent.after",
        "post.before",
        "post.after",
        "answer.before",
        "answer.after",
    ),
    *(
        "append.before",
        "append.after",
        "job.after",
        "read_servers.after",
        "reboot_history.after",
        "give_back.before",
    ),
)
"""Where a process can be told to die: before or after it."""

PRELOADED = (decide, resolve, resume_run, retry, run_plans, plan, run_text)
"""What the program imports late is loaded before the fork: a process of a storm lives for a
second or two.
"""

ANSWERS = (
    "batch.accepted",
    "batch.not_sent",
    "batch.throttled",
    "batch.refused",
    "batch.ambiguous",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What one process is to do. `die_at`: a label, at its `nth` passing; None: never by itself.

    `by`: the signal it sends itself there (SIGSTOP freezes it). `lease_s`, `minute_s`: a
    shorter lease, and a shorter minute of the rate budget, than the program's.
    """

    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    die_at: str | None = None
    nth: int = 1
    naive: bool = False
    output: str = os.devnull
    by: int = signal.SIGKILL
    lease_s: float | None = None
    minute_s: float | None = None


def work(order: Order) -> None:
    """Carry out an order; ends the process with the program's exit code."""
    os.chdir(order.folder)
    os.environ.update(order.environment)
    out = os.open(order.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    if order.die_at:
        _plan_death(order.die_at, order.nth, order.by)
    if order.lease_s:
        _shorten_lease(order.lease_s)
    if order.minute_s:
        sending.MINUTE_S = order.minute_s
    if order.naive:
        _be_naive()
    code = invoke(list(order.arguments))
    sys.stdout.flush()
    os._exit(code)


def _shorten_lease(seconds: float) -> None:
    made = execute_run.setting_for

    def shorter(*args: Any, **kwargs: Any) -> Any:
        return replace(made(*args, **kwargs), lease_s=seconds)

    execute_run.setting_for = shorter


def _plan_death(label: str, nth: int, by: int) -> None:
    passed: Counter[str] = Counter()

    def instant(name: str) -> None:
        passed[name] += 1
        if name == label and passed[name] == nth:
            os.kill(os.getpid(), by)

    _around_append(instant)
    for name in ("take", "give_back"):
        setattr(SqlStore, name, _around(getattr(SqlStore, name), name, instant))
    for name, told in (
        ("reboot", "post"),
        ("job", "job"),
        ("read_servers", "read_servers"),
        ("reboot_history", "reboot_history"),
    ):
        setattr(HuaweiCloud, name, _around_async(getattr(HuaweiCloud, name), told, instant))


def _around_append(instant: Callable[[str], None]) -> None:
    append = SqlStore.append

    @functools.wraps(append)
    def dying(self: Any, lease: Any, at: Any, events: Any, **rest: Any) -> Any:
        kind = events[0].type if events else ""
        name = "intent" if kind == "batch.intended" else "answer" if kind in ANSWERS else "append"
        instant(f"{name}.before")
        stored = append(self, lease, at, events, **rest)
        instant(f"{name}.after")
        return stored

    SqlStore.append = dying  # type: ignore[method-assign]


def _around(
    method: Callable[..., Any], name: str, instant: Callable[[str], None]
) -> Callable[..., Any]:
    @functools.wraps(method)
    def dying(*args: Any, **kwargs: Any) -> Any:
        instant(f"{name}.before")
        result = method(*args, **kwargs)
        instant(f"{name}.after")
        return result

    return dying


def _around_async(
    method: Callable[..., Any], name: str, instant: Callable[[str], None]
) -> Callable[..., Any]:
    @functools.wraps(method)
    async def dying(*args: Any, **kwargs: Any) -> Any:
        instant(f"{name}.before")
        result = await method(*args, **kwargs)
        instant(f"{name}.after")
        return result

    return dying


def _be_naive() -> None:
    """A runner that repeats after a doubtful answer, as many do: the judge must catch it."""

    def again(run: Any, batch: Any, findings: Any, **late: bool) -> Any:
        return (
            BatchLooked(batch.number, (), {}),
            BatchSettled(batch.number, tuple(findings)),
        )

    evidence.judge = again
    machine._are_rechecked = lambda ids, pace, now: True
