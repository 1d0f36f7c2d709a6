"""The live display: a bar for each wave, who is in flight, what is waited for, and lines above
it that stay.

The only module that imports rich; imported only where stderr is a terminal.
"""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.text import Text

from runner.app.app import App
from runner.cli.progress import MOST_SERVERS, TOLD_AT_THE_END, Progress
from runner.cli.screen import Screen
from runner.model.events import Event
from runner.model.run import SERVER_WORDS, Run
from runner.report.fitting import cells, middle, wrap
from runner.report.folding import named
from runner.report.run_now import (
    Now,
    bar_cells,
    doing,
    present,
    waiting_words,
    wave_counts,
    waves_around,
)
from runner.report.run_words import counts_words, headline, length, shown, trouble_lines
from runner.report.safe import line_start, plain

REFRESH_S = 0.1
MOST_WAVES = 16
MOST_IN_FLIGHT = 8
LEAST_NAME = 8
"""Columns under which a name is not worth a place beside the counts."""

STYLES = {
    "ready": "green",
    "failed": "red",
    "unknown": "magenta",
    "skipped": "yellow",
    "not_started": "bright_black",
    "in_doubt": "magenta",
    "waiting": "bright_black",
}
"""Of what servers do; whatever is in flight is cyan."""

_EVENTS = {
    **dict.fromkeys(
        ("run.stopping", "run.error", "batch.ambiguous", "batch.denied", "batch.refused"),
        "bold red",
    ),
    **dict.fromkeys(
        ("approval.asked", "run.suspended", "batch.throttled", "batch.not_sent"), "yellow"
    ),
}
_ENDED_ILL = frozenset({"failed", "unknown", "skipped", "not_started"})
_FILLS = {"ready": "█#", "ill": "xx", "in_doubt": "??", "waiting": "·.", "": "▒="}
"""What bars are made of, with and without UTF-8: without colors they must tell the same."""

PASSING = TOLD_AT_THE_END | {
    "wave.started",
    "batch.accepted",
    "job.polled",
    "pause.started",
    "bake.started",
}
"""Events that the display itself or the report shows; a line is written of all others."""


class LiveProgress(Progress):
    """Drawn anew at each event and tick, ten times a second at most, and at once when the
    terminal changes its size.

    Untrusted text is shown, never interpreted.
    """

    def __init__(
        self, app: App, console: Console, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(app)
        self._console = console
        self._screen = Screen(self._console.file)
        self._monotonic = monotonic
        self._is_on = False
        self._drawn = float("-inf")
        self._waits_for = ""
        self._run: Run | None = None
        self._now: datetime | None = None
        self._stderr = sys.stderr

    def on_event(self, run: Run, event: Event) -> None:
        self._start()
        text = headline(run, event)
        if text is not None and event.type not in PASSING:
            self._write(f"{event.at:%H:%M:%S} {plain(text, 2000)}", _EVENTS.get(event.type, ""))
        for line, _ in trouble_lines(run, event, MOST_SERVERS):
            self._write(f"  {plain(line, 2000)}", "red")
        self._now = max(event.at, self._now or event.at)
        self._waits_for = ""
        self._draw(run)

    def on_tick(self, run: Run, waits_for: str, now: datetime) -> None:
        self._start()
        self._now, self._waits_for = now, waits_for
        self._draw(run)

    def on_close(self) -> None:
        if self._is_on:
            self._is_on = False
            sys.stderr = self._stderr
            with suppress(RuntimeError):  # no loop: nothing was listened for
                asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
            self._screen.clear()

    def _start(self) -> None:
        if self._is_on:
            return
        self._is_on = True
        self._stderr, sys.stderr = sys.stderr, _Above(self._screen, sys.stderr)
        with suppress(
            RuntimeError, ValueError
        ):  # no loop, or not in the main thread: drawn at the next event
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._on_resize)

    def _on_resize(self) -> None:
        self._screen.invalidate()
        if (run := self._run) is not None:
            self._safely(lambda: self._draw(run, at_once=True))

    def _write(self, line: str, style: str) -> None:
        """Write a line above the display that stays: wrapped at spaces, never cut."""
        pieces = wrap(line_start(line), self._console.width)
        self._screen.write([self._rendered(Text(piece, style=style)) for piece in pieces])

    def _draw(self, run: Run, *, at_once: bool = False) -> None:
        self._run, moment = run, self._monotonic()
        if moment - self._drawn < REFRESH_S and not at_once:
            return
        self._drawn = moment
        width, picture = self._console.width - 1, self._picture(run, self._now or run.created)
        for line in picture:
            line.truncate(max(1, width), overflow="ellipsis")
        self._screen.draw([self._rendered(line) for line in picture])

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return captured.get()

    def _picture(self, run: Run, now: datetime) -> list[Text]:
        """The counts first: whatever does not fit is cut at the end. A table of rich's
        would cost ten times as much.
        """
        width, height, state = self._console.width - 1, self._console.height - 1, present(run)
        head = f"run {run.id}  {length((now - run.created).total_seconds())}  "
        head += middle(plain(run.schedule.plan_name, 80), max(LEAST_NAME, width - cells(head)))
        parts = [_text(head, "bold")]
        parts += [
            _text(line, "") for line in wrap(counts_words(run.counts(is_sending=True)), width)
        ]
        if self._waits_for and not state.in_flight:
            waits = plain(waiting_words(self._waits_for, state.until, now))
            parts += [_text(line, "yellow") for line in wrap(waits, width)]
        room = height - len(parts)
        flying = list(
            self._in_flight(run, state, now, width, min(MOST_IN_FLIGHT, max(1, room // 3)))
        )
        waves = list(self._waves(run, width, min(MOST_WAVES, room - len(flying))))
        return [*parts, *waves, *flying][:height]

    def _waves(self, run: Run, width: int, rows: int) -> Iterator[Text]:
        """The waves around the current one, in at most `rows` lines where that is possible.

        A line holds number, bar, counts and name. The counts are never cut; names are
        aligned where all fit.
        """
        total, listed = len(run.schedule.waves), waves_around(run, rows)
        if before := listed[0].number - 1:
            yield _text(f"… {before} before", "bright_black")
        counts = [wave_counts(run, wave) for wave in listed]
        said = [
            ", ".join(f"{number} {shown(word)}" for word, number in each.items()) for each in counts
        ]
        for n, wave in enumerate(listed):
            if run.waves[wave.number - 1].started is None and set(counts[n]) <= {"waiting"}:
                said[n] = f"{len(wave.servers)} to come"
        number = 2 * len(str(total)) + 1
        bar = 30 if width >= 108 else 20 if width >= 76 else 10
        indent = number + bar + 4
        widest, name = max(map(cells, said)), min(max(cells(wave.group) for wave in listed), 20)
        aligned = widest if indent + widest + 2 + name <= width else 0
        for wave, each, words in zip(listed, counts, said, strict=True):
            first, *more = wrap(words, max(width - indent, LEAST_NAME), 0)
            left = width - indent - max(cells(first), aligned) - 2
            group = middle(plain(wave.group, 80), left) if left >= LEAST_NAME and not more else ""
            line = Text(f"{wave.number}/{total}".rjust(number) + "  ")
            line.append_text(self._bar(each, bar))
            line.append(f"  {first}{' ' * (aligned - cells(first))}  {group}".rstrip())
            state = run.waves[wave.number - 1]
            for part in (line, *(Text(" " * indent + piece) for piece in more)):
                if state.started is None:
                    part.stylize("bright_black")
                elif state.ended is None:
                    part.stylize("bold")
                yield part
        if after := total - listed[-1].number:
            yield _text(f"… {after} after", "bright_black")

    def _bar(self, counts: Mapping[str, int], width: int) -> Text:
        """A fill for each thing that servers do, in proportion: what has ended first."""
        which, bar = 0 if self._console.encoding.startswith("utf") else 1, Text()
        order = sorted(
            counts,
            key=lambda w: (w == "waiting", w not in SERVER_WORDS, w == "in_doubt", w != "ready"),
        )
        drawn = bar_cells(counts, width)
        for word in order:
            kind = "ill" if word in _ENDED_ILL else word
            bar.append(
                _FILLS.get(kind, _FILLS[""])[which] * drawn.get(word, 0), STYLES.get(word, "cyan")
            )
        return bar

    @staticmethod
    def _in_flight(run: Run, state: Now, now: datetime, width: int, most: int) -> Iterator[Text]:
        """The servers in flight, those out longest first: age and word, then the name."""
        for server in state.in_flight[:most]:
            word = shown(doing(run, server))
            head = f"  {length(state.age_s(server, now)).rjust(6)}  {word.ljust(11)}  "
            yield _text(head + middle(plain(named(server.ref), 300), width - cells(head)), "cyan")
        if len(state.in_flight) > most:
            yield _text(f"  … and {len(state.in_flight) - most} more in flight", "cyan")


class _Above(io.TextIOBase):
    """What others write to stderr while the display is on: put above it, line by line."""

    def __init__(self, screen: Screen, file: TextIO) -> None:
        self._screen, self._file, self._begun = screen, file, ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a read-only attribute of the base class
        return self._file.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]  # the same
        return "replace"

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        if lines:
            self._screen.write(lines)
        return len(text)


def console_of(*, is_colorless: bool) -> Console:
    """Return stderr as a console that takes nothing of what is printed for markup."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, no_color=is_colorless)


def _text(text: str, style: str) -> Text:
    return Text(line_start(text), style=style)
