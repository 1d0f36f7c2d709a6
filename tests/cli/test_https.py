"""Whole command lines against the simulated cloud over HTTPS, with an authority of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runner.simulator.fleet import FleetOptions
from runner.simulator.server import Tls, serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Switches
from tests.cli.lab import KEYS, PLAN, Lab, Remote, target

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "tls"


@pytest.fixture
def secure(lab: Lab) -> Iterator[Remote]:
    quick = Switches(parent_lag=timedelta(milliseconds=50), init=timedelta(0))
    state = State(CloudOptions(FleetOptions(servers=20, reboot_seconds=0.1), KEYS, quick))
    try:
        with serve_in_thread(state, tls=Tls(FOLDER / "loopback.pem")) as running:
            assert running.url.startswith("https://127.0.0.1:")
            lab.env |= {"HUAWEICLOUD_SDK_AK": KEYS.ak, "HUAWEICLOUD_SDK_SK": KEYS.sk}
            lab.configure(targets={"lab": target(state, running.url)})
            lab.write("web.yaml", PLAN)
            yield Remote(lab, state, running.url, None)
            for child in lab.children:
                child.dispose()
    finally:
        state.close()


def test_run_with_the_authority(secure: Remote) -> None:
    """Dry-run and run, to the end, over HTTPS."""
    trusted = {"REBOOT_RUNNER_CA_FILE": str(FOLDER / "authority.pem")}
    assert secure.lab.run("diff", "web.yaml", env=trusted).out.startswith("10 servers in 3 waves")
    done = secure.lab.run("run", "web.yaml", "--yes", env=trusted)
    assert done.code == 0, done.err
    assert sorted(secure.reboots.values()) == [1] * 10


@pytest.mark.parametrize("environ", [{}, {"REBOOT_RUNNER_CA_FILE": str(FOLDER / "trusted.pem")}])
def test_run_without_it(secure: Remote, environ: dict[str, str]) -> None:
    """Without it, or with another, the sentence names the certificate and the remedy; the
    cloud has seen nothing.
    """
    done = secure.lab.run("run", "web.yaml", "--yes", env=environ)
    assert done.code == 1
    assert "certificate is not trusted" in done.err
    assert "REBOOT_RUNNER_CA_FILE" in done.err
    assert "Traceback" not in done.err
    assert secure.state.requests() == []
    assert secure.lab.runs() == []


def test_a_file_that_is_none(secure: Remote) -> None:
    """A file that is not there is named, with the variable."""
    done = secure.lab.run("diff", "web.yaml", env={"REBOOT_RUNNER_CA_FILE": "nowhere.pem"})
    assert done.code == 1
    assert (
        "the file of REBOOT_RUNNER_CA_FILE cannot be used: nowhere.pem: No such file"
        in done.err + done.out
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tls-key", "loopback.pem"), "--tls-key without --tls-cert"),
        (("--tls-cert", "authority.pem"), "cannot be used"),
        (("--tls-cert", "none.pem"), "cannot be used"),
    ],
)
def test_simulator_without_a_usable_certificate(
    lab: Lab, options: tuple[str, ...], said: str
) -> None:
    """The command says what is wrong with the files: exit 64."""
    lab.write("none.pem", "nothing")
    for name in ("authority.pem", "loopback.pem"):
        lab.write(name, (FOLDER / name).read_text())
    done = lab.run("simulator", *options)
    assert done.code == 64
    assert said in done.err
    assert "Traceback" not in done.err


def test_simulator_over_https(lab: Lab) -> None:
    """`simulator --tls-cert` prints an https address at which the tool finds it."""
    whole = (FOLDER / "loopback.pem").read_text()
    at = whole.index("-----BEGIN CERTIFICATE")
    lab.write("key.pem", whole[:at])
    lab.write("cert.pem", whole[at:])
    cloud = lab.start(
        "simulator", "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--servers", "20"
    )
    lines = cloud.out.wait_for("REBOOT_RUNNER_CA_FILE").splitlines()
    url = next(line.split()[-1] for line in lines if line.startswith("# simulated cloud"))
    assert url.startswith("https://127.0.0.1:")
    exports = dict(
        line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export ")
    )
    lab.configure(targets={"s": {"cloud": "simulator", "endpoints": {"ecs": url}}})
    lab.write("web.yaml", PLAN)
    done = lab.run(
        "diff", "web.yaml", env=exports | {"REBOOT_RUNNER_CA_FILE": str(FOLDER / "authority.pem")}
    )
    assert done.out.startswith("10 servers in 3 waves"), done.err
    cloud.send(signal.SIGTERM)
    assert cloud.wait().code == 0
