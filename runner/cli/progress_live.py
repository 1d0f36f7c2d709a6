"""The live display: a bar for each wave, who is in flight, what is waited for, and lines above it that stay.

The only module that imports rich; imported only where stderr is a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from runner.cli.common import App
from runner.cli.progress import MOST_SERVERS, Progress, server_words
from runner.model.run import Event, Run
from runner.model.schedule import Wave
from runner.report.log_lines import log_line
from runner.report.run_now import CHECKED, PHASES, doing, present, waiting_words, wave_counts
from runner.report.run_words import counts_words, headline, length, shown, troubles
from runner.report.safe import plain

REFRESH_S = 0.1
BAR = 30
MOST_WAVES = 16
MOST_IN_FLIGHT = 8

STYLES = {
    "ready": "green",
    "failed": "red",
    "unknown": "magenta",
    "skipped": "yellow",
    "not_started": "bright_black",
    "waiting": "bright_black",
}
"""Of outcomes; whatever is in flight is cyan."""

PASSING = frozenset({"wave.started", "batch.accepted", "job.polled", "pause.started", "bake.started"})
"""Events that the display itself shows; a line is written of all others."""


class LiveProgress(Progress):
    """Drawn anew at each event and tick, ten times a second at most. Untrusted text is shown, never interpreted."""

    def __init__(
        self, app: App, console: Console | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(app)
        self._console = console or _console(app)
        self._monotonic = monotonic
        self._live: Live | None = None
        self._drawn = float("-inf")
        self._waits_for = ""
        self._now: datetime | None = None
        self._stderr = sys.stderr

    def on_event(self, run: Run, event: Event) -> None:
        live = self._started()
        text = headline(run, event)
        if text is not None and event.type not in PASSING:
            self._write(f"{event.at:%H:%M:%S} {plain(text, 2000)}", _style(event.type))
        wrong = list(troubles(run, event))
        for server, why in wrong[:MOST_SERVERS]:
            self._write(f"  {plain(f'{server_words(server)} {why}', 2000)}", "red")
        if len(wrong) > MOST_SERVERS:
            self._write(f"  … and {len(wrong) - MOST_SERVERS} more, all in the report", "red")
        self._now = max(event.at, self._now or event.at)
        self._waits_for = ""
        self._draw(live, run)

    def on_tick(self, run: Run, waits_for: str, now: datetime) -> None:
        self._now, self._waits_for = now, waits_for
        self._draw(self._started(), run)

    def on_close(self) -> None:
        if self._live is not None:
            sys.stderr = self._stderr
            self._live.stop()

    def _started(self) -> Live:
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._stderr, sys.stderr = sys.stderr, _Above(self._console, sys.stderr)
            self._live.start()
            self._console.show_cursor(True)  # a process that is killed must not leave a terminal without one
        return self._live

    def _write(self, line: str, style: str) -> None:
        """A line above the display that stays; wrapped by the terminal, never cut."""
        self._console.print(Text(log_line(line), style=style), soft_wrap=True)

    def _draw(self, live: Live, run: Run) -> None:
        moment = self._monotonic()
        if moment - self._drawn < REFRESH_S:
            return
        self._drawn = moment
        live.update(self._picture(run, self._now or run.created), refresh=True)

    def _picture(self, run: Run, now: datetime) -> Text:
        """One text with a line for each part: a table of rich's would cost ten times as much, ten times a second."""
        head = f"run {run.id}  {plain(run.schedule.plan_name, 80)}  {length((now - run.created).total_seconds())}"
        parts = [_text(head, "bold"), *self._waves(run), *self._in_flight(run, now)]
        if self._waits_for:
            state = present(run)
            if not state.in_flight:
                parts.append(_text(plain(waiting_words(self._waits_for, state.until, now)), "yellow"))
        parts.append(_text(counts_words(run.counts(is_sending=True)), ""))
        return Text("\n", no_wrap=True, overflow="ellipsis").join(parts)

    def _waves(self, run: Run) -> Iterator[Text]:
        """The waves around the current one."""
        most = max(3, min(MOST_WAVES, self._console.height - MOST_IN_FLIGHT - 6))
        waves = run.schedule.waves
        first = max(0, min(run.position - most // 2, len(waves) - most))
        if first:
            yield _text(f"… {first} before", "bright_black")
        width = max(len(w.group) for w in waves)
        for wave in waves[first : first + most]:
            yield self._wave(run, wave, len(waves), min(width, 40))
        after = len(waves) - first - most
        if after > 0:
            yield _text(f"… {after} after", "bright_black")

    def _wave(self, run: Run, wave: Wave, total: int, width: int) -> Text:
        state = run.waves[wave.number - 1]
        counts = wave_counts(run, wave)
        is_current = state.started is not None and state.ended is None
        number = f"{wave.number}/{total}".rjust(2 * len(str(total)) + 1)
        line = _text(f"{number}  {plain(wave.group, 40).ljust(width)}  ", "")
        line.append_text(self._bar(counts, len(wave.servers)))
        if state.started is None and set(counts) <= {"waiting"}:
            line.append(f"  {len(wave.servers)} to come", "bright_black")
        else:
            line.append("  " + ", ".join(f"{n} {shown(word)}" for word, n in counts.items()))
        if is_current:
            line.stylize("bold")
        return line

    def _bar(self, counts: Mapping[str, int], size: int) -> Text:
        """One character for each share of the servers: ended ones first."""
        full, empty = ("█", "░") if self._console.encoding.startswith("utf") else ("#", "-")
        bar, done, drawn = Text(no_wrap=True), 0, 0
        words = sorted(counts, key=lambda w: (w == "waiting", w in (*PHASES.values(), CHECKED), list(counts).index(w)))
        for word in words:
            done += counts[word]
            upto = round(BAR * done / size)
            bar.append((empty if word == "waiting" else full) * (upto - drawn), STYLES.get(word, "cyan"))
            drawn = upto
        return bar

    def _in_flight(self, run: Run, now: datetime) -> Iterator[Text]:
        state = present(run)
        for server in state.in_flight[:MOST_IN_FLIGHT]:
            does = f"{shown(doing(run, server))}  {length(state.age_s(server, now))}"
            yield _text(f"  {plain(server_words(server.ref), 120)}  {does}", "cyan")
        if len(state.in_flight) > MOST_IN_FLIGHT:
            yield _text(f"  … and {len(state.in_flight) - MOST_IN_FLIGHT} more in flight", "cyan")


class _Above(FileProxy):
    """What others write to stderr while the display is on: put above it.

    Rich's own proxy has no encoding, so click takes it for unfit and writes to the terminal past it, into the display.
    """

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a read-only attribute of the base class
        return self.rich_proxied_file.encoding  # type: ignore[attr-defined,no-any-return]  # it is a text file

    @property
    def errors(self) -> str:  # type: ignore[override]  # the same
        return "replace"


def _console(app: App) -> Console:
    """Rich's console on stderr with everything switched off that would read meaning into text."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, no_color=app.click_color is False)


def _text(text: str, style: str) -> Text:
    return Text(log_line(text), style=style, no_wrap=True, overflow="ellipsis")


def _style(event: str) -> str:
    if event in ("run.stopping", "run.error", "batch.ambiguous", "batch.denied", "batch.refused"):
        return "bold red"
    if event in ("approval.asked", "run.suspended", "batch.throttled", "batch.not_sent"):
        return "yellow"
    return ""
