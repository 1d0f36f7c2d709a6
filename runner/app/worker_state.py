"""What a worker tells about itself: whether it lives, whether it is ready, and figures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runner import __version__
from runner.app.step_run import Stepped
from runner.errors import EXIT_WORDS
from runner.net.pages import Page
from runner.report.metrics import CONTENT_TYPE, Metric, counter, gauge, metrics_text

STUCK_S = 120.0
"""After so long without a turn of its loop a worker is no longer alive: a step never blocks the loop like that."""


@dataclass(slots=True)
class WorkerState:
    """Written by the worker's loop, read by the pages' threads: plain numbers and words.

    `trouble`: why it is not ready (`starting`, `store`, `configuration`, `temporal`, `draining`), "" when it is.
    """

    engine: str
    slots: int
    trouble: str = "starting"
    turned: float = field(default_factory=time.monotonic)
    held: int = 0
    open: int = 0
    due: int = 0
    resting: int = 0
    lag_s: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    rivals: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    store_errors: int = 0

    def turn(self) -> None:
        """The loop has come round."""
        self.turned = time.monotonic()

    def note(self, stepped: Stepped, seconds: float) -> None:
        """A step is over."""
        if stepped.is_held:
            self.rivals += 1
            return
        self.steps += 1
        self.step_seconds += seconds
        if stepped.code:
            self.errors[EXIT_WORDS[stepped.code]] += 1
        elif stepped.advance is not None and not stepped.advance.run.is_open:
            self.ended[stepped.advance.run.word] += 1

    def pages(self) -> Mapping[str, Callable[[], Page]]:
        """The paths that are served."""
        return {"/healthz": self._alive, "/readyz": self._ready, "/metrics": self._metrics}

    def _alive(self) -> Page:
        silent_s = time.monotonic() - self.turned
        return Page(503, f"stuck for {silent_s:.0f} s\n") if silent_s > STUCK_S else Page(200, "ok\n")

    def _ready(self) -> Page:
        return Page(503, f"not ready: {self.trouble}\n") if self.trouble else Page(200, "ok\n")

    def _metrics(self) -> Page:
        return Page(200, metrics_text(self.metrics()), CONTENT_TYPE)

    def metrics(self) -> tuple[Metric, ...]:
        """All figures. None is labelled by what users name: the number of time series stays bounded."""
        p = "reboot_runner_"
        about: Mapping[tuple[str, ...], float] = {(__version__, self.engine): 1.0}
        return (
            Metric(p + "worker_info", "gauge", "This worker: always 1.", about, ("version", "engine")),
            gauge(p + "worker_ready", "1 when the worker takes runs.", not self.trouble),
            gauge(p + "worker_slots", "Runs that it may advance at once.", self.slots),
            gauge(p + "runs_held", "Runs that it is advancing now.", self.held),
            gauge(p + "runs_open", "Open runs of the store.", self.open),
            gauge(p + "runs_due", "Open runs that are due and that nobody holds.", self.due),
            gauge(p + "runs_resting", "Runs that it leaves alone for a while after an error.", self.resting),
            gauge(p + "due_lag_seconds", "By how much the run that waits longest is late.", self.lag_s),
            counter(p + "steps_total", "Steps of runs, failed ones included.", self.steps),
            counter(p + "step_seconds_total", "Seconds that these steps took.", self.step_seconds),
            counter(p + "step_rivals_total", "Steps not taken: another process was at the run.", self.rivals),
            counter(p + "store_errors_total", "Looks into the store that failed.", self.store_errors),
            _counted(p + "step_errors_total", "Steps that failed, by what they failed with.", "result", self.errors),
            _counted(p + "runs_ended_total", "Runs that ended in a step of this worker.", "word", self.ended),
        )


def _counted(name: str, text: str, label: str, counts: Counter[str]) -> Metric:
    return Metric(name, "counter", text, {(word,): float(n) for word, n in sorted(counts.copy().items())}, (label,))
