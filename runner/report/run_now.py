"""What a run is doing at this moment, for displays. Pure: the moment is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.model.run import IN_FLIGHT, Phase, Run, ServerState
from runner.model.schedule import Wave
from runner.report.run_words import length, shown, wave_words

PHASES = {
    Phase.WAITING: "waiting",
    Phase.INTENDED: "asked",
    Phase.REFUSED: "refused",
    Phase.ACCEPTED: "rebooting",
    Phase.ADOPTED: "rebooting",
    Phase.REBOOTED: "coming back",
    Phase.FAILING: "failing",
}
"""What a server without an outcome is doing, in a word."""
CHECKED = "being checked"
"""The word for one that runs again and whose own checks are asked."""

_ORDER = (
    *("in_doubt", "failing", "asked", "refused", "rebooting", "coming back", CHECKED, "waiting"),
    *("ready", "failed", "unknown", "skipped", "not_started"),
)


@dataclass(frozen=True, slots=True)
class Now:
    """The current wave's servers by what they do, those in flight longest first, and until
    when the run waits.
    """

    place: str
    words: Mapping[str, int]
    in_flight: tuple[ServerState, ...]
    until: datetime | None

    def age_s(self, server: ServerState, now: datetime) -> float:
        """For how long it has been in flight."""
        return max(0.0, (now - (server.accepted or server.intended or now)).total_seconds())


def present(run: Run) -> Now:
    """What the run is doing, as its events so far tell."""
    wave = run.wave
    if wave is None:
        counts = {word: number for word, number in run.counts(is_sending=True).items() if number}
        return Now(
            "all waves over" if run.bake_began else "run",
            counts if run.bake_began else {},
            (),
            wait_until(run),
        )
    begun = run.waves[run.position].started is not None
    words = wave_counts(run, wave) if begun else {}
    flying = [s for s in run.members(wave) if s.phase in IN_FLIGHT] if begun else []
    flying.sort(key=lambda s: s.accepted or s.intended or run.created)
    return Now(wave_words(run, wave.number), words, tuple(flying), wait_until(run))


def doing(run: Run, server: ServerState) -> str:
    """Return in a word what a server without an outcome is doing, while a process works
    on its run.
    """
    if run.word_of(server, is_sending=True) == "in_doubt":
        return "in_doubt"
    runs = server.up_since is not None and server.phase in (Phase.ADOPTED, Phase.REBOOTED)
    if runs and run.group(run.schedule.waves[server.wave - 1].group).checks:
        return CHECKED
    return PHASES[server.phase]


def wave_counts(run: Run, wave: Wave) -> dict[str, int]:
    """A wave's servers by outcome, or by what they do now; in a fixed order, without zeros."""
    counts: dict[str, int] = {}
    for server in run.members(wave):
        word = server.outcome.value if server.outcome else doing(run, server)
        counts[word] = counts.get(word, 0) + 1
    return {w: counts[w] for w in _ORDER if w in counts}


def waves_around(run: Run, rows: int) -> Sequence[Wave]:
    """Return the waves around the current one that fit into `rows` lines, with one line
    each for the others.
    """
    waves = run.schedule.waves
    most = len(waves) if len(waves) <= rows else max(1, rows - 2)
    first = max(0, min(run.position - most // 2, len(waves) - most))
    return waves[first : first + most]


def bar_cells(counts: Mapping[str, int], width: int) -> dict[str, int]:
    """Return how many of `width` cells of a bar each word gets: its share, and at least one
    where there is a server.

    So one failure among thousands is seen, and no bar is full of `ready` before the last server is.
    """
    total = sum(counts.values())
    if not total:
        return {}
    shares = {word: max(1, width * number // total) for word, number in counts.items() if number}
    while (left := width - sum(shares.values())) and (left > 0 or max(shares.values()) > 1):
        most = max(
            shares, key=lambda word: counts[word] / shares[word] if left > 0 else shares[word]
        )
        shares[most] += 1 if left > 0 else -1
    return shares


def wait_until(run: Run) -> datetime | None:
    """When the bake, the pause, the wait for a window, or the patience with a question, gates
    or servers that are down ends.

    None where none of them is on.
    """
    if run.question is not None:
        return run.question.asked + timedelta(seconds=run.schedule.wait_at_most_s)
    if run.wave is None:
        return _bake_until(run) if run.position and run.is_open else None
    if run.gates_since is not None:
        return run.gates_since + timedelta(seconds=run.schedule.wait_at_most_s)
    state = run.waves[run.position]
    if state.held is not None:
        return state.held + timedelta(seconds=run.group(run.wave.group).ready_timeout_s)
    if run.window_since is not None:
        return run.window_opens
    if state.started is not None:
        return None
    if run.position == 0:
        return None
    before = run.schedule.waves[run.position - 1]
    if run.pause_began is not None:
        return run.pause_began + timedelta(seconds=before.pause.seconds)
    return _bake_until(run)


def _bake_until(run: Run) -> datetime | None:
    group = run.schedule.waves[run.position - 1].group
    if run.bake_began is None or group in run.baked:
        return None
    return run.bake_began + timedelta(seconds=run.group(group).bake_s)


def heartbeat(run: Run, waits_for: str, now: datetime) -> str:
    """`wave 2/5 web: 12 rebooting, 3 ready, oldest 94 s`, or what the run waits for and how
    long it still may.
    """
    state = present(run)
    parts = [f"{number} {shown(word)}" for word, number in state.words.items()]
    if state.in_flight:
        parts.append(f"oldest {state.age_s(state.in_flight[0], now):.0f} s")
    line = f"{state.place}: " + (", ".join(parts) or "not begun")
    if waits_for and not state.in_flight:
        line += f"; {waiting_words(waits_for, state.until, now)}"
    return line


def waiting_words(waits_for: str, until: datetime | None, now: datetime) -> str:
    """`waits for pause until 22:15:00 (4m30s left)`; without a time where no end is known."""
    if until is None:
        return f"waits for {waits_for}"
    left = f"{length(max(0.0, (until - now).total_seconds()))} left"
    if waits_for.startswith("approval:"):  # a sentence, after which a bare time says something else
        return f"waits for {waits_for} (until {until:%H:%M:%S}, {left})"
    what = waits_for.partition(" until ")[0]
    return f"waits for {what} until {until:%H:%M:%S} ({left})"
