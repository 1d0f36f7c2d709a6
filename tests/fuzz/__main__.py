"""Measure every reader with hostile inputs, then mutate valid ones.

The table has the worst input of each kind: CPU seconds and peak memory of a process that
reads nothing else. First every kind is measured at about half a megabyte and at the
reader's limit, then at other sizes, as long as there is time. Exit code 1 where an input
takes more than 2 seconds or 150 MB, or ends in an error that is not ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import hostile, mutate
from tests.fuzz.readers import HOLE, Reader, readers

MOST_S = 2.0
MOST_MB = 150.0
FIRST_SIZE = 570_000
"""Every frame is filled at this size; at the others only the last one."""
OTHER_SIZES = (30_000, 1_000_000, 4_000_000)
SHARE = 0.85
"""Of the seconds that measuring may take; mutations have the rest."""
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One input and what came of it: CPU seconds, MB at peak, bytes."""

    reader: str
    kind: str
    size: int
    seconds: float
    mb: float
    said: str

    @property
    def is_bad(self) -> bool:
        return self.seconds > MOST_S or self.mb > MOST_MB or self.said.startswith("!!")

    @property
    def harm(self) -> tuple[bool, float]:
        return self.said.startswith("!!"), max(self.seconds / MOST_S, self.mb / MOST_MB)

    def __str__(self) -> str:
        mark = " <<<" if self.is_bad else ""
        said = " ".join(self.said.split())[:90]
        return (
            f"{self.reader:18} {self.kind:36} {self.size:11,} {self.seconds:6.2f} "
            f"{self.mb:5.0f}  {said}{mark}"
        )


class Worker:
    """A process that measures one reader (`tests.fuzz.measure`), one input at a time."""

    def __init__(self, name: str, reader: Reader, folder: Path, stack: ExitStack) -> None:
        self.name = name
        self.reader = reader
        self._path = folder / f"{name.replace(' ', '-')}.jsonl"
        command = [sys.executable, "-m", "tests.fuzz.measure", name]
        self._child = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(self._child.kill)
        self._size = 0

    def begin(self, data: bytes) -> None:
        assert self._child.stdin is not None
        self._path.write_bytes(data)
        self._size = len(data)
        print(self._path, file=self._child.stdin, flush=True)

    def end(self, kind: str) -> Row:
        assert self._child.stdout is not None
        one = json.loads(self._child.stdout.readline())
        return Row(self.name, kind, self._size, one["seconds"], one["mb"], one["said"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "readers", nargs="*", metavar="READER", help="names of readers; all without one"
    )
    parser.add_argument(
        "--seconds", type=float, default=240.0, help="of the whole call (default: 240)"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="print every kind, not only the worst three of each reader",
    )
    options = parser.parse_args()
    known = readers()
    chosen = {name: known[name] for name in options.readers or known if name in known}
    unknown = [name for name in options.readers if name not in known]
    if unknown:
        parser.error(f"no reader {unknown[0]!r}; there are: {', '.join(known)}")
    began = time.monotonic()
    print(f"{'reader':18} {'kind':36} {'size':>11} {'CPU s':>6} {'MB':>5}  result", flush=True)
    worst, count, left = _worst(chosen, began + options.seconds * SHARE)
    for name in chosen:
        rows = sorted(
            (row for row in worst.values() if row.reader == name),
            key=lambda row: row.harm,
            reverse=True,
        )
        for row in rows if options.all else rows[:3]:
            print(row)
    print(
        f"{count:,} inputs in {time.monotonic() - began:.0f} s; {left:,} more for a longer call",
        flush=True,
    )
    failed = any(row.is_bad for row in worst.values())
    for place, (name, reader) in enumerate(chosen.items()):
        rest = began + options.seconds - time.monotonic()
        number, wrong = mutate.run(reader, max(0.0, rest / (len(chosen) - place)))
        failed |= wrong is not None
        print(f"{name:18} {number:6,} mutations" + (f", !! {wrong}" if wrong else ""), flush=True)
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed)


def _worst(
    chosen: Mapping[str, Reader], until: float
) -> tuple[dict[tuple[str, str], Row], int, int]:
    """Return the worst row of each reader and kind, how many inputs were read, and how many
    there was no time for.

    What is over a limit is printed at once.
    """
    worst: dict[tuple[str, str], Row] = {}
    count = left = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = [Worker(name, reader, folder, stack) for name, reader in chosen.items()]
        for is_first in (True, False):
            for kind, size, few in _turns(workers, is_first):
                if time.monotonic() > until:
                    left += sum(len(_frames(worker.reader, size)) for worker in few)
                    continue
                for row in _read(few, kind, size):
                    count += 1
                    known = worst.get((row.reader, row.kind))
                    if row.is_bad and (known is None or not known.is_bad):
                        print(row, flush=True)
                    if known is None or row.harm > known.harm:
                        worst[row.reader, row.kind] = row
    return worst, count, left


def _turns(workers: Sequence[Worker], is_first: bool) -> Iterator[tuple[str, int, list[Worker]]]:
    """Yield kind, size, and the readers that get it: each value is made once for all of them."""
    for family, kinds in reversed(
        list(hostile.KINDS.items())
    ):  # JSON, which takes the longest, last
        by_size: dict[int, list[Worker]] = {}
        for worker in workers:
            for size in _sizes(worker.reader, is_first) if worker.reader.kind == family else ():
                by_size.setdefault(size, []).append(worker)
        for kind in kinds:
            for size, few in by_size.items():
                yield kind, size, few


def _sizes(reader: Reader, is_first: bool) -> list[int]:
    sizes = (FIRST_SIZE,) if is_first else OTHER_SIZES
    below = [size for size in sizes if size < reader.limit]
    return [*below, max(reader.limit - 2_000, reader.limit // 2)] if is_first else below


def _frames(reader: Reader, size: int) -> Sequence[bytes]:
    return reader.frames if size == FIRST_SIZE else reader.frames[-1:]


def _read(workers: Sequence[Worker], kind: str, size: int) -> Iterator[Row]:
    """Measure one value in each frame of each reader, two readers at a time."""
    value = hostile.KINDS[workers[0].reader.kind][kind](size)
    work = [(worker, _frames(worker.reader, size)) for worker in workers]
    for number in range(max(len(frames) for _, frames in work)):
        ready = [(worker, frames[number]) for worker, frames in work if number < len(frames)]
        for first in range(0, len(ready), AT_ONCE):
            few = ready[first : first + AT_ONCE]
            for worker, frame in few:
                worker.begin(frame.replace(HOLE, value))
            for worker, _ in few:
                yield worker.end(kind)


if __name__ == "__main__":
    sys.exit(main())
