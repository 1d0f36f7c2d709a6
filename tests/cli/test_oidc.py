"""Whole runs that log in by OpenID Connect, as a job of GitHub Actions does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runner.cli.masking import mask
from runner.cloud.secret import Secret
from runner.simulator.switches import OidcTrust
from tests.cli.forked import Done
from tests.cli.lab import KEYS, Lab, Remote
from tests.cli.test_secrets import kept
from tests.issuer import BEARER, NAMES, TRUST, Issuer, id_token, issuer

MASK = "::add-mask::"


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


def masked(done: Done) -> set[str]:
    """What a job's log hides from now on."""
    return {line.removeprefix(MASK) for line in done.err.splitlines() if line.startswith(MASK)}


def test_keys_end_in_mid_wave(cloud: Remote, github: Issuer) -> None:
    """Keys that end while jobs are polled, and just before a reboot, are renewed; each server goes down once."""
    cloud.fault(do="expire_token", on="job", after=1)
    cloud.fault(do="expire_token", on="reboot", after=1)
    done = cloud.lab.run("-v", "run", "web.yaml")
    assert done.code == 0, done.err
    assert list(cloud.reboots.values()) == [1] * 10
    assert calls(cloud, "job").count(401) == 1
    assert sorted(calls(cloud, "reboot")) == [200, 200, 200, 401], "the refused one is asked for anew, once"
    assert calls(cloud, "token") == [200] * 3
    assert len(set(github.issued)) == 3, "each exchange has an ID token of its own"


def test_short_keys_serve_a_long_run(cloud: Remote, github: Issuer) -> None:
    """A run that is longer than its keys live renews them before they end, again and again."""
    trust(cloud, TRUST.model_copy(update={"key_valid": timedelta(milliseconds=300)}))
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 0, done.err
    assert list(cloud.reboots.values()) == [1] * 10
    assert len(calls(cloud, "token")) == len(github.issued) >= 2
    assert '"signed":"aksk"' in cloud.lab.dump().replace(": ", ":"), "a lost request is known to be over in time"


def test_nothing_tells_a_temporary_secret(cloud: Remote, github: Issuer) -> None:
    """In a job every temporary secret is masked on stderr; nothing else, the journal included, ever holds one."""
    lab, job = cloud.lab, {"GITHUB_ACTIONS": "true"}
    cloud.fault(do="error", on="job", status=500, body="html")
    shown = [
        lab.run("-vv", "diff", "web.yaml", "-o", "json", env=job),
        lab.run("-vv", "run", "web.yaml", env=job),
        lab.run("-vv", "--log-format", "json", "status", "web", env=job),
    ]
    assert [done.code for done in shown] == [0] * 3
    assert "http: " in shown[1].err, "the talk that could tell it is there"
    secrets = masked(shown[0]) | masked(shown[1])
    assert secrets >= set(github.issued)
    assert len(secrets) == 8, "ID token, access key, secret key and security token of two logins"
    for done in shown:
        talk = "\n".join(line for line in done.err.splitlines() if not line.startswith(MASK))
        assert not [secret for secret in (*secrets, BEARER, TRUST.secret) if secret in done.out + talk]
        assert MASK not in done.out
    for secret in (*secrets, BEARER):
        assert secret not in lab.dump()
        assert secret.encode() not in kept(lab)


def test_masks_are_for_github_only(cloud: Remote, github: Issuer) -> None:
    """Elsewhere nobody takes a mask for a command, so none is written: it would only show the secret."""
    done = cloud.lab.run("-vv", "diff", "web.yaml")
    assert done.code == 0, done.err
    assert "add-mask" not in done.out + done.err
    assert not [token for token in github.issued if token in done.out + done.err]


def test_no_mask_is_written_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask goes where a runner reads; where stderr is a file nobody does, and the secret stays out of it."""
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
    """A job of another repository gets exit 77 and reads whom its token speaks for, at the start and in mid-run."""
    github.subject = "repo:example/other:pull_request"
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 77
    assert "the ID token says sub repo:example/other:pull_request, aud sts.myhuaweicloud.com" in done.err
    assert "hint: the agency's trust policy must allow this sub and aud" in done.err
    assert not cloud.posts
    assert not [part for token in github.issued for part in token.split(".") if part in done.out + done.err]


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
    lab.configure(targets={"lab": {"cloud": "simulator", "auth": "oidc", "endpoints": {"ecs": url}}})
    named = dict(word.split("=", 1) for word in said.split() if word.startswith("HUAWEICLOUD_OIDC_"))
    assert named == NAMES
    done = lab.run("diff", "web.yaml", env=named | {"HUAWEICLOUD_OIDC_ID_TOKEN": id_token(sub="anybody")})
    assert done.code == 0, done.err
    short = lab.run("simulator", env={"REBOOT_RUNNER_SIMULATOR_OIDC_SECRET": "short"})
    assert (short.code, "shorter than 16 characters" in short.err) == (64, True)
