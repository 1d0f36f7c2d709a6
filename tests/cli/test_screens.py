"""The live display and `status --watch` on a real terminal: narrow, wide, resized,
without colors.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from runner.model.schedule import Pause
from runner.report.run_now import bar_cells
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.cli.scenes import named
from tests.cli.terminal import Program, Screen
from tests.execution.setup import Bench, schedule_of
from tests.journal import made

LIVE = """
import asyncio, sys
from runner.cli.common import Terminal
from runner.cli.progress import Progress
from tests.cli.scenes import long_names
run, events = long_names()
async def main():
    progress = Terminal().progress()
    for event in events:
        progress.watch(run, event)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    progress.close()
asyncio.run(main())
print("over")
"""


def live_rows(screen: Screen) -> list[str]:
    """The rows of the display, from its head on."""
    rows = screen.shown()
    heads = [n for n, row in enumerate(rows) if row.startswith("run 2026")]
    assert len(heads) == 1, rows
    return rows[heads[0] :]


def test_the_live_display_fits_and_follows_the_terminal() -> None:
    """At 60, 80 and 200 columns the counts are whole, long names keep both ends, and a
    resize leaves nothing stale.
    """
    with Program(LIVE, 60, 60) as program:
        for n, width in enumerate((60, 80, 200, 80, 60)):
            if n:
                program.resize(width, 60)
            program.wait_for(passes(demand_readable, width))
        program.type("\n")
        assert program.end() == 0
    assert "JobFailed" in program.screen.everything()
    assert program.screen.shown()[-2:] == ["over", ""], "the display is taken away at the end"


def is_drawn_for(screen: Screen, width: int) -> bool:
    if not screen.is_settled or "more in flight" not in screen.shown()[-1]:
        return False
    rows = screen.shown()
    heads = [n for n, row in enumerate(rows) if row.startswith("run 2026")]
    return bool(heads) and width * 0.6 < max(map(len, rows[heads[0] :])) < width


def passes(check: Callable[[Screen, int], None], width: int) -> Callable[[Screen], bool]:
    """Return a condition to wait for: a picture that is drawn over an older one can be read
    at any moment between.
    """

    def is_passed(screen: Screen) -> bool:
        try:
            check(screen, width)
        except (AssertionError, ValueError, IndexError):
            return False
        return True

    return is_passed


def demand_readable(screen: Screen, width: int) -> None:
    """Counts are whole, names keep their ends, and nothing of another size is left."""
    assert is_drawn_for(screen, width)
    rows = live_rows(screen)
    assert rows[1] == "1 ready, 2 failed, 37 in flight, 140 pending", width
    (current,) = [r for r in rows if "37 rebooting" in r]
    assert "37 rebooting, 2 failed" in current, width
    assert current.endswith("blue"), width
    flying = [r.split("  ")[-1] for r in rows if re.match(r" +\d+m?\d*s?  rebooting", r)]
    assert len(set(flying)) == len(flying) == 8, width
    assert ["…" in name for name in flying] == [width < 200] * 8
    assert [r.split("/")[0].strip() for r in screen.shown() if "/6  " in r] == list("123456"), (
        "stale bars"
    )


def test_without_colors_bars_tell_ready_from_rebooting() -> None:
    """NO_COLOR: two fills, and no color at all; a wave that only reboots has nothing of
    `ready` in its bar.
    """
    with Program(LIVE, 100, 30, NO_COLOR="1") as program:
        screen = program.wait_for(lambda s: is_drawn_for(s, 100))
        bars = {
            row.split("/")[0].strip(): row.split()[1]
            for row in live_rows(screen)
            if re.match(r" *\d/6", row)
        }
        program.type("\n")
        assert program.end() == 0
    assert set(bars["1"]) == {"█"}
    assert set(bars["2"]) == {"x", "▒"}
    assert set(bars["3"]) == {"·"}
    assert screen.styles <= {"0", "1", "2", ""}, "colors"


COUNTS = (
    {"ready": 999, "failed": 1},
    {"a": 1, "b": 1, "c": 1},
    {"ready": 5},
    {"a": 400, "b": 3, "c": 2, "d": 1},
)


@pytest.mark.parametrize("width", [10, 20, 30])
def test_shares_of_a_bar(width: int) -> None:
    """They fill the bar; one of a thousand is seen, and it is never full of one word while
    there is another.
    """
    for counts in (
        {"ready": 999, "failed": 1},
        {"a": 1, "b": 1, "c": 1},
        {"ready": 5},
        {"a": 400, "b": 3, "c": 2, "d": 1},
    ):
        drawn = bar_cells(counts, width)
        assert sum(drawn.values()) == width
        assert min(drawn.values()) >= 1
        assert drawn.keys() == counts.keys()
    assert bar_cells({}, width) == {}
    assert sum(bar_cells(dict.fromkeys(map(str, range(40)), 1), width).values()) == 40


def watched(folder: Path) -> tuple[str, str]:
    """A store with an open run of 12 waves that waits for an approval, 33 of its servers
    failed; its address and id.
    """
    bench = Bench.of(120)
    bench.store = SqlStore(Sqlite(folder / "runs.db", bench.clock.seconds))
    bench.cloud.fails = {f"s-{n:03d}": "boot failed" for n in range(1, 34)}
    run_id = bench.start(
        named(schedule_of([1, 39, *[8] * 10], max_failures=50, pause=Pause("approval")))
    )
    bench.follow(run_id, until="approval")
    bench.store.record(
        run_id, bench.clock.now(), [made("approval.given", {"question": "pause:1", "by": "ann"})]
    )
    bench.follow(run_id, until="approval")
    bench.store.close()
    return f"sqlite:///{folder}/runs.db", run_id


def demand_status(screen: Screen, width: int, *, run_id: str) -> None:
    """The headline stays, the worst come first, and the rest is counted."""
    rows = [row for row in screen.shown() if row]
    assert screen.is_settled
    assert len(rows) <= 29
    assert width * 0.5 < max(map(len, rows)) < width
    assert rows[0].startswith(f"run {run_id} of plan web")
    assert "  waiting: 7 ready, 33 failed, 80 pending" in rows[1]
    failed = [row for row in rows if row.startswith("  failed")]
    assert rows[-1] == f"  and {33 - len(failed)} more"
    assert len({row.split(", wave")[0] for row in failed}) == len(failed) > 8
    assert any(row.startswith("  wave  2/12") for row in rows)
    assert "".join(rows).count("run 2026") == 1, "stale rows"


def test_status_watch_fits_the_screen(tmp_path: Path) -> None:
    """33 failures on 30 rows: the headline stays, the rest is counted; at 60, 80 and 200
    columns, in one place.
    """
    store, run_id = watched(tmp_path)
    code = (
        f"from runner.cli.main import invoke; "
        f"invoke({['--store', store, 'status', run_id, '--watch']!r})"
    )
    with Program(code, 80, 30, NO_COLOR="1") as program:
        for width in (80, 200, 60):
            program.resize(width, 30)

            program.wait_for(passes(partial(demand_status, run_id=run_id), width))
        program.process.send_signal(signal.SIGINT)
        program.end()


PROMPT = """
from types import SimpleNamespace
from runner.cli.common import Terminal
from runner.app.start_run import Wish, demand_consent
from tests.execution.setup import schedule_of
sessions = SimpleNamespace(is_real=True, by_name={"production-eu-de": 1, "production-eu-nl": 2})
demand_consent(Terminal(), schedule_of([1, 40], plan="web-" + "k" * 59), sessions, Wish())
print("consented")
"""


def test_the_prompt_is_readable() -> None:
    """At 60, 80 and 200 columns: lines break at spaces, the plan's name is whole, and what
    is typed follows.
    """
    name = "web-" + "k" * 59
    with Program(PROMPT, 60, 12) as program:
        screen = program.wait_for(lambda s: "Plan's name:" in s.everything())
        assert [row for row in screen.shown() if row] == [
            "41 servers of production-eu-de and production-eu-nl will be",
            "  rebooted in 2 waves.",
            "To continue, type the plan's name:",
            f"  {name[:58]}",
            name[58:],
            "Plan's name:",
        ]
        for width in (200, 80):
            program.resize(width, 12)
        program.type(f"{name}\n")
        assert program.end() == 0
    assert [row for row in screen.everything().splitlines() if row][-2:] == [
        f"Plan's name: {name}",
        "consented",
    ]
