"""`doctor`: what it says of good and of bad set-ups, and that it never asks for a reboot."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from jsonschema import Draft7Validator

from tests.cli.doctor_page import page
from tests.cli.forked import Done
from tests.cli.lab import KEYS, PLAN, Lab, Remote, remote, target
from tests.cli.test_oidc import trust
from tests.cli.tls import HOST, TRUSTED, tls_front
from tests.issuer import TRUST, issuer

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "doctor.schema.json").read_text())
SHORT = ("--timeout", "400ms")

Checks = dict[str, dict[str, Any]]


def doctor(lab: Lab, *argv: str, env: dict[str, str] | None = None) -> tuple[Done, Checks]:
    """Run it as JSON; the checks by name, permissions by their action too."""
    done = lab.run("doctor", "-o", "json", *argv, env=env)
    document = json.loads(done.out)
    Draft7Validator(SCHEMA).validate(document)
    assert sum(document["counts"].values()) == len(document["checks"])
    return done, {keyed(check): check for check in document["checks"]}


def keyed(check: dict[str, Any]) -> str:
    """`login`, `store open`; a permission goes by what it is for."""
    if check["name"] == "permission":
        return str(check["message"]).partition(":")[0].partition(" (")[0]
    return f"store {check['name']}" if check["about"] == "store" else str(check["name"])


def statuses(checks: Checks) -> dict[str, str]:
    return {name: check["status"] for name, check in checks.items()}


def bad(checks: Checks) -> set[str]:
    return {name for name, check in checks.items() if check["status"] in ("failed", "warning")}


@pytest.fixture
def cloud(lab: Lab) -> Iterator[Remote]:
    """Whatever a test does with `doctor`, this cloud is asked to reboot nothing, and to
    change nothing.
    """
    with remote(lab) as one:
        yield one
        asked = {(c.method, c.call) for c in one.state.requests()}
        assert "reboot" not in {call for _, call in asked}
        assert {method for method, call in asked if call != "token"} <= {"GET"}


def test_good(cloud: Remote) -> None:
    """A set-up that works: everything is tried by reads, each permission with its name; exit 0."""
    done, checks = doctor(cloud.lab)
    assert done.code == 0, done.out + done.err
    assert not bad(checks)
    assert checks["credentials"]["message"].startswith("aksk is taken: HUAWEICLOUD_SDK_AK")
    assert any(detail.startswith("oidc: ") for detail in checks["credentials"]["details"])
    assert checks["list the servers"]["action"] == "ecs:cloudServers:list"
    assert checks["reboot servers"]["status"] == "skipped"
    assert "cannot be checked without rebooting" in checks["reboot servers"]["message"]
    assert checks["servers"]["message"].startswith("20 servers and ")
    assert checks["project"]["message"].endswith(
        f"is the project of region {cloud.state.fleet.options.region}"
    )
    assert [step.partition(":")[0] for step in checks["reach ecs"]["details"]] == [
        "DNS",
        "TCP",
        "HTTP",
    ]
    tried = {c.call for c in cloud.state.requests()}
    assert tried == {
        "unknown",
        "list",
        "groups",
        "show",
        "job",
        "actions",
        "projects",
        "scaling",
        "events",
    }


def test_text(cloud: Remote) -> None:
    """For people: sections, a word for each check, no colour where nobody sees it, a sum at
    the end.
    """
    done = cloud.lab.run("doctor")
    assert done.code == 0
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    assert "target lab (simulator, eu-west-101)" in lines
    assert any(line.startswith("  ok       login: ") for line in lines)
    assert re.fullmatch(r"ready to run plans: \d+ ok, \d+ skipped", lines[-1])
    assert "\x1b[32mok" in cloud.lab.run("--color", "always", "doctor").out


def test_without_anything(lab: Lab) -> None:
    """In an empty repository: the defaults, the embedded cloud, a store that is not made by
    looking.
    """
    (lab.folder / "reboot-runner.yaml").unlink()
    done, checks = doctor(lab)
    assert done.code == 0, done.out
    assert "the defaults hold" in checks["file"]["message"]
    assert "there is no file yet" in checks["store open"]["message"]
    assert not (lab.folder / ".reboot-runner" / "runs.db").exists()


def test_wrong_secret(cloud: Remote) -> None:
    """A wrong secret key: 77, the login says so, nothing else is tried, and no secret is told."""
    done, checks = doctor(cloud.lab, env={"HUAWEICLOUD_SDK_SK": "planted-wrong-secret"})
    assert done.code == 77
    assert bad(checks) == {"login"}
    assert "does not accept our credentials" in checks["login"]["message"]
    assert checks["read single servers again"]["status"] == "skipped"
    text = cloud.lab.run("-vv", "doctor", env={"HUAWEICLOUD_SDK_SK": "planted-wrong-secret"})
    assert "planted-" not in done.out + done.err + text.out + text.err


def test_no_credentials(cloud: Remote) -> None:
    """No credentials, or half of some: 77, each kind with what it lacks."""
    none = {"HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": ""}
    done, checks = doctor(cloud.lab, env=none)
    assert (done.code, bad(checks)) == (
        77,
        {"login"},
    )  # the metadata service is the last that is asked
    assert (
        checks["login"]["message"]
        == "no credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    )
    assert len(checks["credentials"]["details"]) >= 4
    half, checks = doctor(cloud.lab, env={"HUAWEICLOUD_SDK_SK": ""})
    assert half.code == 77
    assert "HUAWEICLOUD_SDK_SK is not" in checks["credentials"]["message"]


@pytest.mark.parametrize(
    ("minutes", "code", "status"), [(16, 77, "failed"), (-16, 77, "failed"), (5, 0, "warning")]
)
def test_clock(lab: Lab, minutes: int, code: int, status: str) -> None:
    """A clock that is off is told by the server's own date, and by both times of the
    refused signature.
    """
    with remote(lab, wall=lambda: datetime.now(UTC) + timedelta(minutes=minutes)) as cloud:
        done, checks = doctor(lab)
        assert done.code == code, done.out
        assert checks["clock"]["status"] == status
        assert (
            f"{abs(minutes)} minutes {'behind' if minutes > 0 else 'ahead of'} the cloud's"
            in checks["clock"]["message"]
        )
        if code:
            assert len(re.findall(r"\d{8}T\d{6}Z", checks["login"]["message"])) == 2
            assert "NTP" in checks["clock"]["hint"]
        assert not cloud.posts


@pytest.mark.parametrize(
    ("on", "need", "status", "code"),
    [
        ("list", "list the servers", "failed", 77),
        ("groups", "list the server groups", "failed", 77),
        ("show", "read single servers again", "failed", 77),
        ("job", "follow the job of a reboot", "failed", 77),
        ("actions", "read the history of a server", "warning", 0),
    ],
)
def test_missing_permission(cloud: Remote, on: str, need: str, status: str, code: int) -> None:
    """Each permission that is missing is named, with what becomes of runs; the login itself
    is fine.
    """
    cloud.fault(
        do="error",
        on=on,
        status=403,
        code="Pdp.0001",
        message="denied\x1b[31m by policy",
        times="all",
    )
    done, checks = doctor(cloud.lab)
    assert done.code == code, done.out
    assert checks["login"]["status"] == "ok"
    assert bad(checks) == {need}
    assert checks[need]["status"] == status
    assert "; without it " in checks[need]["message"]
    if checks[need]["action"]:
        assert checks[need]["action"] in checks[need]["hint"]
    assert "\x1b" not in cloud.lab.run("doctor").out


def test_unknown_route_is_no_permission(cloud: Remote) -> None:
    """A gateway that does not know the path of job queries has not allowed them: the
    endpoint is named as the cause.
    """
    gone = {
        "error_code": "APIGW.0101",
        "error_msg": "The API does not exist or has not been published.",
    }
    cloud.fault(do="error", on="job", status=404, body="raw", message=json.dumps(gone), times="all")
    done, checks = doctor(cloud.lab)
    assert (done.code, bad(checks)) == (1, {"follow the job of a reboot"})
    assert "APIGW.0101" in checks["follow the job of a reboot"]["message"]
    assert "check region and endpoints" in checks["follow the job of a reboot"]["hint"]


def test_enterprise_project(cloud: Remote) -> None:
    """The enterprise project that lists ask for is told."""
    cloud.lab.configure(
        targets={"lab": target(cloud.state, cloud.url, enterprise_project="all_granted_eps")}
    )
    checks = doctor(cloud.lab)[1]
    assert (
        checks["enterprise project"]["message"]
        == "lists ask for every one that the credentials can use"
    )


def without_project(cloud: Remote) -> dict[str, Any]:
    return {
        key: value for key, value in target(cloud.state, cloud.url).items() if key != "project_id"
    }


def test_lookup_is_not_allowed(cloud: Remote) -> None:
    """Where the project's id is looked up and may not be: 77, the action, and what can be
    set instead.
    """
    cloud.lab.configure(targets={"lab": without_project(cloud)})
    assert doctor(cloud.lab)[1]["project"]["message"].endswith(
        "looked up by the name of the region"
    )
    cloud.fault(do="error", on="projects", status=403, code="Pdp.0001", times="all")
    done, checks = doctor(cloud.lab)
    assert done.code == 77
    assert checks["look up the project's id"]["action"] == "iam:projects:listProjects"
    assert "project_id must be configured" in checks["look up the project's id"]["message"]


def test_wrong_project(cloud: Remote) -> None:
    """A project id of another region fails the login; the right one is named."""
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url, project_id="0" * 32)})
    done, checks = doctor(cloud.lab)
    assert done.code in (1, 77)
    assert {"login", "project"} <= bad(checks)
    assert f"set project_id: {cloud.state.fleet.project_id}" in checks["project"]["hint"]


def test_no_project(cloud: Remote) -> None:
    """A region that IAM knows no project of is told as that."""
    cloud.lab.configure(targets={"lab": without_project(cloud) | {"region": "eu-west-0"}})
    done, checks = doctor(cloud.lab)
    assert done.code == 1
    assert "IAM knows no project of region eu-west-0" in checks["project"]["message"]


def test_refused_and_hanging(cloud: Remote) -> None:
    """Dead endpoints end at the step that fails, in bounded time, at the same time;
    credentials go nowhere.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        urls = {
            name: f"http://127.0.0.1:{one.getsockname()[1]}"
            for name, one in (("a", silent), ("b", closed))
        }
        cloud.lab.configure(targets={name: target(cloud.state, url) for name, url in urls.items()})
        done = cloud.lab.run("doctor", *SHORT, "-o", "json")
        checks = [c for c in json.loads(done.out)["checks"] if c["name"] == "reach ecs"]
        assert done.code == 1
        assert checks[0]["message"].startswith("HTTP: ")
        assert "within 0.4 s" in checks[0]["message"] or "no answer in time" in checks[0]["message"]
        assert checks[1]["message"].startswith("TCP: cannot connect to 127.0.0.1:")
        assert checks[1]["message"].endswith("Connection refused")
        logins = [c for c in json.loads(done.out)["checks"] if c["name"] == "login"]
        assert {c["message"] for c in logins} == {"not tried: an endpoint cannot be reached"}


def real(url: str, **more: Any) -> dict[str, Any]:
    services = dict.fromkeys(("ecs", "iam", "autoscaling"), url)
    return {"cloud": "huaweicloud", "region": "eu-west-101", "endpoints": services} | more


def test_unresolvable(cloud: Remote) -> None:
    """A name that nobody knows fails at DNS (`.invalid` never exists, RFC 2606)."""
    cloud.lab.configure(targets={"lab": real("https://ecs.cloud.invalid")})
    done, checks = doctor(
        cloud.lab, *SHORT, env={"REBOOT_RUNNER_ALLOWED_HOSTS": "ecs.cloud.invalid"}
    )
    assert done.code == 1
    assert checks["reach ecs"]["message"].startswith("DNS: ")
    assert "ecs.cloud.invalid" in checks["reach ecs"]["message"]


def test_certificate(cloud: Remote) -> None:
    """A certificate of an unknown authority fails at TLS and says how to trust it; trusted,
    all is well.
    """
    env = {"REBOOT_RUNNER_ALLOWED_HOSTS": HOST, "REBOOT_RUNNER_ITSELF": "none"}
    with tls_front(int(cloud.url.rsplit(":", 1)[1])) as url:
        cloud.lab.configure(targets={"lab": real(url)})
        done, checks = doctor(cloud.lab, env=env)
        assert done.code == 1
        assert checks["reach ecs"]["message"].startswith(
            "TLS: the certificate of 0.0.0.0 is not trusted: "
        )
        assert (
            "REBOOT_RUNNER_CA_FILE (it is trusted besides the system's)"
            in checks["reach ecs"]["hint"]
        )
        done, checks = doctor(cloud.lab, env=env | {"SSL_CERT_FILE": str(TRUSTED)})
        assert done.code == 0, done.out
        assert any(step.startswith("TLS: TLSv1.") for step in checks["reach ecs"]["details"])
        in_ci, checks = doctor(cloud.lab, env=env | {"SSL_CERT_FILE": str(TRUSTED), "CI": "true"})
        assert (in_ci.code, bad(checks)) == (0, {"store persistent"})
        itself = {"SSL_CERT_FILE": str(TRUSTED), "REBOOT_RUNNER_ITSELF": cloud.id_of("web-003")}
        assert "web-003" in doctor(cloud.lab, env=env | itself)[1]["this machine"]["message"]


def test_authorities_that_cannot_be_read(cloud: Remote) -> None:
    """A file of authorities that is not there fails https targets at TLS, and nothing else:
    the rest is told.
    """
    env = {"REBOOT_RUNNER_ALLOWED_HOSTS": HOST, "REBOOT_RUNNER_CA_FILE": "/nonexistent"}
    done, checks = doctor(cloud.lab, env=env)
    assert (done.code, bad(checks)) == (0, {"authorities"})
    assert "REBOOT_RUNNER_CA_FILE cannot be used: /nonexistent" in checks["authorities"]["message"]
    with tls_front(int(cloud.url.rsplit(":", 1)[1])) as url:
        targets = {"lab": real(url), "plain": target(cloud.state, cloud.url)}
        cloud.lab.configure(targets=targets)
        done = cloud.lab.run("doctor", "-o", "json", env=env)
    assert done.code == 1
    told = {(c["target"], c["name"]): c for c in json.loads(done.out)["checks"]}
    assert told["lab", "reach ecs"]["message"].startswith(
        "TLS: the file of REBOOT_RUNNER_CA_FILE cannot be used"
    )
    assert told["plain", "login"]["status"] == told[None, "open"]["status"] == "ok"


def test_proxy(cloud: Remote) -> None:
    """A proxy is named without its user; when nobody listens there, that is the step that fails."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        env = {
            "REBOOT_RUNNER_ALLOWED_HOSTS": "ecs.cloud.invalid",
            "HTTPS_PROXY": f"http://me:planted-pw@{place}",
        }
        cloud.lab.configure(targets={"lab": real("https://ecs.cloud.invalid")})
        done, checks = doctor(cloud.lab, *SHORT, env=env)
        shown = cloud.lab.run("config", "show", env=env)
    assert done.code == 1
    assert checks["reach ecs"]["message"].startswith(f"TCP: the proxy {place} (HTTPS_PROXY) cannot")
    assert f"by the proxy {place}" in checks["reach ecs"]["details"][0]
    assert re.search(rf'proxy: "{place}" +# environment variable HTTPS_PROXY', shown.out)
    assert "planted" not in done.out + done.err + shown.out


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:planted/pw@proxy.invalid:1",
        "http://me:planted@[::1",
        "http://x:planted",
        "http://me:p@planted/w@h:1",
    ],
)
def test_proxy_that_is_none(cloud: Remote, proxy: str) -> None:
    """An address of a proxy that cannot be read is a failed step, and no part of a password
    is shown.
    """
    env = {"REBOOT_RUNNER_ALLOWED_HOSTS": "ecs.cloud.invalid", "HTTPS_PROXY": proxy}
    cloud.lab.configure(targets={"lab": real("https://ecs.cloud.invalid")})
    done, checks = doctor(cloud.lab, *SHORT, env=env)
    assert done.code == 1, done.err
    assert checks["reach ecs"]["message"].startswith("proxy: ")
    text = cloud.lab.run("doctor", *SHORT, env=env)
    shown = cloud.lab.run("config", "show", env=env)
    assert "planted" not in done.out + done.err + text.out + text.err + shown.out


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"targets": {"lab": real("http://ecs.eu-west-101.myhuaweicloud.com")}}, "BadEndpoint"),
        ({"targets": {"lab": real("https://evil.example")}}, "BadEndpoint"),
        ({"targets": {"lab": {"cloud": "huawei"}}, "store": "mysql://x"}, "BadStore"),
    ],
)
def test_invalid_configuration(lab: Lab, settings: dict[str, Any], code: str) -> None:
    """Exit 3: all problems first, with their places; nothing is asked."""
    lab.configure(**settings)
    done = lab.run("doctor")
    assert done.code == 3
    assert done.out.startswith("reboot-runner.yaml:1:")
    assert f"error[{code}]" in done.out
    assert "target lab" not in done.out
    as_json, checks = doctor(lab)
    assert (as_json.code, checks["file"]["status"]) == (3, "failed")
    assert code in [p["code"] for p in json.loads(as_json.out)["problems"]]
    assert lab.run("config", "show").code == 3
    assert lab.run("doctor", "--policy").code == 3


def test_not_yaml_and_bad_policy(lab: Lab) -> None:
    """The same for a file that is no YAML, and for a policy that cannot be used."""
    lab.write("reboot-runner.yaml", "targets: [\n")
    assert lab.run("doctor").code == 3
    lab.configure(policy="policy.yaml")
    lab.write("policy.yaml", "version: 1\nmax_wav: 3\n")
    done = lab.run("doctor")
    assert done.code == 3
    assert "policy.yaml:2:" in done.out


def test_unknown_target(cloud: Remote) -> None:
    """A target that is not there is exit 3 and lists those that are."""
    done = cloud.lab.run("doctor", "--target", "prod")
    assert done.code == 3
    assert "targets: lab" in done.err


def token_of(cloud: Remote) -> str:
    """A token that IAM gives out, good until the cloud ends it."""
    user = {"name": KEYS.user, "password": KEYS.password, "domain": {"name": KEYS.domain}}
    scope = {"project": {"name": cloud.state.fleet.options.region}}
    asked = {
        "auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    }
    with urlopen(Request(f"{cloud.url}/v3/auth/tokens", json.dumps(asked).encode())) as answer:
        return str(answer.headers["X-Subject-Token"])


def test_tokens(cloud: Remote) -> None:
    """A token that has ended says so, in whatever kind it came; a password's is renewed."""
    login = {
        "HUAWEICLOUD_SDK_AK": "",
        "HUAWEICLOUD_SDK_SK": "",
        "OS_USERNAME": KEYS.user,
        "OS_USER_DOMAIN_NAME": KEYS.domain,
        "OS_PASSWORD": KEYS.password,
    }
    token = token_of(cloud)
    done, checks = doctor(cloud.lab, env=login | {"OS_PASSWORD": "", "OS_TOKEN": token})
    assert done.code == 0, done.out
    cloud.fault(do="expire_token", on="list", times="all")
    done, checks = doctor(cloud.lab, env=login | {"OS_PASSWORD": "", "OS_TOKEN": token})
    assert done.code == 77
    assert checks["credentials"]["message"].startswith("token is taken: OS_TOKEN")
    assert bad(checks) == {"login"}
    assert "The token must be updated" in checks["login"]["message"]
    assert token not in done.out + done.err
    cloud.state.add_rules((), replace=True)
    done, checks = doctor(cloud.lab, env=login)
    assert done.code == 0, done.out
    assert "reach iam" in checks
    assert KEYS.password not in done.out
    assert "planted" not in done.out
    wrong, checks = doctor(cloud.lab, env=login | {"OS_PASSWORD": "planted"})
    assert (wrong.code, bad(checks)) == (77, {"login"})
    assert "IAM refused the login" in checks["login"]["message"]


def test_oidc(cloud: Remote) -> None:
    """A login by OpenID Connect is tried for real, and its service is one of the endpoints."""
    trust(cloud, TRUST)
    with issuer() as one:
        done, checks = doctor(cloud.lab, env=one.environ)
        assert done.code == 0, done.out
        assert checks["credentials"]["message"].startswith("oidc is taken")
        assert "reach sts" in checks
        assert len(one.issued) == 1
        one.subject = "repo:somebody/else:main"
        done, checks = doctor(cloud.lab, env=one.environ)
        assert done.code == 77
        assert "repo:somebody/else:main" in checks["login"]["message"]


def test_alarms_only_where_plans_ask(cloud: Remote) -> None:
    """Cloud Eye is tried, and part of the policy, when a plan's gates ask it."""
    assert "ces:alarms:list" not in cloud.lab.run("doctor", "--policy").out
    cloud.lab.write("plans/web.yaml", PLAN + "gates:\n  - alarms: none\n")
    policy = cloud.lab.run("doctor", "--policy")
    assert json.loads(policy.out)["Statement"][0]["Action"][-2:] == [
        "ces:alarms:list",
        "ces:alarmHistory:list",
    ]
    done, checks = doctor(cloud.lab)
    assert done.code == 0, done.out
    assert {"reach ces", "read the alarm rules", "read alarms that are on"} <= checks.keys()
    cloud.fault(do="error", on="alarms", status=403, code="ces.0015", times="all")
    done, checks = doctor(cloud.lab, "--plans", "plans/web.yaml")
    assert done.code == 77
    assert bad(checks) == {"read the alarm rules", "read alarms that are on"}


def test_policy(cloud: Remote) -> None:
    """The policy is IAM's form, holds each action once, asks nobody, and keeps clouds apart."""
    before = len(cloud.state.requests())
    done = cloud.lab.run("doctor", "--policy")
    assert json.loads(done.out) == {
        "Version": "1.1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "ecs:cloudServers:list",
                    "ecs:cloudServers:showServer",
                    "ecs:cloudServers:reboot",
                ],
            }
        ],
    }
    assert done.err == ""
    cloud.lab.configure(
        targets={"a": {"cloud": "huaweicloud"}, "b": {"cloud": "otc", "region": "eu-de"}}
    )
    both = cloud.lab.run("doctor", "--policy")
    assert (both.code, both.out) == (64, "")
    one = cloud.lab.run("doctor", "--policy", "--target", "b")
    assert "ecs:cloudServers:get" in one.out
    assert "iam:projects:listProjects" in one.err
    assert len(cloud.state.requests()) == before


def test_throttled(cloud: Remote) -> None:
    """Being throttled while it looks is told, and is no failure."""
    cloud.fault(do="throttle", on="list", times=1)
    done, checks = doctor(cloud.lab)
    assert done.code == 0, done.out
    assert bad(checks) == {"rate"}
    assert "1 of " in checks["rate"]["message"]


def test_sources(cloud: Remote) -> None:
    """Sources of gates: without their token, and where nobody answers."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        sources = {
            "main": {"prometheus": dead},
            "hook": {"http": cloud.url, "token_env": "HOOK_TOKEN"},
            "good": {"http": cloud.url, "token_env": "GOOD_TOKEN"},
        }
        cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url)}, sources=sources)
        done, checks = doctor(cloud.lab, env={"GOOD_TOKEN": "planted-token"})
    assert done.code == 77
    assert bad(checks) == {"source main", "source hook"}
    assert "TCP" in checks["source main"]["message"]
    assert "HOOK_TOKEN is not set" in checks["source hook"]["message"]
    assert "planted" not in done.out


def test_support(cloud: Remote) -> None:
    """Support that no server is: a belt that has slipped off."""
    support = [{"name": "bastion", "servers": {"names": ["bastion-*"]}}]
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url, support=support)})
    done, checks = doctor(cloud.lab)
    assert (done.code, bad(checks)) == (0, {"support"})


def test_names_from_outside(cloud: Remote) -> None:
    """A halt's reason and plan names cannot draw on the terminal nor give commands to a
    CI system.
    """
    assert cloud.lab.run("halt", "--reason", "::error::\x1b[31m##[group]x").code == 0
    done = cloud.lab.run("doctor")
    assert done.code == 0
    assert "halted by " in done.out
    assert "\x1b" not in done.out
    assert "##[" not in done.out


def test_open_run(cloud: Remote) -> None:
    """An open run and a halt are told; both are no failure of the set-up."""
    cloud.lab.write("web.yaml", PLAN + "    pause: approval\n")
    # `run` reboots, so it runs against the embedded cloud of another target here
    quick = {"cloud": "simulator", "simulator": {"servers": 20, "time_scale": 3000}}
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url), "toy": quick})
    assert cloud.lab.run("run", "web.yaml", "--target", "toy", "--no-wait").code == 75
    done, checks = doctor(cloud.lab, "--target", "lab")
    assert done.code == 0, done.out
    assert checks["store runs"]["message"].startswith("1 run open: ")
    assert cloud.lab.run("halt", "--reason", "incident 42").code == 0
    done, checks = doctor(cloud.lab, "--target", "lab")
    assert (done.code, bad(checks)) == (0, {"store halt"})
    assert "incident 42" in checks["store halt"]["message"]
    assert "unhalt" in checks["store halt"]["hint"]


@contextmanager
def writer(path: Path) -> Iterator[None]:
    """Another process in the middle of a write."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("begin immediate")
        yield
        db.execute("rollback")
    db.close()


def test_locked_store(cloud: Remote) -> None:
    """A store in which somebody is stuck in a write: told after the time-out, and looking
    left nothing in it.
    """
    assert cloud.lab.run("status").code == 0
    before = cloud.lab.dump()
    with writer(cloud.lab.folder / ".reboot-runner" / "runs.db"):
        done, checks = doctor(cloud.lab, *SHORT)
    assert done.code == 1
    assert bad(checks) == {"store open"}
    assert "locked" in checks["store open"]["message"]
    assert doctor(cloud.lab)[0].code == 0
    assert cloud.lab.dump() == before


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("sqlite:///web.yaml/runs.db", "is no folder that may be written"),
        (
            "sqlite:////proc/x/runs.db",
            "is no folder that may be written",
        ),  # os.access says that it may, to root
        ("sqlite:///web.yaml", "not a database"),
        ("postgresql://me:planted@127.0.0.1:1/runs", "cannot open the PostgreSQL store"),
    ],
)
def test_unusable_store(cloud: Remote, store: str, said: str) -> None:
    """A store that cannot be made, is none, or does not answer: exit 1, without the
    password of its URL.
    """
    done, checks = doctor(cloud.lab, *SHORT, env={"REBOOT_RUNNER_STORE": store})
    assert done.code == 1
    assert bad(checks) == {"store open"}
    assert said in checks["store open"]["message"]
    text = cloud.lab.run("--store", store, "doctor", *SHORT)
    assert "(--store)" in text.out
    assert (
        "planted" not in done.out + text.out + cloud.lab.run("--store", store, "config", "show").out
    )


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from runner.cli.main import main
main(["doctor", "-o", "json"])
"""


def test_no_driver(cloud: Remote) -> None:
    """A PostgreSQL store without its driver says what to install."""
    env = cloud.lab.env | {
        "REBOOT_RUNNER_STORE": "postgresql://db.example/runs",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", WITHOUT_DRIVER]
    done = subprocess.run(
        command, cwd=cloud.lab.folder, env=env, capture_output=True, text=True, timeout=30
    )
    checks = {keyed(c): c for c in json.loads(done.stdout)["checks"]}
    assert (done.returncode, bad(checks)) == (1, {"store open"})
    assert checks["store open"]["hint"] == "pip install 'reboot-runner[postgres]'"


def test_silent_store(cloud: Remote) -> None:
    """A database host that takes connections and says nothing is given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/runs"
        done, checks = doctor(
            cloud.lab, "--timeout", "100ms", "--target", "lab", env={"REBOOT_RUNNER_STORE": store}
        )
    assert (done.code, checks["store open"]["message"]) == (1, "no answer within 0.3 s")


def test_postgres(cloud: Remote, postgres_url: str) -> None:
    """A PostgreSQL store: empty and left empty, then with its tables."""
    env = {"REBOOT_RUNNER_STORE": postgres_url}
    done, checks = doctor(cloud.lab, env=env)
    assert done.code == 0, done.out
    assert (
        checks["store open"]["message"]
        == "PostgreSQL, empty and writable; the first command makes its tables"
    )
    assert cloud.lab.run("status", env=env).code == 0
    assert doctor(cloud.lab, env=env)[1]["store runs"]["message"] == "no run is open"


def test_old_store(cloud: Remote) -> None:
    """Tables of an older version are told and left as they are; those of a newer one
    are a failure.
    """
    assert cloud.lab.run("status").code == 0
    path = cloud.lab.folder / ".reboot-runner" / "runs.db"
    for version, code, status in ((99, 1, "failed"), (1, 0, "warning")):
        with sqlite3.connect(path) as db:
            db.execute("update schema_version set version = ?", (version,))
            if version == 1:
                db.execute("drop index claim_cycle")
        db.close()
        done, checks = doctor(cloud.lab)
        assert (done.code, checks["store open"]["status"]) == (code, status), done.out
    assert "schema version 1" in checks["store open"]["message"]
    with sqlite3.connect(path) as db:
        assert db.execute("select version from schema_version").fetchone() == (1,)
    db.close()


def test_denied_errors_name_doctor(cloud: Remote) -> None:
    """Where credentials end a command, its hint says which command tells more."""
    done = cloud.lab.run("diff", "web.yaml", env={"HUAWEICLOUD_SDK_SK": "planted-wrong"})
    assert done.code == 77
    assert "`reboot-runner doctor` tells which credentials are taken" in done.err


def test_page() -> None:
    """docs/doctor.md shows what the program prints today."""
    told = (ROOT / "docs" / "doctor.md").read_text()
    assert page() == told, "python -m tests.cli.doctor_page > docs/doctor.md"
