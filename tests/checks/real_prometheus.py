"""Gates against the real program `prometheus`, which scrapes a real exporter: `python -m
tests.checks.real_prometheus`.

It takes half a minute of real time, and no part of the suite needs it. Debian: `apt install
prometheus`.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.checks.gatekeeper import GateSource, NetGatekeeper
from runner.model.gate import Gate, GateAnswer
from tests.cloud.wild import Connection, free_port, wild

SCRAPED_FOR_S = 25.0
"""More than the longest `for` that is to be open."""


@dataclass
class Exporter:
    """One metric, whose value is what it is set to."""

    value: float = 1.0

    async def answer(self, connection: Connection) -> None:
        body = f'# TYPE errors gauge\nerrors{{zone="a"}} {self.value}\nerrors{{zone="b"}} 0\n'
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: "
            f"{len(body)}\r\n\r\n"
        )
        await connection.send((head + body).encode())


@contextmanager
def prometheus(program: str, folder: Path, target: str) -> Iterator[str]:
    """The program, scraping a target each second; its address."""
    port = free_port()
    scrape = f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target}']}}]}}]"
    (folder / "prometheus.yml").write_text(f"global: {{scrape_interval: 1s}}\n{scrape}\n")
    options = (
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *options], cwd=folder, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@asynccontextmanager
async def scraped(program: str) -> AsyncIterator[tuple[str, Exporter]]:
    exporter = Exporter()
    with tempfile.TemporaryDirectory() as folder:
        async with wild(exporter.answer) as server:
            with prometheus(program, Path(folder), server.url.removeprefix("http://")) as url:
                yield url, exporter


def asks(
    query: str, for_s: float = 0.0, *, most: float | None = 5, least: float | None = None
) -> Gate:
    return Gate("prometheus", source="main", query=query, max=most, min=least, for_s=for_s)


CASES: tuple[tuple[str, Gate, str], ...] = (
    ("two series, both hold", asks("errors"), "open"),
    ("an aggregate", asks("sum(errors)"), "open"),
    ("a scalar", asks("scalar(sum(errors))"), "open"),
    ("the target is up", asks("up", most=None, least=1), "open"),
    ("held for 10 s", asks("errors", 10), "open"),
    ("a scalar for 10 s", asks("scalar(sum(errors))", 10), "open"),
    ("one series is over", asks("errors", most=0.5), "closed"),
    ("one series was over", asks("errors", 10, most=0.5), "closed"),
    ("younger than `for`", asks("errors", 3600), "cannot_tell"),
    ("no such metric", asks("nobody_knows"), "cannot_tell"),
    ("no such metric for 10 s", asks("nobody_knows", 10), "cannot_tell"),
    ("nought by nought", asks("0 * up / 0"), "cannot_tell"),
    ("not PromQL", asks("sum(("), "cannot_tell"),
    ("a range", asks("errors[1m]"), "cannot_tell"),
    ("a range for 10 s", asks("errors[1m]", 10), "cannot_tell"),
    ("a text", asks('"text"'), "cannot_tell"),
    (
        "it is ready",
        Gate("http", source="hook", path="/-/ready", status=(200,), body="Ready"),
        "open",
    ),
    ("no such page", Gate("http", source="hook", path="/nowhere", status=(200,)), "closed"),
)


async def check(program: str) -> list[tuple[str, str, GateAnswer]]:
    """Each case with what was expected and what was answered."""
    found = []
    async with scraped(program) as (url, exporter):
        keeper = NetGatekeeper(
            {"main": GateSource("prometheus", url), "hook": GateSource("http", url)}
        )
        await asyncio.sleep(SCRAPED_FOR_S)
        for what, gate, expected in CASES:
            found.append((what, expected, await keeper.ask(gate, {})))
        exporter.value = 9.0
        await asyncio.sleep(3)
        found.append(("the value rises", "closed", await keeper.ask(asks("errors"), {})))
        exporter.value = 1.0
        await asyncio.sleep(3)
        found.append(("it has fallen again", "open", await keeper.ask(asks("errors"), {})))
        found.append(("but not for 10 s", "closed", await keeper.ask(asks("errors", 10), {})))
    found.append(("the program has ended", "cannot_tell", await keeper.ask(asks("errors"), {})))
    return found


def main() -> int:
    program = shutil.which("prometheus")
    if program is None:
        print("skipped: there is no program `prometheus` here")
        return 0
    found = asyncio.run(check(program))
    for what, expected, answer in found:
        mark = "ok " if answer.state == expected else "BAD"
        print(f"{mark} {what:<26} {answer.state.value:<12} {answer.value:<8} {answer.reason}")
    wrong = sum(answer.state != expected for _, expected, answer in found)
    print(f"{len(found)} questions to {program}, {wrong} answered otherwise than expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
