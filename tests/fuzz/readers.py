"""The readers of bytes from outside: how each is called, which errors are ours, and what a
valid input looks like.
"""

from __future__ import annotations

import io
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.inputs.json_text import ANSWER, EVENT, JOURNAL, SCHEDULE, NotJson, TooMuchJson

FIXTURES = Path(__file__).parents[1] / "fixtures" / "api"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HOLE = b"@@"
"""Where a hostile value is put into a frame."""

Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Reader:
    """`make` imports the reader and returns it. `errors`: what it may raise. `limit`: bytes
    that it reads at most.

    `frames`: inputs with `HOLE` in the place of a value; `examples`: valid inputs. `kind`:
    json, yaml, lines or zip.
    """

    kind: str
    make: Callable[[], Read]
    limit: int
    frames: tuple[bytes, ...] = (HOLE,)
    examples: tuple[bytes, ...] = ()
    errors: tuple[type[Exception], ...] = (RunnerError,)


def _fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def _bytes_of(read: Callable[[bytes], object]) -> Read:
    """A reader of bytes as one of files."""
    return lambda path: read(path.read_bytes())


def _plan() -> Read:
    from runner.loading.plan import load_text

    return _bytes_of(lambda data: load_text(data, "plan.yaml"))


def _variables() -> Read:
    from runner.loading.variables import read_vars_file

    return read_vars_file


def _config() -> Read:
    from runner.loading.config import load_config_text

    return _bytes_of(lambda data: load_config_text(data, "reboot-runner.yaml", {}))


def _policy() -> Read:
    from runner.loading.policy import load_policy_text

    return _bytes_of(lambda data: load_policy_text(data, "policy.yaml"))


def _ids() -> Read:
    from runner.loading.files import read_ids

    return _bytes_of(read_ids)


def _calendar() -> Read:
    from runner.loading.calendars import read_calendar

    return _bytes_of(read_calendar)


def _schedule() -> Read:
    from runner.app.orders import read_schedule

    return read_schedule


def _artifact() -> Read:
    from runner.github.artifacts import unpack

    def read(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            return unpack(data, Path(folder))

    return _bytes_of(read)


def _scenario() -> Read:
    from runner.simulator.scenario import load_scenario

    return load_scenario


def _inventory() -> Read:
    from runner.simulator.fleet import FleetOptions
    from runner.simulator.inventory import load_fleet

    return lambda path: load_fleet(path, FleetOptions())


def _github_event() -> Read:
    from runner.github.event import read_event

    environ = {"GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "a/b"}
    return lambda path: read_event({**environ, "GITHUB_EVENT_PATH": str(path)})


def _credentials() -> Read:
    from runner.cloud.huawei.auth.logins import FILE, Variables, read_file

    return lambda path: read_file(Variables({FILE: str(path)}))


def _id_token() -> Read:
    import base64

    from runner.cloud.huawei.auth.exchange import claims_of
    from runner.net.secret import Secret

    return _bytes_of(
        lambda data: claims_of(Secret(f"a.{base64.urlsafe_b64encode(data).decode()}.c"))
    )


def _decoded(decode: Callable[[Any], object]) -> Read:
    """What is read from a good answer's JSON."""
    from runner.inputs.json_text import parse_json

    return _bytes_of(lambda data: decode(parse_json(data)))


def _list_page() -> Read:
    from runner.cloud.huawei.servers import ListPages

    return _decoded(lambda value: ListPages().add(value))


def _job() -> Read:
    from runner.cloud.huawei import decode

    return _decoded(lambda value: decode.job(value, "j"))


def _actions() -> Read:
    from runner.cloud.huawei import decode

    return _decoded(decode.reboot_history)


def _error() -> Read:
    from runner.cloud.huawei.bodies import read_error
    from runner.net.wire import Reply

    return _bytes_of(lambda data: read_error(Reply(400, {}, data)).sentence)


def _reboot_answer() -> Read:
    from runner.cloud.huawei.reboot import classify

    return _bytes_of(
        lambda data: classify(400, {}, data, asked=["616fb98f-46ca-475e-917e-2563e5a8cd19"])
    )


def _token() -> Read:
    from runner.cloud.huawei.auth.exchange import token_facts

    return _bytes_of(token_facts)


def _prometheus() -> Read:
    from runner.checks.prometheus import judge
    from runner.model.gate import Gate

    gate = Gate("prometheus", source="main", query="up", max=1.0)
    return _decoded(lambda value: judge(value, gate, MOMENT, None))


def _journal() -> Read:
    from runner.store.rows import event
    from runner.store.sqlite import text_of

    head = (1, 7, MOMENT.isoformat(), "run.created", 1, "")
    return _bytes_of(lambda data: event((*head, text_of(data)), "web-1"))


def _spool() -> Read:
    from runner.store.spool import FileSpool

    return lambda path: FileSpool(path.parent).read(path.stem)


def _git_store(path: str) -> Callable[[], Read]:
    def make() -> Read:
        from runner.store.gitref.mirror import Mirror

        def read(data: bytes) -> None:
            mirror = Mirror(lambda: 0.0)
            try:
                mirror.load([path], [(path, data)])
            finally:
                mirror.close()

        return _bytes_of(read)

    return make


def _zip(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


@cache
def _bad_calendar() -> type[Exception]:
    from runner.loading.calendar_lines import BadCalendar

    return BadCalendar


@cache
def readers() -> Mapping[str, Reader]:
    """Every reader by its name."""
    from runner.loading.calendars import MAX_CALENDAR_BYTES
    from runner.loading.files import MAX_ID_BYTES
    from runner.loading.source import MAX_BYTES, Unreadable
    from runner.simulator.scenario import MOST_BYTES, ScenarioInvalid
    from runner.store.spool import MOST_BYTES as SPOOLED

    not_json = (NotJson, TooMuchJson, RunnerError)
    wave = (
        b'{"number":1,"group":"web","written":"1","is_canary":true,"pause":{"kind":"timed","seconds":0.0},'
        b'"held_by":[],"servers":@@}'
    )
    return {
        "plan": Reader(
            "yaml",
            _plan,
            MAX_BYTES,
            (
                HOLE,
                b"version: 1\nname: web\nvars: {x: @@}\ngroups: [{name: web, servers: {all: true}, waves: [1]}]\n",  # noqa: E501
                b"version: 1\nname: web\ngroups: @@\n",
                b"version: 1\nname: web\ngroups: [{name: web, servers: {all: true}, waves: @@}]\n",
                b"version: 1\nname: web\nvars: {x: [%s]}\ngroups: [{name: 'w-{{ item }}', for_each: '{{ vars.x }}',"  # noqa: E501
                b" servers: {names: @@}, waves: [1]}]\n"
                % b", ".join(b"'%d'" % n for n in range(1000)),
                b"version: 1\nname: web\ngroups: [{name: web, for_each: @@, servers: {names: ['{{ item }}']},"  # noqa: E501
                b" waves: [1]}]\n",
            ),
            (
                b"version: 1\nname: web\nvars: {x: [a, b]}\ngroups:\n  - name: 'web-{{ item }}'\n"
                b"    for_each: '{{ vars.x }}'\n    servers: {tags: {role: web}, zones: ['{{ item }}']}\n"  # noqa: E501
                b"    waves: [1, 10%]\n    pause: 10m\n",
            ),
        ),
        "variables": Reader("yaml", _variables, MAX_BYTES, (HOLE, b"a: @@\n"), (b"a: [1, b]\n",)),
        "configuration": Reader(
            "yaml",
            _config,
            MAX_BYTES,
            (HOLE, b"version: 1\ntargets: @@\n"),
            (b"version: 1\nstore: sqlite:///a.db\ntargets: {a: {cloud: simulator}}\n",),
        ),
        "policy": Reader(
            "yaml",
            _policy,
            MAX_BYTES,
            (HOLE, b"version: 1\nrules: @@\n"),
            (b"version: 1\nrules: []\n",),
        ),
        "ids": Reader(
            "lines", _ids, MAX_ID_BYTES, examples=(b"a-1\nb-2 # why\n",), errors=(Unreadable,)
        ),
        "calendar": Reader(
            "lines",
            _calendar,
            MAX_CALENDAR_BYTES,
            examples=(
                b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261224T000000Z\r\nDTEND:20261227T000000Z\r\n"
                b"RRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            ),
            errors=(_bad_calendar(),),
        ),
        "schedule": Reader(
            "json",
            _schedule,
            SCHEDULE.size,
            (
                HOLE,
                b'{"format_version":1,"waves":@@}',
                b'{"format_version":1,"excluded":@@}',
                b'{"format_version":1,"excluded":[{"servers":@@}]}',
                b'{"format_version":1,"waves":[' + wave + b"]}",
                b'{"format_version":1,"groups":[{"name":"web","spread":@@}]}',
            ),
        ),
        "artifact": Reader(
            "zip",
            _artifact,
            ANSWER.size,
            examples=(_zip(("a.json", b"{}"), ("b.json", b"[]" * 500)),),
            errors=(
                ValueError,
                OSError,
                zipfile.BadZipFile,
                zlib.error,
                struct.error,
                NotImplementedError,
                EOFError,
            ),
        ),
        "scenario": Reader(
            "yaml",
            _scenario,
            MOST_BYTES,
            (HOLE, b"version: 1\nrules: @@\n"),
            (b"version: 1\nrules: [{call: reboot, do: {status: 500}}]\n",),
            (ScenarioInvalid,),
        ),
        "inventory": Reader(
            "yaml",
            _inventory,
            MOST_BYTES,
            (HOLE, b"servers: @@\n", b"servers: [{name: a, tags: @@}]\n"),
            (b"servers: [{name: a, tags: {b: c}}]\n",),
            (ScenarioInvalid,),
        ),
        "GitHub event": Reader(
            "json",
            _github_event,
            EVENT.size,
            (HOLE, b'{"pull_request":@@}'),
            (b'{"before":"' + b"a" * 40 + b'","after":"' + b"b" * 40 + b'","forced":false}',),
        ),
        "credentials file": Reader(
            "lines", _credentials, 64 * 1024, examples=(b"[basic]\nak = A\nsk = B\n",)
        ),
        "ID token": Reader(
            "json", _id_token, 20_000, examples=(b'{"sub":"repo:a/b","aud":["x"]}',)
        ),
        "server list": Reader(
            "json",
            _list_page,
            ANSWER.size,
            (
                HOLE,
                b'{"count":1,"servers":@@}',
                b'{"servers":[{"id":"a","status":"ACTIVE","tags":@@}]}',
            ),
            (_fixture("servers-detail-states"),),
            not_json,
        ),
        "job": Reader(
            "json",
            _job,
            ANSWER.size,
            (
                HOLE,
                b'{"status":"FAIL","entities":{"sub_jobs":@@}}',
                b'{"status":"FAIL","entities":{"errorcode_message":@@}}',
            ),
            (_fixture("job-partial-fail"),),
            (*not_json, ValueError),
        ),
        "action history": Reader(
            "json",
            _actions,
            ANSWER.size,
            (HOLE, b'{"instanceActions":@@}'),
            (
                b'{"instanceActions":[{"action":"reboot","start_time":"2026-01-01T00:00:00.000000"}]}',
            ),
            (*not_json, ValueError),
        ),
        "API error": Reader(
            "json",
            _error,
            ANSWER.size,
            (
                HOLE,
                b'{"error":@@}',
                b'{"error":{"code":"Ecs.0005","message":@@}}',
                b'{"internalError":@@}',
            ),
            (
                _fixture("error-ecs-details"),
                _fixture("error-batch-internal"),
                b"<html><title>no</title></html>",
            ),
        ),
        "reboot answer": Reader(
            "json",
            _reboot_answer,
            ANSWER.size,
            (HOLE, b'{"internalError":@@}'),
            (_fixture("error-ecs"),),
        ),
        "token answer": Reader(
            "json",
            _token,
            ANSWER.size,
            (HOLE, b'{"token":@@}'),
            (b'{"token":{"expires_at":"2026-01-01T00:00:00.000000Z","project":{"id":"x"}}}',),
        ),
        "Prometheus": Reader(
            "json",
            _prometheus,
            2 << 20,
            (HOLE, b'{"status":"success","data":{"resultType":"vector","result":@@}}'),
            (
                b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},'
                b'"value":[1767225600,"1"]}]}}',
            ),
            not_json,
        ),
        "journal event": Reader(
            "json",
            _journal,
            JOURNAL.size,
            (HOLE, b'{"schedule":@@}'),
            (b'{"batch":1,"servers":["a"]}',),
            (RunnerError, sqlite3.Error),
        ),
        "spool": Reader(
            "json", _spool, SPOOLED, (HOLE, b'{"batch":@@}'), (b'{"batch":1,"job":"j"}\n',)
        ),
        "Git store, run": Reader(
            "json",
            _git_store("runs/web-1/run.json"),
            1 << 20,
            (HOLE, b'{"id":"web-1","owner":@@}'),
            (b'{"id":"web-1","plan":"web","owner":null}',),
        ),
        "Git store, events": Reader(
            "json",
            _git_store("runs/web-1/events/00000001.jsonl"),
            JOURNAL.size,
            (
                HOLE,
                b'{"seq": 1, "at": @@, "type": "x", "fence": 1, "data": {}}\n',
                b'{"seq": 1, "at": "2026-01-01T00:00:00+00:00", "type": "x", "fence": 1, "data": @@}\n',  # noqa: E501
            ),
            (
                b'{"seq": 1, "at": "2026-01-01T00:00:00+00:00", "type": "x", "fence": 1, "data": {}}\n',  # noqa: E501
            ),
        ),
        "Git store, claims": Reader(
            "json",
            _git_store("runs/web-1/claims/000001.json"),
            4 << 20,
            (HOLE, b'[{"project":"p","cycle":"c","columns":["at"],"servers":@@}]'),
            (b'[{"project":"p","cycle":"c","columns":[],"servers":{"a":[]}}]',),
        ),
        "Git store, rate": Reader(
            "json",
            _git_store("rate/p.json"),
            4 << 20,
            (HOLE,),
            (b'[{"id":"a","at":1.0,"age":0.5,"n":1,"run":"r"}]',),
        ),
        "Git store, archive": Reader(
            "json",
            _git_store("archive/202611/web-1.json"),
            JOURNAL.size,
            (HOLE, b'{"run":@@}'),
            (b"{}",),
        ),
        "Git store, flag": Reader("json", _git_store("flags/halt"), 64 << 10, (HOLE,), (b"{}",)),
    }
