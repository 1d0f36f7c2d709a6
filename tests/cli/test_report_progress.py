"""The progress of a run on stderr: lines for logs, objects for machines, a live display
for people.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from runner.cli.common import Terminal
from runner.cli.progress import HEARTBEAT_S, MOST_SERVERS, LineProgress, Progress
from runner.cli.progress_live import LiveProgress
from runner.execution import fold
from runner.execution.journal import replay
from runner.model.events import Event
from runner.model.run import Run
from runner.model.schedule import Pause
from runner.report.run_now import heartbeat, present, wait_until
from tests.execution.setup import Bench, schedule_of
from tests.report.cases import HOSTILE, Case, case_of, plain_run, troubled_run
from tests.report.readers import demand_harmless_lines

ROOT = Path(__file__).resolve().parents[2]


class Seconds:
    """Real time, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def show(case: Case, progress: Progress, seconds: Seconds | None = None) -> None:
    """Tell a whole run event by event, as it would have happened; `seconds` moves on with each."""
    seconds = seconds or Seconds()
    run = replay(case.run.id, list(case.events[:1]))
    for event in case.events[1:]:
        fold.apply(run, event)
        seconds.now += 1
        progress.watch(run, event)
        seconds.now += 1
        progress.tick(run, "servers to come back", event.at)
    progress.close()


def lines_of(case: Case, capsys: pytest.CaptureFixture[str], **app: str) -> list[str]:
    show(case, LineProgress(Terminal(**app), Seconds()))  # type: ignore[arg-type]  # options of the app by name
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


# --- lines ---


def test_a_good_run_is_two_lines_a_wave_and_one_a_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each wave's beginning and end, each accepted request, and the run's end: no line a
    server or a poll.
    """
    lines = lines_of(plain_run((1, 100, 200)), capsys)
    assert len(lines) == 3 * 3 + 1
    assert lines[0] == "22:00:00 wave 1/3 web: started, 1 server, the canary"
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d wave 2/3 batch 2: accepted, 100 servers, job job-2", lines[4]
    )
    assert lines[-1].endswith("run is done (AllWavesDone): 301 ready")


def test_servers_gone_wrong_have_a_line_with_their_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed, unknown and skipped servers are named in full; those never started are
    only counted.
    """
    case = troubled_run("because")
    lines = lines_of(case, capsys)
    for server in case.report.servers:
        named = [x for x in lines if f"({server.id})" in x]
        assert bool(named) == (
            server.outcome in ("failed", "unknown", "skipped") or server.id == "s-005"
        )
    assert any(x.endswith("wave 4/4 web: 3 not started (3 Cancelled)") for x in lines)
    assert any("resolved as rebooted by because: because" in x for x in lines)
    assert any("waits for an approval" in x for x in lines)


def test_many_failures_of_one_moment_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A wave that fails as a whole does not fill the log: some servers are named, the rest
    is counted.
    """
    bench = Bench.of(100)
    bench.cloud.fails = {f"s-{n:03d}": "boot failed" for n in range(100)}
    run_id = bench.start(schedule_of([100]))
    bench.follow(run_id)
    lines = lines_of(case_of(bench, run_id), capsys)
    assert sum(" failed: JobFailed: Ecs.0227" in x for x in lines) == MOST_SERVERS
    assert any(x.endswith(f"  … and {100 - MOST_SERVERS} more, all in the report") for x in lines)


def test_lines_are_never_cut_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """A name of 255 characters and its id stand on one line, whole."""
    name = "n" * 255
    assert any(
        f"{name}x (s-001) failed: JobFailed" in x for x in lines_of(troubled_run(name, "x"), capsys)
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No line is a command of a CI system, and none holds an escape sequence."""
    demand_harmless_lines("\n".join(lines_of(troubled_run(text, "x"), capsys)))


def test_a_heartbeat_comes_after_thirty_silent_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """While nothing changes there is a line every 30 s of real time, whatever the run's
    clock does; none before.
    """
    run, seconds = waiting_for_servers(), Seconds()
    progress = LineProgress(Terminal(), seconds)
    now = run.last_event_at or run.created
    for _ in range(100):
        seconds.now += HEARTBEAT_S / 10
        now += timedelta(seconds=5)
        progress.tick(run, "servers to come back", now)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert re.fullmatch(
        r"22:00:5\d wave 2/2 web: 4 rebooting, oldest \d+ s", lines[0].replace("22:01:3", "22:00:5")
    )


def waiting_for_servers() -> Run:
    """A run whose second wave is accepted and not yet back."""
    case = plain_run((1, 4))
    upto = [n for n, e in enumerate(case.events) if e.type == "batch.accepted"][1]
    return replay(case.run.id, list(case.events[: upto + 1]))


def test_a_heartbeat_says_what_is_waited_for() -> None:
    """A pause is told with its end and the time left, an approval with its question."""
    bench = Bench.of(3)
    run = bench.follow(
        bench.start(schedule_of([1, 1, 1], pause=Pause("timed", 600))), until="pause"
    )
    now = (run.pause_began or run.created) + timedelta(seconds=60)
    told = heartbeat(run, "pause until 2026-11-23T22:10:40+00:00", now)
    assert told == "wave 2/3 web: not begun; waits for pause until 22:10:40 (9m left)"
    asking = Bench.of(2)
    asked = asking.follow(
        asking.start(schedule_of([1, 1], pause=Pause("approval"))), until="approval"
    )
    assert wait_until(asked) == asking.clock.now() + timedelta(days=7)
    assert "asks for an approval" in heartbeat(
        asked, "approval: the plan asks for an approval", asking.clock.now()
    )


def test_bake_and_pause_have_their_own_ends() -> None:
    """What is waited for ends when the stored start and length say; a run that waits for
    nothing has no end.
    """
    bench = Bench.of(2)
    run_id = bench.start(
        schedule_of([1, 1], groups=["a", "b"], bake_s=300.0, pause=Pause("timed", 60))
    )
    baking = bench.follow(run_id, until="bake")
    assert baking.bake_began
    assert wait_until(baking) == baking.bake_began + timedelta(seconds=300)
    pausing = bench.follow(run_id, until="pause")
    assert pausing.pause_began
    assert wait_until(pausing) == pausing.pause_began + timedelta(seconds=60)
    assert wait_until(bench.follow(run_id)) is None


def test_who_is_in_flight_is_told_longest_first() -> None:
    """Servers in flight are those asked for and not back, the one out longest first."""
    state = present(waiting_for_servers())
    assert [s.ref.id for s in state.in_flight] == ["s-001", "s-002", "s-003", "s-004"]
    assert state.words == {"rebooting": 4}
    assert present(plain_run().run).in_flight == ()


# --- JSON ---


def test_json_lines_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--log-format json` each line is an object with the run, its time, the event,
    and no text beside it.
    """
    case = troubled_run("because")
    told = [json.loads(x) for x in lines_of(case, capsys, log_format="json")]
    assert all(
        t["run"] == case.run.id and t["run_at"] and t["message"] and t["event"] for t in told
    )
    assert {t["server"] for t in told if t["event"] == "server"} >= {
        "s-001",
        "s-006",
        "s-007",
        "s-008",
    }
    assert [t["seq"] for t in told if "seq" in t] == sorted(t["seq"] for t in told if "seq" in t)


@pytest.mark.parametrize("text", HOSTILE)
def test_json_lines_obey_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Hostile text leaves one parsable object a line, without a command of a CI system in it."""
    lines = lines_of(troubled_run(text, "x"), capsys, log_format="json")
    demand_harmless_lines("\n".join(lines))
    assert all(json.loads(x) for x in lines)


# --- live ---


def live_of(case: Case, width: int = 120) -> str:
    """What the live display writes to a terminal."""
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=width, height=40, markup=False, highlight=False, emoji=False,  # noqa: E501
        color_system="standard", legacy_windows=False,
    )  # fmt: skip
    seconds = Seconds()
    show(case, LiveProgress(Terminal(), console, seconds), seconds)
    return screen.getvalue()


OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AJK]|\?25[lh])|\r")
"""What rich writes: colours, going up and clearing lines, the cursor."""


def test_live_display_shows_waves_and_keeps_troubles() -> None:
    """Bars for the waves are drawn anew; servers gone wrong and decisions stay above them."""
    case = troubled_run("because")
    told = OURS.sub("", live_of(case))
    assert "1/4" in told
    assert "2 rebooting" in told
    assert "█" in told
    for server in case.report.unknown:
        assert f"({server.id}) unknown: {server.reason}" in told
    assert "cancelled by because: because" in told
    assert "3 not started" in told


@pytest.mark.parametrize("text", [*HOSTILE, "[bold]x[/bold]", "[/]", ":boom:"])
def test_live_display_interprets_nothing(text: str) -> None:
    """Names and messages bring no escape sequence of their own, and rich reads no markup or
    emoji in them.
    """
    told = OURS.sub("", live_of(troubled_run(text, "x"), width=4000))
    demand_harmless_lines("".join(line.rstrip() + "\n" for line in told.split("\n")))
    if text.startswith(("[", ":")) and not text.startswith("::"):
        assert text in told


def test_live_display_of_many_waves_fits_the_terminal() -> None:
    """With hundreds of waves those around the current one are shown, and how many are
    before and after.
    """
    told = OURS.sub("", live_of(plain_run([1] * 24)))
    assert re.search(r"… \d+ before", told)
    assert re.search(r"… \d+ after", told)
    frames = told.split("run 20")[1:]
    assert all(frame.count("\n") < 40 for frame in frames)


def test_a_display_that_fails_does_not_stop_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """An error while showing is told once; nothing is raised, nothing more is shown."""
    case = plain_run((1,))

    class Broken(LineProgress):
        def on_event(self, run: Run, event: Event) -> None:
            raise ValueError("no \x1b[31m such thing")

    show(case, Broken(Terminal()))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["no more progress is shown: ValueError: no \\x1b[31m such thing"]


def test_a_live_display_that_fails_gives_the_terminal_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Stderr is what it was before, and what is said next is seen."""
    case = plain_run((1,))
    before = sys.stderr
    broken = LiveProgress(Terminal(), Console(file=io.StringIO(), force_terminal=True))

    def fail(run: Run, waits_for: str, now: datetime) -> None:
        raise ValueError("no such thing")

    broken.watch(replay(case.run.id, list(case.events[:2])), case.events[1])
    assert sys.stderr is not before
    broken.on_tick = fail  # type: ignore[method-assign]  # any error in any display
    broken.tick(case.run, "", case.run.created)
    assert sys.stderr is before
    assert "no more progress is shown" in capsys.readouterr().err


TALK = """
from runner.cli.common import Terminal
from runner.cli.progress import Progress
from tests.report.cases import plain_run
case, app = plain_run((1, 2)), Terminal()
progress = app.progress()
progress.watch(case.run, case.events[-1])
app.talk("said meanwhile")
progress.close()
app.talk("said after")
"""


def on_terminal(code: str, **change: str) -> tuple[str, str]:
    """What a program writes to stdout, and to stderr, which is a terminal."""
    ours, theirs = pty.openpty()
    environment = (
        {k: v for k, v in os.environ.items() if k not in ("CI", "TERM")}
        | {"TERM": "xterm"}
        | change
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=theirs, stdout=subprocess.PIPE
    ) as process:
        os.close(theirs)
        seen = b"".join(iter(lambda: read_terminal(ours), b""))
        out, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0, seen
    return out.decode(), seen.decode()


def read_terminal(side: int) -> bytes:
    try:
        return os.read(side, 65536)
    except OSError:  # Linux tells the end of a terminal so
        return b""


def test_what_is_said_meanwhile_stands_above_the_display() -> None:
    """Other talk on stderr is not swallowed by the display: it is cleared, the line is
    written, it is drawn again.
    """
    _, seen = on_terminal(TALK)
    assert re.search(r"\r\x1b\[3Asaid meanwhile\x1b\[K\r\n(?:\x1b\[\d+m)*run 20", seen)
    assert seen.endswith("said after\r\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "LiveProgress"),
        ({"CI": "true"}, "LineProgress"),
        ({"TERM": "dumb"}, "LineProgress"),
        ({"LOG": "json"}, "LineProgress"),
    ],
)
def test_the_display_suits_the_terminal(change: dict[str, str], expected: str) -> None:
    """On a real terminal it is live, but not in CI, on a dumb terminal or for machines;
    rich is imported only then.
    """
    code = (
        "import os, sys; from runner.cli.common import Terminal; from runner.cli.progress "
        "import Progress\n"
        "made = Terminal(log_format=os.environ.get('LOG', 'text')).progress()\n"
        "print(type(made).__name__, 'rich' in sys.modules)"
    )
    out, _ = on_terminal(code, **change)
    assert out.split() == [expected, str(expected == "LiveProgress")]


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe or a file gets lines."""
    monkeypatch.delenv("CI", raising=False)
    make = Terminal.progress
    assert type(make(Terminal())) is LineProgress
    assert type(make(replace(Terminal(), log_format="json"))) is LineProgress
