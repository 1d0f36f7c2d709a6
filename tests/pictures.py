"""The pictures of the documents, drawn by the program itself: a run of the quickstart plan on
the simulated cloud.

`python -m tests.pictures` writes `docs/run.svg` and `docs/live.svg` anew. The run is a real
one in virtual time, so it is the same each time; only its id is set, which is made of
chance.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runner.cli.common import Terminal
from runner.cli.progress_live import LiveProgress
from runner.execution import fold
from runner.execution.journal import replay
from runner.model.events import Event
from runner.model.run import Phase, Run
from runner.report.diff import headline
from runner.report.fitting import wrap_all
from runner.report.run_text import run_text
from runner.simulator.fleet import FleetOptions
from runner.simulator.state import CloudOptions
from tests.runs.harness import simulated

ROOT = Path(__file__).resolve().parents[1]
RUN = "20261123-220000-k3m9x2"
WIDTH, HEIGHT = 110, 40


class Kept:
    """A screen that keeps what is shown: the lines that stay, and the picture."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.picture: Sequence[str] = ()

    def write(self, lines: Sequence[str]) -> None:
        self.lines += lines

    def draw(self, picture: Sequence[str]) -> None:
        self.picture = picture

    def clear(self) -> None:
        self.picture = ()


class Shown(LiveProgress):
    """The live display of a run, with a screen that is kept."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        console = Console(
            file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard",  # noqa: E501
            markup=False, highlight=False, emoji=False, legacy_windows=False,
        )  # fmt: skip
        super().__init__(Terminal(), console, iter(range(1_000_000)).__next__)
        self.kept = Kept()
        self._screen = self.kept  # type: ignore[assignment]  # the same calls


async def _quickstart() -> list[Event]:
    """The journal of a run of the quickstart plan."""
    text = (
        (ROOT / "plans" / "quickstart.yaml")
        .read_text(encoding="utf-8")
        .replace("target: simulator\n", "")
    )
    async with simulated(CloudOptions(fleet=FleetOptions())) as field:
        run_id = await field.begin(text)
        await field.follow(run_id)
        return field.store.events(run_id)


def is_interesting(run: Run) -> bool:
    """Return True in the middle of the largest wave: some servers reboot, some are coming back."""
    phases = [server.phase for server in run.current()]
    return phases.count(Phase.REBOOTED) >= 5 and phases.count(Phase.ACCEPTED) >= 3


def pictures() -> dict[str, str]:
    """Return the SVG texts by the names of their files."""
    events = asyncio.run(_quickstart())
    run, shown = replay(RUN, events[:1]), Shown()
    begun = [f"$ reboot-runner run plans/{run.schedule.plan_name}.yaml", headline(run.schedule)]
    begun.append(f"run {RUN} begins (simulated clock, 30 times real time)")
    live: list[str] = []
    for event in events[1:]:
        fold.apply(run, event)
        shown.watch(run, event)
        if not live and is_interesting(run):
            live = [*begun, *shown.kept.lines, *shown.kept.picture]
    shown.close()
    whole = [*begun, *shown.kept.lines, *run_text(run, events).splitlines()]
    return {"run.svg": svg(whole, "run"), "live.svg": svg(live, "live")}


def svg(lines: Sequence[str], name: str, width: int = WIDTH) -> str:
    """Return a picture of a terminal with these lines."""
    console = Console(
        record=True, file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor"
    )
    assert lines, "nothing to show"
    for line in wrap_all("\n".join(lines), width).split("\n"):
        console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)
    return console.export_svg(title="reboot-runner", unique_id=f"reboot-runner-{name}")


if __name__ == "__main__":
    for file, text in pictures().items():
        (ROOT / "docs" / file).write_text(text, encoding="utf-8")
        print(ROOT / "docs" / file)
