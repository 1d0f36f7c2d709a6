"""Whole runs that log in by OpenID Connect, as a job of GitHub Actions does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from runner.app.mask import mask
from runner.net.secret import Secret
from runner.simulator.switches import OidcTrust
from tests.cli.lab import KEYS, PLAN, Lab, Remote
from tests.cli.test_secrets import kept
from tests.issuer import BEARER, NAMES, TRUST, Issuer, id_token, issuer

MASK = "::add-mask::"
STOP = "::stop-commands::"


def trust(cloud: Remote, changed: OidcTrust) -> None:
    cloud.state.credentials = KEYS.model_copy(update={"oidc": changed})


@pytest.fixture
def github(cloud: Remote) -> Iterator[Issuer]:
    """A job's environment without any key of its own; the cloud's STS trusts whom it names."""
    trust(cloud, TRUST)
    with issuer() as one:
        cloud.lab.env = {k: v for k, v in cloud.lab.env.items() if not k.startswith("HUAWEICLOUD_")}
        cloud.lab.env |= one.environ
        yield one


def calls(cloud: Remote, call: str) -> list[int]:
    """The statuses of all such calls."""
    return [c.status for c in cloud.state.requests() if c.call == call]


def as_a_runner(text: str) -> tuple[set[str], str]:
    """What GitHub's runner hides after this output, and what it shows: commands count until
    `stop-commands`.
    """
    masks: set[str] = set()
    shown: list[str] = []
    word: str | None = None
    for line in text.splitlines():
        if word is None and line.startswith(STOP):
            word = line.removeprefix(STOP)
        elif word is not None and line == f"::{word}::":
            word = None
        elif word is None and line.startswith(MASK):
            masks.add(line.removeprefix(MASK))
        else:
            shown.append(line)
    return masks, "\n".join(shown)


def test_keys_end_in_mid_wave(cloud: Remote, github: Issuer) -> None:
    """Keys that end while jobs are polled, and just before a reboot, are renewed; each
    server goes down once.
    """
    cloud.fault(do="expire_token", on="job", after=1)
    cloud.fault(do="expire_token", on="reboot", after=1)
    done = cloud.lab.run("-v", "run", "web.yaml")
    assert done.code == 0, done.err
    assert list(cloud.reboots.values()) == [1] * 10
    assert calls(cloud, "job").count(401) == 1
    assert sorted(calls(cloud, "reboot")) == [200, 200, 200, 401], (
        "the refused one is asked for anew, once"
    )
    assert calls(cloud, "token") == [200] * 3
    assert len(set(github.issued)) == 3, "each exchange has an ID token of its own"


def test_short_keys_are_told_nowhere(cloud: Remote, github: Issuer) -> None:
    """A run that is longer than its keys renews them; each secret is masked on stderr, and
    nothing else holds one.
    """
    lab, job = cloud.lab, {"GITHUB_ACTIONS": "true"}
    trust(cloud, TRUST.model_copy(update={"key_valid": timedelta(milliseconds=900)}))
    cloud.fault(do="error", on="job", status=500, body="html")
    shown = [
        lab.run("-vv", "diff", "web.yaml", "-o", "json", env=job),
        lab.run("-vv", "run", "web.yaml", env=job),
        lab.run("-vv", "--log-format", "json", "status", "web", env=job),
    ]
    assert [done.code for done in shown] == [0] * 3
    assert "http: " in shown[1].err, "the talk that could tell it is there"
    logs = [as_a_runner(done.err) for done in shown]
    secrets = logs[0][0] | logs[1][0]
    assert secrets >= set(github.issued)
    assert len(secrets) == 4 * len(github.issued), (
        "ID token, access key, secret key and security token of each"
    )
    assert len(calls(cloud, "token")) == len(github.issued) >= 3
    assert list(cloud.reboots.values()) == [1] * 10
    assert '"valid_until":"2' in lab.dump().replace(": ", ":"), (
        "a lost request is known to be over in time"
    )
    for done, (_, log) in zip(shown, logs, strict=True):
        assert not [
            secret for secret in (*secrets, BEARER, TRUST.secret) if secret in done.out + log
        ]
        assert MASK not in done.out
    for secret in (*secrets, BEARER):
        assert secret not in lab.dump()
        assert secret.encode() not in kept(lab)


def test_masks_among_stopped_commands(cloud: Remote, github: Issuer) -> None:
    """Where a job's step makes the runner deaf to commands, masks are heard all the same
    and never shown.
    """
    cloud.lab.write("web.yaml", PLAN + "    pause: approval\n")
    assert cloud.lab.run("run", "--no-wait", "web.yaml").code == 75
    assert cloud.lab.run("approve", "web", "--reason", "seen").code == 0
    job = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "schedule",
        "REBOOT_RUNNER_GITHUB_REPORTS": "reports",
    }
    done = cloud.lab.run("-v", "github", "reconcile", env=job)
    assert done.code in (0, 75), done.err
    assert STOP in done.err
    secrets, log = as_a_runner(done.err)
    assert github.issued[-1] in secrets
    assert not [secret for secret in (*secrets, BEARER) if secret in done.out + log]


def test_masks_are_for_github_only(cloud: Remote, github: Issuer) -> None:
    """Elsewhere nobody takes a mask for a command, so none is written: it would only show
    the secret.
    """
    done = cloud.lab.run("-vv", "diff", "web.yaml")
    assert done.code == 0, done.err
    assert "add-mask" not in done.out + done.err
    assert not [token for token in github.issued if token in done.out + done.err]


def test_no_mask_is_written_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask goes where a runner reads; where stderr is a file nobody does, and the secret
    stays out of it.
    """
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe, (tmp_path / "talk.txt").open("w") as file:
        for stream in (pipe, file):
            monkeypatch.setattr(sys, "stderr", stream)
            mask(Secret("planted%"))
    with os.fdopen(read) as runner:
        assert runner.read() == "::add-mask::planted%25\n"
    assert (tmp_path / "talk.txt").read_text() == ""


def test_untrusted_job(cloud: Remote, github: Issuer) -> None:
    """A job of another repository gets exit 77 and reads whom its token speaks for, at the
    start and in mid-run.
    """
    github.subject = "repo:example/other:pull_request"
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 77
    assert (
        "the ID token says sub repo:example/other:pull_request, aud sts.myhuaweicloud.com"
        in done.err
    )
    assert "hint: the agency's trust policy must allow this sub and aud" in done.err
    assert not cloud.posts
    assert not [
        part for token in github.issued for part in token.split(".") if part in done.out + done.err
    ]


def test_job_without_the_permission(cloud: Remote, github: Issuer) -> None:
    """A job that may not ask for ID tokens gets exit 77 and the line its workflow lacks."""
    done = cloud.lab.run("diff", "web.yaml", env={"ACTIONS_ID_TOKEN_REQUEST_URL": ""})
    assert done.code == 77
    assert "give the job `permissions: id-token: write`" in done.err


def test_the_simulator_takes_id_tokens(lab: Lab) -> None:
    """`simulator` with a secret of an issuer says whom to name, and takes that issuer's tokens."""
    secret = {"REBOOT_RUNNER_SIMULATOR_OIDC_SECRET": TRUST.secret}
    cloud = lab.start("simulator", "--servers", "20", env=secret)
    said = cloud.out.wait_for("Ctrl-C")
    assert TRUST.secret not in said
    url = said.split("servers at ")[1].split()[0]
    lab.configure(
        targets={"lab": {"cloud": "simulator", "auth": "oidc", "endpoints": {"ecs": url}}}
    )
    named = dict(
        word.split("=", 1) for word in said.split() if word.startswith("HUAWEICLOUD_OIDC_")
    )
    assert named == NAMES
    done = lab.run(
        "diff", "web.yaml", env=named | {"HUAWEICLOUD_OIDC_ID_TOKEN": id_token(sub="anybody")}
    )
    assert done.code == 0, done.err
    short = lab.run("simulator", env={"REBOOT_RUNNER_SIMULATOR_OIDC_SECRET": "short"})
    assert (short.code, "shorter than 16 characters" in short.err) == (64, True)


def test_the_simulator_without_sts(lab: Lab) -> None:
    """As Open Telekom Cloud it names IAM's exchange, which works there; the two URNs are
    refused with that name.
    """
    secret = {"REBOOT_RUNNER_SIMULATOR_OIDC_SECRET": TRUST.secret}
    cloud = lab.start(
        "simulator", "--cloud", "otc", "--region", "eu-de", "--servers", "20", env=secret
    )
    said = cloud.out.wait_for("Ctrl-C")
    assert "OIDC_PROVIDER_URN" not in said
    (written,) = (
        line.partition("simulated: ")[2] for line in said.splitlines() if "simulated: {" in line
    )
    lab.configure(targets={"lab": yaml.safe_load(written) | {"auth": "oidc"}})
    idp = said.partition("# or OIDC: HUAWEICLOUD_SDK_IDP_ID=")[2].partition(",")[0]
    lab.write("token.jwt", id_token(sub="anybody"))
    env = {
        "HUAWEICLOUD_SDK_IDP_ID": idp,
        "HUAWEICLOUD_SDK_ID_TOKEN_FILE": str(lab.folder / "token.jwt"),
    }
    done = lab.run("diff", "web.yaml", env=env)
    assert done.code == 0, done.err
    urns = lab.run("doctor", "-o", "json", env={**NAMES, "HUAWEICLOUD_OIDC_ID_TOKEN": id_token()})
    (login,) = (check for check in json.loads(urns.out)["checks"] if check["name"] == "login")
    assert (urns.code, login["status"]) == (77, "failed")
    assert "HUAWEICLOUD_SDK_IDP_ID instead of the two URNs" in login["hint"]
