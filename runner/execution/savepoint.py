"""Undo: a run as it was before some events, kept for those parts that they can touch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from runner.model.events import Event, EventData, ServersLost, ServersRechecked
from runner.model.run import Batch, Run, ServerState, WaveState

_SERVER = tuple(f.name for f in fields(ServerState))
_BATCH = tuple(f.name for f in fields(Batch))
_WAVE = tuple(f.name for f in fields(WaveState))
_GROWING = ("decisions", "batches")
"""These only grow, so their lengths are enough: a run of 100,000 servers can have thousands
of batches.
"""
_APART = {
    "schedule",
    "facts",
    "baseline",
    "earlier",
    "servers",
    "waves",
    "_members",
    "_groups",
    "_group_servers",
    "_canaries",
    *_GROWING,
}
_OWN = tuple(f.name for f in fields(Run) if f.name not in _APART)

_values = {
    ServerState: attrgetter(*_SERVER),
    Batch: attrgetter(*_BATCH),
    WaveState: attrgetter(*_WAVE),
}
_names = {ServerState: _SERVER, Batch: _BATCH, WaveState: _WAVE}

_Part = ServerState | Batch | WaveState


class Savepoint:
    """What `restore` brings back: the run's own fields, and the waves, batches and servers
    that the events speak of.

    Objects keep their identity: what was changed is set back in place.
    """

    def __init__(self, run: Run, events: Sequence[Event]) -> None:
        self._run = run
        self._own = {name: _copied(getattr(run, name)) for name in _OWN}
        self._lengths = {name: len(getattr(run, name)) for name in _GROWING}
        touched: dict[int, _Part] = {}
        for part in _touched(run, events):
            touched[id(part)] = part
        self._parts = [(part, _values[type(part)](part)) for part in touched.values()]

    def restore(self) -> None:
        """Set everything back."""
        for part, values in self._parts:
            for name, value in zip(_names[type(part)], values, strict=True):
                setattr(part, name, value)
        for name, value in self._own.items():
            setattr(self._run, name, value)
        for name, length in self._lengths.items():
            grown = getattr(self._run, name)
            while len(grown) > length:  # the newest of a list or of a dictionary
                grown.popitem() if isinstance(grown, dict) else grown.pop()


def _copied(value: Any) -> Any:
    """Containers are copied: handlers change them in place."""
    return type(value)(value) if isinstance(value, dict | set) else value


def _touched(run: Run, events: Sequence[Event]) -> Iterator[_Part]:
    yield from run.waves[run.position : run.position + len(events) + 1]
    for event in events:
        data = event.data
        batch = run.batches.get(getattr(data, "batch", 0))
        if batch is not None:
            yield batch
            yield from (run.servers[i] for i in batch.servers)
        for server in filter(None, map(run.servers.get, _texts(data))):
            yield server
            if isinstance(data, ServersRechecked) and server.batch in run.batches:
                yield run.batches[server.batch]  # put in doubt together with its server
            if isinstance(data, ServersLost):  # of a wave that is over: its counts change
                yield run.waves[server.wave - 1]


def _texts(data: EventData) -> Iterator[str]:
    """Everything in an event that can be a server's id."""
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping | tuple):
            yield from (item for item in value if isinstance(item, str))
