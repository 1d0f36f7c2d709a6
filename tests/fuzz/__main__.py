"""Measure every reader with hostile inputs, then mutate valid ones for a while.

The table has the worst size of each kind: CPU seconds and peak memory of a process that reads nothing else. Exit code 1
where an input takes more than 2 seconds or 150 MB, or ends in an error that is not ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import hostile, mutate
from tests.fuzz.readers import HOLE, Reader, readers

MOST_S = 2.0
MOST_MB = 150.0
SIZES = (30_000, 570_000, 1_000_000, 4_000_000)
ALL_FRAMES = 1_000_000
"""Above this size only the last frame is filled."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help="names of readers; all without one")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long valid inputs are mutated, in all")
    parser.add_argument("--all", action="store_true", help="print every kind, not only the worst ten of each reader")
    options = parser.parse_args()
    known = readers()
    chosen = options.readers or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no reader {unknown[0]!r}; there are: {', '.join(known)}")
    failed = False
    print(f"{'reader':20} {'kind':38} {'size':>11} {'s':>6} {'MB':>5}  error")
    for name in chosen:
        rows = sorted(_measure(name, known[name]), key=lambda row: (row[1], row[2]), reverse=True)
        for row in rows if options.all else rows[:10]:
            print(_line(name, *row), flush=True)
        failed |= any(_is_bad(*row) for row in rows)
        if not options.all:
            for row in rows[10:]:
                if _is_bad(*row):
                    print(_line(name, *row), flush=True)
    for name in chosen:
        count, wrong = mutate.run(known[name], options.seconds / len(chosen))
        failed |= wrong is not None
        print(f"{name:20} {count:6} mutations" + (f", !! {wrong}" if wrong else ""), flush=True)
    return int(failed)


Row = tuple[str, float, float, int, str]
"""Kind, seconds, MB, size, what was said."""


def _line(name: str, kind: str, seconds: float, mb: float, size: int, said: str) -> str:
    mark = " <<<" if _is_bad(kind, seconds, mb, size, said) else ""
    return f"{name:20} {kind:38} {size:11,} {seconds:6.2f} {mb:5.0f}  {' '.join(said.split())[:90]}{mark}"


def _is_bad(_kind: str, seconds: float, mb: float, _size: int, said: str) -> bool:
    return seconds > MOST_S or mb > MOST_MB or said.startswith("!!")


def _measure(name: str, reader: Reader) -> Iterator[Row]:
    """The worst row of each kind."""
    command = [sys.executable, "-m", "tests.fuzz.measure", name]
    with (
        tempfile.NamedTemporaryFile(suffix=".jsonl") as file,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        for kind, make in hostile.KINDS[reader.kind].items():
            found: list[Row] = []
            for size in _sizes(reader):
                value = make(size)
                for frame in reader.frames if size <= ALL_FRAMES else reader.frames[-1:]:
                    data = frame.replace(HOLE, value)
                    Path(file.name).write_bytes(data)
                    print(file.name, file=child.stdin, flush=True)
                    one = json.loads(child.stdout.readline())
                    found.append((kind, one["seconds"], one["mb"], len(data), one["said"]))
            bad = [row for row in found if _is_bad(*row)]
            yield max(bad or found, key=lambda row: (row[4].startswith("!!"), row[1] / MOST_S + row[2] / MOST_MB))
        child.stdin.close()


def _sizes(reader: Reader) -> list[int]:
    below = [size for size in SIZES if size < reader.limit]
    return [*below, max(reader.limit - 2_000, reader.limit // 2)]


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
