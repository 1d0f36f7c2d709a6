"""The progress of a run on stderr: a live display on a terminal, else one line for each
change and a heartbeat.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from runner.app.app import App
from runner.model.events import Event
from runner.model.run import Run
from runner.report.run_now import heartbeat
from runner.report.run_words import headline, trouble_lines
from runner.report.safe import line_start, plain

HEARTBEAT_S = 30.0
"""Real seconds without a line after which one says what goes on."""
MOST_SERVERS = 20
"""Of one event's servers that went wrong, so many are named as text; all are as JSON, and
in the report.
"""
_LINE = 4000
TOLD_AT_THE_END = frozenset({"run.suspended"})
"""Events that the report tells, which is printed right after them."""


class Progress:
    """Told of each event (`watch`) and of each moment of waiting (`tick`); neither ever raises.

    A display that fails is given up with a line: it must not stop a run.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self._is_broken = False

    def watch(self, run: Run, event: Event) -> None:
        """Show an event; `run` is the state after it."""
        self._safely(lambda: self.on_event(run, event))

    def tick(self, run: Run, waits_for: str, now: datetime) -> None:
        """Show that time passes. `waits_for` says what for, empty when there is more to
        do at once.
        """
        self._safely(lambda: self.on_tick(run, waits_for, now))

    def close(self) -> None:
        """End the display; more calls show nothing."""
        self._safely(self.on_close)
        self._is_broken = True

    def on_event(self, run: Run, event: Event) -> None:
        raise NotImplementedError

    def on_tick(self, run: Run, waits_for: str, now: datetime) -> None:
        raise NotImplementedError

    def on_close(self) -> None:
        raise NotImplementedError

    def _safely(self, show: Callable[[], None]) -> None:
        if self._is_broken:
            return
        try:
            show()
        except Exception as error:  # noqa: BLE001 - whatever a display meets, the run goes on
            self._is_broken = True
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            self.on_close()
        with contextlib.suppress(OSError):  # stderr itself may be gone
            self.app.talk(f"no more progress is shown: {type(error).__name__}: {plain(error)}")


class LineProgress(Progress):
    """Whole lines for logs: every change of a wave, a request, a decision, a server gone
    wrong; ids in full.
    """

    def __init__(
        self, app: App, monotonic: Callable[[], float] = time.monotonic, *, named: bool = False
    ) -> None:
        """`named`: the run's id stands in each line, where several runs write into one log."""
        super().__init__(app)
        self._monotonic = monotonic
        self._named = named
        self._last = monotonic()

    def on_event(self, run: Run, event: Event) -> None:
        text = headline(run, event)
        if text is not None and event.type not in TOLD_AT_THE_END:
            self._line(run, event.at, text, event=event.type, seq=event.seq)
        most = None if self.app.log_format == "json" else MOST_SERVERS
        for text, server in trouble_lines(run, event, most):
            fields = {"server": plain(server)} if server else {}
            self._line(run, event.at, f"  {text}", event="server", **fields)

    def on_tick(self, run: Run, waits_for: str, now: datetime) -> None:
        if self._monotonic() - self._last >= HEARTBEAT_S:
            self._line(run, now, heartbeat(run, waits_for, now), event="heartbeat")

    def on_close(self) -> None:
        """Nothing is open."""

    def _line(self, run: Run, at: datetime, text: str, **fields: Any) -> None:
        self._last = self._monotonic()
        said = line_start(plain(text, _LINE))
        if self.app.log_format == "json":
            self.app.talk(said.strip(), run=run.id, run_at=at.isoformat(), **fields)
        else:
            self.app.talk(f"{at:%H:%M:%S} {f'{run.id} ' if self._named else ''}{said}")
