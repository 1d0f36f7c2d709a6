"""Real servers: who has to consent, and where the journal may live. The target is as real
as it can be here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.cli.lab import NO_METADATA, PLAN, Lab, Remote, target
from tests.cli.tls import HOST, TRUSTED, tls_front


@pytest.fixture
def real(cloud: Remote) -> Iterator[Remote]:
    """A target with https, at an address that is not loopback."""
    with tls_front(urlsplit(cloud.url).port or 0) as url:
        cloud.lab.env |= {"SSL_CERT_FILE": str(TRUSTED), "REBOOT_RUNNER_ALLOWED_HOSTS": HOST}
        cloud.lab.configure(targets={"prod": target(cloud.state, url, cloud="huaweicloud")})
        yield cloud
        for child in cloud.lab.children:
            child.dispose()


def test_nobody_is_there_to_confirm(real: Remote) -> None:
    """Off a terminal real servers need the reviewed digest or `--yes`: exit 64, nothing
    is begun.
    """
    done = real.lab.run("run", "web.yaml")
    assert done.code == 64, done.err
    assert "--schedule-digest" in done.err
    assert "--yes" in done.err
    assert real.posts == 0
    assert real.lab.runs() == []


def test_an_endpoint_on_loopback_is_as_real(cloud: Remote) -> None:
    """A tunnel to a real cloud ends on loopback: it needs consent and a store that lasts; a
    simulated one does not.
    """
    lab = cloud.lab
    lab.configure(targets={"prod": target(cloud.state, cloud.url, cloud="huaweicloud")})
    done = lab.run("run", "web.yaml", env=NO_METADATA)
    assert (done.code, "--schedule-digest" in done.err) == (64, True), done.err
    done = lab.run("run", "web.yaml", "--yes", env=NO_METADATA | {"CI": "true"})
    assert (done.code, "StoreNotPersistent" in done.err) == (3, True), done.err
    assert (cloud.posts, lab.runs()) == (0, [])
    lab.configure(targets={"lab": target(cloud.state, cloud.url)})
    assert lab.run("run", "web.yaml", env={"CI": "true"}).code == 0


def test_an_open_run_stays_with_the_cloud_that_it_was_begun_on(cloud: Remote) -> None:
    """A run begun on simulated servers is not continued on real ones, for which nobody has
    consented.
    """
    lab = cloud.lab
    lab.write("web.yaml", PLAN.replace("waves: [1, 50%]", "waves: [1, 50%]\n    pause: 1h"))
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    posts = cloud.posts
    lab.configure(targets={"lab": target(cloud.state, cloud.url, cloud="huaweicloud")})
    for words in (("run", "web.yaml"), ("resume", "web")):
        done = lab.run(*words, env=NO_METADATA)
        assert (done.code, "was begun for cloud simulator" in done.err) == (6, True), done.err
    assert cloud.posts == posts


def test_yes(real: Remote) -> None:
    """`--yes` is consent."""
    done = real.lab.run("run", "web.yaml", "--yes")
    assert done.code == 0, done.err
    assert set(real.reboots.values()) == {1}


def test_the_digest_is_consent(real: Remote) -> None:
    """Who names the reviewed schedule need not say more."""
    shown = json.loads(real.lab.run("diff", "web.yaml", "-o", "json").out)
    done = real.lab.run(
        "run", "web.yaml", "--schedule-digest", shown["plans"][0]["schedule"]["digest"]
    )
    assert done.code == 0, done.err


@pytest.mark.parametrize(("typed", "code"), [("wbe", 64), ("y", 64), ("web", 0), (" web ", 0)])
def test_the_name_is_asked_for(real: Remote, typed: str, code: int) -> None:
    """At a terminal the plan's name is asked for, after what will happen was said; anything
    else begins nothing.
    """
    child = real.lab.start("run", "web.yaml", terminal=True)
    said = child.err.wait_for("Plan's name:")
    assert "10 servers of prod will be rebooted in 3 waves." in said
    assert real.posts == 0
    child.type(f"{typed}\n")
    done = child.wait()
    assert done.code == code, done.err
    assert len(real.reboots) == (10 if code == 0 else 0)


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_the_question_can_be_left(real: Remote, key: str) -> None:
    """Ctrl-C and Ctrl-D at the question begin nothing."""
    child = real.lab.start("run", "web.yaml", terminal=True)
    child.err.wait_for("Plan's name:")
    child.type(key)
    again = threading.Timer(
        3, child.type, (key,)
    )  # a key between the prompt and the reading of it is not seen
    again.start()
    done = child.wait()
    again.cancel()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert real.posts == 0


def test_a_local_store_in_ci(real: Remote) -> None:
    """In CI the disk dies with the job: a real target refuses a local store (exit 3) unless
    it is said to stay.
    """
    ci = {"CI": "true"}
    refused = real.lab.run("run", "web.yaml", "--yes", env=ci)
    assert refused.code == 3
    assert "StoreNotPersistent" in refused.err
    assert "REBOOT_RUNNER_STORE" in refused.err
    assert real.posts == 0
    assert real.lab.run("diff", "web.yaml", env=ci).code == 0, "a dry-run needs no journal"
    allowed = real.lab.run("run", "web.yaml", "--yes", "--store-is-persistent", env=ci)
    assert allowed.code == 0, allowed.err


def test_resume_in_ci(real: Remote) -> None:
    """The same holds for `resume`."""
    real.lab.write("web.yaml", (real.lab.folder / "web.yaml").read_text() + "    pause: approval\n")
    assert real.lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    real.lab.run("approve", "web", "--reason", "x")
    assert real.lab.run("resume", "web", "--no-wait", env={"CI": "1"}).code == 3
    assert real.posts == 1
    assert (
        real.lab.run("resume", "web", "--no-wait", "--store-is-persistent", env={"CI": "1"}).code
        == 75
    )
    assert real.posts == 2


def test_unreachable(real: Remote) -> None:
    """Exit 1: a target that cannot be spoken to is named, with what may help, and no run is
    left behind.
    """
    done = real.lab.run("run", "web.yaml", "--yes", env={"SSL_CERT_FILE": ""})
    assert done.code == 1, done.err
    assert HOST in done.err
    assert "SSL_CERT_FILE" in done.err
    assert "Traceback" not in done.err
    assert real.lab.runs() == []


def test_hosts_of_a_repository(real: Remote) -> None:
    """A host that only the repository names is refused (exit 3): nothing signed is sent there."""
    done = real.lab.run("run", "web.yaml", "--yes", env={"REBOOT_RUNNER_ALLOWED_HOSTS": ""})
    assert done.code == 3
    assert "BadEndpoint" in done.err
    assert real.state.requests() == []


def test_simulated_servers_need_no_consent(lab: Lab) -> None:
    """The embedded simulated cloud may be tried without being asked, in CI too."""
    assert lab.run("run", "web.yaml", env={"CI": "1"}).code == 0
