"""Credentials are used, and never shown or kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.lab import KEYS, Lab, Remote

ROOT = Path(__file__).resolve().parents[2]
PLANTED = {
    "HW_SECRET_KEY": "planted-terraform-secret",
    "OS_PASSWORD": "planted-openstack-password",
    "OS_TOKEN": "planted-openstack-token",
    "AWS_SECRET_ACCESS_KEY": "planted-other-secret",
}
SECRETS = {KEYS.sk, *PLANTED.values()}


def kept(lab: Lab) -> bytes:
    """All that is on the disk: the store with its side files, spools, crash logs."""
    places = (lab.folder, Path(lab.env["HOME"]))
    return b"\n".join(
        path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()
    )


def test_nothing_tells_a_secret(cloud: Remote) -> None:
    """Not stdout, not stderr at its most talkative, not the journal, not a report, not a
    file beside it.
    """
    lab = cloud.lab
    cloud.fault(do="error", on="job", status=500, body="html")
    shown = [
        lab.run("-vv", "diff", "web.yaml", env=PLANTED),
        lab.run("-vv", "run", "web.yaml", env=PLANTED),
        lab.run("-vv", "--log-format", "json", "run", "web.yaml", env=PLANTED),
        lab.run("-vv", "status", "web", "-o", "json", env=PLANTED),
        lab.run("report", "web", "-o", "json", env=PLANTED),
        lab.run("report", "web", "-o", "html", env=PLANTED),
    ]
    assert [done.code for done in shown] == [0] * 6
    assert "http: " in shown[1].err, "the talk that could tell it is there"
    for done in shown:
        for secret in SECRETS:
            assert secret not in done.out + done.err
    for secret in SECRETS:
        assert secret not in lab.dump()
        assert secret.encode() not in kept(lab)


def test_refused_credentials_are_not_told(cloud: Remote) -> None:
    """The gateway echoes what was signed when it refuses: of that no secret is passed on."""
    wrong = {
        "HUAWEICLOUD_SDK_SK": "planted-wrong-secret",
        "HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted-security-token",
    }
    for argv in (["-vv", "run", "web.yaml"], ["-vv", "--log-format", "json", "diff", "web.yaml"]):
        done = cloud.lab.run(*argv, env=wrong)
        assert done.code == 77
        assert "planted-" not in done.out + done.err
    assert b"planted-" not in kept(cloud.lab)


def test_a_password_is_not_told(cloud: Remote) -> None:
    """The same for a user and a password, and for the token they get."""
    login = {
        "HUAWEICLOUD_SDK_AK": "",
        "HUAWEICLOUD_SDK_SK": "",
        "OS_USERNAME": KEYS.user,
        "OS_USER_DOMAIN_NAME": KEYS.domain,
        "OS_PASSWORD": KEYS.password,
        "OS_PROJECT_NAME": cloud.state.fleet.options.region,
    }
    done = cloud.lab.run("-vv", "run", "web.yaml", env=login)
    assert done.code == 0, done.err
    wrong = cloud.lab.run(
        "-vv", "diff", "web.yaml", env=login | {"OS_PASSWORD": "planted-password"}
    )
    assert wrong.code == 77
    for text in (
        done.out,
        done.err,
        wrong.out,
        wrong.err,
        kept(cloud.lab).decode(errors="replace"),
    ):
        assert KEYS.password not in text
        assert "planted-" not in text
        assert "X-Subject-Token" not in text


CRASH = """
import sys, types, click
from runner.cli import main

@click.command()
def command():
    password = "planted-local-secret"
    raise LookupError("no such thing\\x1b[31m\\n::error::")

module = types.ModuleType("crashing")
module.command = command
sys.modules["runner.cli.crashing"] = module
main.COMMANDS["crashing"] = ""
main.main(["crashing"])
"""


def test_a_crash_is_kept_without_secrets(tmp_path: Path) -> None:
    """A defect of ours is one line and exit 1; the traceback is in a file for nobody else,
    without local variables.
    """
    environment = (
        {k: v for k, v in os.environ.items() if not k.startswith("COV")}
        | PLANTED
        | {"TMPDIR": str(tmp_path)}
    )
    command = [sys.executable, "-c", CRASH]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("unexpected error: LookupError: no such thing")
    assert "\x1b" not in done.stderr
    assert not any(line.startswith("::") for line in done.stderr.splitlines())
    (log,) = tmp_path.glob("reboot-runner-crash-*.log")
    assert str(log) in done.stderr
    assert log.stat().st_mode & 0o077 == 0
    text = log.read_text()
    assert "LookupError" in text
    assert "planted-terraform" not in text
    assert not [secret for secret in SECRETS if secret in text]
