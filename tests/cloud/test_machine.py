"""Which machine this is: a metadata service on loopback, and the files that a Linux
kernel keeps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from runner.cloud.huawei import machine
from runner.cloud.huawei.machine import ADDRESS, origin_of, own_addresses, own_macs, this_machine
from runner.errors import InvalidInput
from runner.model.machine import Machine
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import Running, serve_in_thread
from runner.simulator.state import CloudOptions
from runner.simulator.switches import Instance
from tests.simulator.bench import KEYS, RULES

SERVER = "5b919bd2-e315-41d0-850d-a15cb5a686c0"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """Each test is a process that has asked nobody yet."""
    machine.forget()
    yield
    machine.forget()


@contextmanager
def service(**instance: Any) -> Iterator[Running]:
    about = Instance(server=SERVER, **instance) if instance.pop("there", True) else None
    with serve_in_thread(
        CloudOptions(FleetOptions(servers=1), KEYS.model_copy(update={"instance": about}))
    ) as one:
        yield one


@contextmanager
def odd_service(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every question the same answer, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *about: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def found(url: str, **env: str) -> Machine:
    return asyncio.run(this_machine({"REBOOT_RUNNER_METADATA": url, **env}))


@pytest.mark.parametrize("tokens", ["optional", "required", "unknown"])
def test_an_ecs_knows_its_own_id(tokens: str) -> None:
    """The metadata service says which server this is, with a token where it wants one."""
    with service(tokens=tokens) as one:
        assert found(one.url).server_id == SERVER


def test_it_is_asked_once_in_a_process() -> None:
    """A process does not move to another machine, so the first answer holds; no answer
    holds as well.
    """
    with service() as one:
        assert found(one.url) == found(one.url)
        assert len(one.state.requests()) == 1
    with service(there=False) as one:
        assert found(one.url).server_id is None
        assert found(one.url).server_id is None
        assert len(one.state.requests()) == 1


def test_it_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the environment names: a proxy would tell of its own machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with service() as one:
        assert found(one.url).server_id == SERVER


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"not found"),
        (200, b"<html>a portal</html>"),
        (200, b"[]"),
        (200, b'{"uuid": "../../x"}'),
        (200, b'{"uuid": 7}'),
        (200, b"[" * 100_000),
        (200, b" " * 300_000),
        (401, b"Unauthorized"),
        (500, b""),
    ],
)
def test_a_machine_that_is_no_ecs(status: int, body: bytes) -> None:
    """Another cloud's service, a portal, nonsense: then nothing is known, and nothing is wrong."""
    with odd_service(status, body) as (url, _):
        assert found(url).server_id is None


def test_redirects_are_not_followed() -> None:
    """An address that sends elsewhere is no metadata service."""
    with (
        service() as true,
        odd_service(302, b"", Location=true.url + "/openstack/latest/meta_data.json") as (
            url,
            asked,
        ),
    ):
        assert found(url).server_id is None
        assert asked == ["GET /openstack/latest/meta_data.json"]
        assert true.state.requests() == []


def test_nobody_there_costs_less_than_a_second() -> None:
    """A service that is silent, and one that is not there, cost under a second in all."""
    with service() as slow:
        assert found("http://127.0.0.1:9").server_id is None
        slow.state.add_rules(
            RULES.validate_python(
                [{"do": "delay", "on": "metadata", "seconds": "3s", "clock": "wall"}]
            )
        )
        began = time.monotonic()
        assert found(slow.url).server_id is None
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "written",
    [
        "http://169.254.169.253",
        "https://127.0.0.1:1",
        "http://127.0.0.1:1/path",
        "http://user@127.0.0.1:1",
        "127.0.0.1",
        "http://[",
        "http://127.0.0.1:x",
    ],
)
def test_its_address_is_changed_to_loopback_only(written: str) -> None:
    """Who sets the environment cannot make another machine the metadata service."""
    with pytest.raises(InvalidInput) as refused:
        origin_of({"REBOOT_RUNNER_METADATA": written})
    assert "REBOOT_RUNNER_METADATA" in refused.value.problems[0].message
    assert origin_of({}) == ADDRESS == "http://169.254.169.254"


def test_a_person_says_which_server_this_is() -> None:
    """An id or `none`; anything else is a mistake that is told."""
    with service(there=False) as one:
        assert found(one.url, REBOOT_RUNNER_ITSELF=f" {SERVER.upper()}\n").stated == SERVER
        assert found(one.url, REBOOT_RUNNER_ITSELF="None").stated == "none"
        assert found(one.url, REBOOT_RUNNER_ITSELF="").stated is None
        with pytest.raises(InvalidInput) as refused:
            found(one.url, REBOOT_RUNNER_ITSELF="web-1")
    assert "REBOOT_RUNNER_ITSELF" in refused.value.problems[0].message


FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.0.0/24 2 0 2
        +-- 10.1.0.0/28 2 0 2
           |-- 10.1.0.0
              /24 link UNICAST
           |-- 10.1.0.7
              /32 host LOCAL
        |-- 10.1.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 169.254.7.7
        /32 host LOCAL
Local:
     |-- 10.1.0.7
        /32 host LOCAL
"""
INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000002 02 40 00 80     eth0
fe80000000000000f8163efffe000001 02 40 20 80     eth0
nonsense
"""


def test_the_addresses_of_all_interfaces(tmp_path: Path) -> None:
    """As the kernel lists them, without those that every machine has."""
    (tmp_path / "fib_trie").write_text(FIB)
    (tmp_path / "if_inet6").write_text(INET6)
    assert own_addresses(tmp_path) == {"10.1.0.7", "fd00::2"}


def test_addresses_where_there_is_no_such_list(tmp_path: Path) -> None:
    """Other systems: no error, and never an address of loopback."""
    assert all(not a.startswith(("127.", "fe80", "169.254.")) for a in own_addresses(tmp_path))


def test_the_network_cards(tmp_path: Path) -> None:
    """Of each card its address; loopback's zeros and nonsense do not count."""
    for name, text in {
        "eth0": "FA:16:3E:00:00:01\n",
        "lo": "00:00:00:00:00:00\n",
        "odd": "\n",
        "ib": "80:00:" * 20,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text(text)
    (tmp_path / "bonding_masters").write_text("")
    assert own_macs(tmp_path) == {"fa:16:3e:00:00:01"}
    assert all(len(mac) == 17 for mac in own_macs(tmp_path / "missing"))
