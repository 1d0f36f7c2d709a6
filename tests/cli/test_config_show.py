"""`config show`: each value with its origin, and never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from tests.cli.lab import Lab
from tests.git.made import Made

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "config-show.schema.json").read_text())
FILE = """\
version: 1
targets:
  prod:
    cloud: huaweicloud
    region: eu-west-101
    rate: {servers_per_minute: 300}
    enterprise_project: all_granted_eps
    support:
      - name: bastion
        servers: {names: ["bastion-*"], tags: {"a: b": "no"}}
      - name: nat
        servers: {ids: [0191a3f4-0000-7000-8000-000000000001]}
        action: last
template_env: [CI_ENVIRONMENT]
"""
KEYS = {"HUAWEICLOUD_SDK_AK": "planted-ak", "HUAWEICLOUD_SDK_SK": "planted-sk"}


def settings(
    lab: Lab, *argv: str, env: dict[str, str] | None = None
) -> dict[tuple[str | int, ...], dict[str, Any]]:
    done = lab.run(*argv, "config", "show", "-o", "json", env=env)
    assert done.code == 0, done.err
    assert "planted" not in done.out
    document = json.loads(done.out)
    Draft7Validator(SCHEMA).validate(document)
    return {tuple(s["path"]): s for s in document["settings"]}


def origin(found: dict[str, Any]) -> tuple[str, str | None, int | None]:
    return found["origin"]["kind"], found["origin"]["name"], found["origin"]["line"]


def test_origins(lab: Lab) -> None:
    """Of the file with its line, a default, a rule, a variable, an option."""
    lab.write("reboot-runner.yaml", FILE)
    found = settings(lab, env=KEYS)
    prod = ("targets", "prod")
    assert origin(found[(*prod, "region")]) == ("file", "reboot-runner.yaml", 5)
    assert origin(found[(*prod, "rate", "servers_per_minute")]) == ("file", "reboot-runner.yaml", 6)
    assert origin(found[(*prod, "rate", "settle")]) == ("default", None, None)
    assert found[(*prod, "rate", "settle")]["value"] == "3m"
    assert origin(found[(*prod, "support", 1, "action")]) == ("file", "reboot-runner.yaml", 13)
    assert origin(found[(*prod, "enterprise_project")]) == ("file", "reboot-runner.yaml", 7)
    assert found[(*prod, "enterprise_project")]["value"] == "all_granted_eps"
    assert origin(found[(*prod, "endpoints", "iam")]) == ("rule", "huaweicloud", None)
    assert found[(*prod, "endpoints", "iam")]["value"] == "https://iam.eu-west-101.myhuaweicloud.eu"
    assert found[(*prod, "credentials")]["value"] == "aksk"
    assert origin(found[("store",)]) == ("default", None, None)
    assert origin(found[(*prod, "project_id")])[0] == "looked-up"
    named = settings(
        lab,
        env=KEYS
        | {"HUAWEICLOUD_SDK_PROJECT_ID": "f" * 32, "REBOOT_RUNNER_STORE": "sqlite:///x.db"},
    )
    assert (named[(*prod, "project_id")]["value"], named[("store",)]["value"]) == (
        "f" * 32,
        "sqlite:///x.db",
    )
    assert origin(named[("store",)]) == ("environment", "REBOOT_RUNNER_STORE", None)
    store = settings(lab, "--store", "postgresql://me:planted@db.example/runs")[("store",)]
    assert store == {
        "path": ["store"],
        "value": "postgresql://db.example/runs",
        "origin": {"kind": "flag", "name": "--store", "line": None},
    }
    more = settings(lab, env={"REBOOT_RUNNER_ALLOWED_HOSTS": "ecs.example.com"})[
        (*prod, "allowed_hosts")
    ]
    assert more["value"] == [
        "*.myhuaweicloud.com",
        "*.myhuaweicloud.eu",
        "*.myhwclouds.com",
        "ecs.example.com",
    ]
    assert origin(more) == ("environment", "REBOOT_RUNNER_ALLOWED_HOSTS", None)


def test_hosts_that_nothing_matches(lab: Lab) -> None:
    """What no host can match is not shown as allowed, but warned of, here and by `doctor`."""
    lab.write("reboot-runner.yaml", FILE)
    vain = [
        "http://x",
        "*.evil",
        "*",
        "evil.com:80",
        ".",
        "..b",
        "[::2]",
        "a/b",
        "https://u:planted@h",
    ]
    env = KEYS | {
        "REBOOT_RUNNER_ALLOWED_HOSTS": ", ".join(
            [*vain, "ECS.example.com.", ".b.example", "10.0.0.1"]
        )
    }
    allowed = settings(lab, env=env)["targets", "prod", "allowed_hosts"]["value"]
    assert allowed[-4:] == ["*.myhwclouds.com", "ecs.example.com", ".b.example", "10.0.0.1"]
    done = lab.run("config", "show", env=env)
    said = (
        "entries of REBOOT_RUNNER_ALLOWED_HOSTS match no host: http://x, *.evil, *, "
        "evil.com:80, . and 4 more"
    )
    assert f"warning: {said}; write a host" in done.err
    assert "planted" not in done.err
    lab.write("reboot-runner.yaml", "version: 1\n")
    told = json.loads(lab.run("doctor", "-o", "json", env=env).out)["checks"]
    (check,) = (check for check in told if check["name"] == "allowed hosts")
    assert (check["status"], check["message"]) == ("warning", said)
    assert "leading dot" in check["hint"]
    hidden = lab.run("config", "show", env={"REBOOT_RUNNER_ALLOWED_HOSTS": "https://u:planted@h"})
    assert "match no host: one with @" in hidden.err


def test_proxies(lab: Lab) -> None:
    """One row for all services, or one for each where NO_PROXY takes some of them out."""
    lab.write("reboot-runner.yaml", FILE)
    env = KEYS | {"HTTPS_PROXY": "http://me:planted@proxy.example:3128"}
    proxy = ("targets", "prod", "proxy")
    found = settings(lab, env=env)
    assert found[proxy]["value"] == "proxy.example:3128"
    assert origin(found[proxy]) == ("environment", "HTTPS_PROXY", None)
    found = settings(lab, env=env | {"NO_PROXY": "iam.eu-west-101.myhuaweicloud.eu"})
    assert proxy not in found
    assert (found[(*proxy, "ecs")]["value"], found[(*proxy, "iam")]["value"]) == (
        "proxy.example:3128",
        None,
    )
    assert origin(found[(*proxy, "iam")]) == ("rule", "NO_PROXY, or on this machine", None)
    assert settings(lab, env=KEYS)[proxy]["value"] is None


def test_yaml(lab: Lab) -> None:
    """The text is YAML that reads as the values, whatever is in them."""
    lab.write("reboot-runner.yaml", FILE)
    done = lab.run("config", "show", env=KEYS)
    assert done.code == 0, done.err
    assert done.out.startswith("# reboot-runner.yaml, found from here up to the Git root\n")
    assert "planted" not in done.out
    data = yaml.safe_load(done.out)
    prod = data["targets"]["prod"]
    assert prod["support"][0]["servers"]["tags"] == {"a: b": ["no"]}
    assert prod["support"][1]["name"] == "nat"
    assert prod["rate"] == {
        "servers_per_minute": 300,
        "servers_per_request": 1000,
        "poll_every": "5s",
        "settle": "3m",
    }
    assert data["template_env"] == ["CI_ENVIRONMENT"]
    line = next(line for line in done.out.splitlines() if "servers_per_minute" in line)
    assert line.split("#")[1].strip() == "reboot-runner.yaml:6"


def test_which_file(lab: Lab) -> None:
    """How the file was found: upwards, by the option, by the variable, or not at all."""
    for argv, env, said in (
        ((), {}, "search"),
        (("--config", "other.yaml"), {}, "--config"),
        ((), {"REBOOT_RUNNER_CONFIG": "other.yaml"}, "REBOOT_RUNNER_CONFIG"),
    ):
        lab.write("other.yaml", FILE)
        done = lab.run(*argv, "config", "show", "-o", "json", env=env)
        document = json.loads(done.out)
        assert document["found_by"] == said
        assert document["file"] == ("reboot-runner.yaml" if said == "search" else "other.yaml")
    (lab.folder / "reboot-runner.yaml").unlink()
    done = lab.run("config", "show")
    assert "the defaults hold" in done.out.splitlines()[0]
    assert yaml.safe_load(done.out)["targets"]["simulator"]["cloud"] == "simulator"


def test_revision(lab: Lab) -> None:
    """With a revision it is that revision's file, and says so."""
    (lab.folder / ".git").rmdir()
    made = Made(lab.folder)
    made.git("init", "--quiet", "--initial-branch=main")
    lab.write("reboot-runner.yaml", FILE)
    made.commit()
    lab.write("reboot-runner.yaml", FILE.replace("300", "900"))
    old, new = lab.run("config", "show", "--config-rev", "HEAD"), lab.run("config", "show")
    assert "as it is in revision HEAD" in old.out.splitlines()[0]
    assert (yaml.safe_load(old.out)["targets"]["prod"]["rate"]["servers_per_minute"]) == 300
    assert (yaml.safe_load(new.out)["targets"]["prod"]["rate"]["servers_per_minute"]) == 900
