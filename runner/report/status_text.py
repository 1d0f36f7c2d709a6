"""What `status` shows as text: a table of runs, or one run, in full or fitted to a screen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.model.run import Run, ServerState
from runner.model.schedule import Wave
from runner.report.as_text import aligned, table_lines
from runner.report.fitting import cells, end, middle, wrap
from runner.report.folding import named
from runner.report.run_now import wave_counts, waves_around
from runner.report.run_words import count, counts_words, length, shown
from runner.report.safe import line_start, plain
from runner.report.sections import Table

_NUMBERS = "ready/failed/in flight/in doubt/total"
NARROW = 130
"""Columns under which the table is folded: two lines for each run."""
_WORST = ("unknown", "failed", "in_doubt")


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in the table. `counts`: None where its journal was not read. Nothing of it is
    escaped yet.
    """

    id: str
    plan: str
    state: str
    waits_for: str
    counts: Mapping[str, int] | None
    started: datetime
    next: str
    clock: str = ""
    """What its times are to be read with: `simulated clock, 30 times real time`; empty for
    real time.
    """

    @property
    def numbers(self) -> str:
        """Return `12/1/292/0/899`. Unknown servers count as failed, as in failure budgets."""
        if self.counts is None:
            return ""
        c = self.counts
        failed = c["failed"] + c["unknown"]
        return f"{c['ready']}/{failed}/{c['in_flight']}/{c['in_doubt']}/{sum(c.values())}"


def runs_table(runs: Sequence[Listed], width: int | None) -> Iterator[str]:
    """Yield the runs as an aligned table with a heading; `width`: of the terminal, None
    where there is none.
    """
    if width is not None and width < NARROW:
        for run in runs:
            yield from _folded(run, width)
        return
    rows = [
        (
            run.id,
            run.plan,
            run.state,
            end(run.waits_for, 60),
            run.numbers,
            f"{run.started:%Y-%m-%d %H:%M}",
            run.next,
        )
        for run in runs
    ]
    heads = ("run", "plan", "state", "waiting for", _NUMBERS, "started", "next")
    yield from table_lines(Table("runs", heads, rows, right=(_NUMBERS,)), width, (3, 1))


def _folded(run: Listed, width: int) -> Iterator[str]:
    head = f"{run.id}  {run.state}"
    left = width - cells(head) - 2
    yield f"{head}  {middle(plain(run.plan, 63), max(8, left))}"
    said = [counts_words(run.counts)] if run.counts is not None else []
    said += [f"waits for {plain(run.waits_for, 200)}"] if run.waits_for else []
    said += [f"next: {run.next}"] if run.next else []
    yield from wrap("  " + "; ".join(said or [f"started {run.started:%Y-%m-%d %H:%M}"]), width, 0)


# --- one run ------------------------------------------------------------------


def wave_lines(run: Run, waves: Sequence[Wave]) -> Iterator[str]:
    """Yield an aligned line for each wave: number, group, when, and its servers."""
    total = str(len(run.waves))
    rows = []
    for wave in waves:
        state = run.waves[wave.number - 1]
        counts = ", ".join(
            f"{number} {shown(word)}" for word, number in wave_counts(run, wave).items()
        )
        when = "not begun"
        if state.started is not None:
            when = f"since {state.started:%H:%M:%S}"
            if state.ended is not None:
                took = length((state.ended - state.started).total_seconds())
                when = f"{state.started:%H:%M:%S} to {state.ended:%H:%M:%S}, {took}"
        elif counts == f"{len(wave.servers)} waiting":
            counts = count(len(wave.servers), "server")
        rows.append((f"wave {wave.number:>{len(total)}}/{total}", wave.group, when, counts))
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    yield from (f"  {line.rstrip()}" for line in aligned(rows, widths))


def troubled(run: Run) -> list[ServerState]:
    """Return the servers that need a person, the worst first: unknown, failed, in doubt."""
    found: dict[str, list[ServerState]] = {word: [] for word in _WORST}
    for server in run.servers.values():
        word = run.word_of(server, is_sending=True)
        if word in found:
            found[word].append(server)
    return [server for word in _WORST for server in found[word]]


def trouble_line(run: Run, server: ServerState, name_width: int = 400) -> str:
    """Return `failed  web-011 (id), wave 2: JobFailed: boot failed`."""
    why = ": ".join(text for text in (server.reason, server.detail) if text)
    word = shown(run.word_of(server, is_sending=True))
    where = f"{word:<8}  {middle(plain(named(server.ref)), name_width)}, wave {server.wave}"
    return f"  {where}: {why}" if why else f"  {where}"


def full(run: Run, head: Iterable[str]) -> Iterator[str]:
    """Yield all lines of one run; `head`: what it is and what it waits for."""
    yield from head
    yield from wave_lines(run, run.schedule.waves)
    yield from (trouble_line(run, server) for server in troubled(run))


def fitted(run: Run, head: Sequence[str], width: int, height: int) -> list[str]:
    """Return the lines of one run that fit a screen: head, waves around the current one,
    servers the worst first.

    Each line takes one row; what is left out is counted.
    """
    top = [piece for line in head for piece in wrap(plain(line, 4000), width)][: max(1, height - 4)]
    servers = troubled(run)
    room = max(2, height - len(top))
    waves = run.schedule.waves
    most_waves = room if not servers else max(room - len(servers), room // 3, 1)
    listed = waves_around(run, min(most_waves, room))
    before, after = listed[0].number - 1, len(waves) - listed[-1].number
    lines = [
        *top,
        *([f"  … {count(before, 'wave')} before"] if before else []),
        *wave_lines(run, listed),
    ]
    lines += [f"  … {count(after, 'wave')} after"] if after else []
    left = max(1, height - len(lines))
    shown_servers = servers if len(servers) <= left else servers[: left - 1]
    lines += [trouble_line(run, server, max(20, width // 3)) for server in shown_servers]
    if len(shown_servers) < len(servers):
        lines.append(f"  and {len(servers) - len(shown_servers)} more")
    return [line_start(end(plain(line), width)) for line in lines][:height]
