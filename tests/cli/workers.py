"""Workers in tests: how one is started, and how it is asked how it is."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.cli.forked import Child
from tests.cli.lab import PLAN, Lab

READY = "/healthz"
APPROVED = PLAN.replace("waves: [1, 50%]", "waves: [1, 50%]\n    pause: [approval, 0s]")


def start(lab: Lab, *more: str, given: tuple[str, ...] = ()) -> tuple[Child, str]:
    """A worker on a free port, and its URL. `given`: options of the program."""
    child = lab.start(*given, "worker", "--listen", "127.0.0.1:0", *more)
    said = child.err.wait_for(READY)
    found = re.search(r"(http://127\.0\.0\.1:\d+)/healthz", said)
    assert found, said
    return child, found[1]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(true: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


SAMPLE = re.compile(
    r'([a-z_]+(?:\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})?) (-?[0-9.e+-]+)'
)


def figures(url: str) -> dict[str, float]:
    """The samples of /metrics; every line is a comment or a sample."""
    status, text = get(f"{url}/metrics")
    assert status == 200
    found = {}
    for line in text.splitlines():
        sample = SAMPLE.fullmatch(line)
        assert sample or line.startswith(("# HELP reboot_runner_", "# TYPE reboot_runner_")), line
        if sample:
            found[sample[1]] = float(sample[2])
    return found
