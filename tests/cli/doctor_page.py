"""docs/doctor.md: what `doctor` prints of a good and of three bad set-ups, made by running it.

`python -m tests.cli.doctor_page > docs/doctor.md` writes it; a test says when it is stale.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.ports.provider import provider_of
from tests.cli.forked import Forker, forker
from tests.cli.lab import NO_METADATA, PLAN, Lab, Remote, bare_environment, remote
from tests.cli.tls import HOST, tls_front

HEAD = """\
# Does it work from here?

`reboot-runner doctor` checks all that a run needs, from the place where it is called, and says how to mend what is
wrong. It sends nothing but reads (and what a login takes): it never asks for a reboot.

```console
$ reboot-runner doctor                              # everything
$ reboot-runner doctor --target prod-eu --timeout 3s   # one target; no question waits longer
$ reboot-runner doctor -o json                      # for programs: schemas/doctor.schema.json
$ reboot-runner doctor --policy                     # the IAM policy that runs need, and no more
$ reboot-runner config show                         # every value of the configuration, and where it comes from
```

Each check is `ok`, `warning`, `failed` or `skipped`. Exit 0: nothing failed · 3: configuration or policy invalid, all
problems first · 77: credentials or permissions · 1: anything else. Targets are looked at at the same time, and what
builds on a step that failed is skipped.

| check | asks |
|---|---|
| `file`, `policy`, `source …`, `plans` | what was found where; whether sources answer; what gates ask |
| `endpoints` | the address of each service, by the rule or configured; which hosts are allowed |
| `credentials` | which kind is taken, and why the others are not: names of variables, never values |
| `reach …` | proxy, DNS, TCP, TLS, HTTP, each by itself, without credentials; by a proxy, TLS is part of HTTP |
| `clock` | the server's `Date` against this machine's time; a refused signature tells both times as well |
| `login`, `project` | a real login and a read; the configured project against the region's own |
| `permission …` | each by a harmless read; rebooting cannot be tried without doing it, and is not |
| `servers`, `this machine`, `support` | what is visible; what is never rebooted ([itself.md](itself.md)) |
| `rate` | servers a minute and a request; whether the cloud throttled while it was asked |
| `open`, `clock`, `runs`, `halt`, `persistent` | the store: written to (and taken back), its tables, who holds what |

"""  # noqa: E501

PERMISSIONS = """\
## Permissions

| IAM action | for | tried by a read | without it |
|---|---|---|---|
{rows}

On Open Telekom Cloud single servers are read with `ecs:cloudServers:get`. With identity policies (the newer model of
Huawei Cloud) listing server groups is an action of its own, `ecs:cloudServers:listServerGroups`. No page names an
action for the job query and for a server's history; `doctor` tries both. The alarms are needed where a plan's gates ask
them: `doctor` looks into the folder `plans` beside the configuration, or where `--plans` says. The project is looked up
where neither the target nor the login names it; that is an action of a global service, which IAM wants in a policy of
its own.

`reboot-runner doctor --policy` for a target with `project_id`, whose plans ask for alarms:

```json
{policy}
```

"""  # noqa: E501

NOTE = """\
The outputs below are those of the program against the simulated cloud, with addresses, versions and times made even
(`python -m tests.cli.doctor_page`).

"""  # noqa: E501

Settings = dict[str, Any]


def page() -> str:
    """The whole document."""
    with forker() as forking, tempfile.TemporaryDirectory() as folder:
        scenes = "".join(_scene(forking, Path(folder), n) for n in range(len(SCENES)))
        policy = _policy(forking, Path(folder))
    return (
        HEAD
        + PERMISSIONS.format(rows="\n".join(_rows()), policy=policy)
        + NOTE
        + scenes.rstrip("\n")
        + "\n"
    )


def _rows() -> Iterator[str]:
    for need in provider_of("huaweicloud").permissions(alarms=True, lookup=True):
        action = f"`{need.action}`" if need.action else "–"
        yield f"| {action} | {need.purpose} | {'yes' if need.trial else 'no'} | {need.without} |"


@contextmanager
def _lab(forking: Forker, folder: Path, name: str) -> Iterator[Lab]:
    home = folder / name
    (home / "repository" / ".git").mkdir(parents=True)
    lab = Lab(home / "repository", forking, bare_environment(home))
    lab.env |= NO_METADATA
    lab.write("plans/web.yaml", PLAN + "gates: [{alarms: none}]\n")
    yield lab
    for child in lab.children:
        child.dispose()


def _settings(cloud: Remote, **more: Any) -> Settings:
    """A target with all services at one address."""
    services = dict.fromkeys(("ecs", "iam", "ces", "autoscaling"), cloud.url)
    own = {"cloud": "huaweicloud", "region": "eu-west-101", "endpoints": services}
    return own | {"project_id": cloud.state.fleet.project_id} | more


def _good(lab: Lab, cloud: Remote) -> Mapping[str, str]:
    support = [{"name": "database", "servers": {"names": ["db-*"]}}]
    lab.configure(targets={"prod-eu": _settings(cloud, support=support)})
    assert lab.run("status").code == 0
    return {"OS_TOKEN": "not-taken"}


def _clock(lab: Lab, cloud: Remote) -> Mapping[str, str]:
    lab.configure(targets={"prod-eu": _settings(cloud)})
    return {}


def _rights(lab: Lab, cloud: Remote) -> Mapping[str, str]:
    for on in ("groups", "actions"):
        text = "Policy doesn't allow the action to be performed."
        cloud.fault(do="error", on=on, status=403, code="Pdp.0001", message=text, times="all")
    lab.configure(targets={"prod-eu": _settings(cloud)})
    assert lab.run("halt", "--reason", "incident 42").code == 0
    return {}


def _certificate(lab: Lab, cloud: Remote) -> Mapping[str, str]:
    return {"REBOOT_RUNNER_ALLOWED_HOSTS": HOST, "CI": "true", "HUAWEICLOUD_SDK_SK": ""}


SCENES = (
    ("A good set-up", "", _good, 0),
    (
        "A clock that is 16 minutes behind",
        "The credentials are right; the gateway refuses what they sign.",
        _clock,
        16,
    ),
    ("Missing permissions, and a store that is halted", "", _rights, 0),
    (
        "An unknown certificate, half of the credentials, and a CI job without a database",
        "The endpoint has a certificate of an authority of its own.",
        _certificate,
        0,
    ),
)


def _scene(forking: Forker, folder: Path, n: int) -> str:
    title, said, prepare, minutes = SCENES[n]
    with _lab(forking, folder, f"scene-{n}") as lab:
        with remote(lab, wall=lambda: datetime.now(UTC) + timedelta(minutes=minutes)) as cloud:
            env = prepare(lab, cloud)
            if prepare is _certificate:
                with tls_front(int(cloud.url.rsplit(":", 1)[1])) as url:
                    services = {"ecs": url, "iam": url, "ces": url, "autoscaling": url}
                    lab.configure(targets={"prod-eu": _settings(cloud, endpoints=services)})
                    done = lab.run("doctor", env=env)
            else:
                done = lab.run("doctor", env=env)
        assert "reboot" not in {c.call for c in cloud.state.requests()}
    story = f"{said}\n\n" if said else ""
    return (
        f"## {title}\n\n{story}```console\n$ reboot-runner doctor\n{_even(done.out)}$ echo "
        f"$?\n{done.code}\n```\n\n"
    )


def _policy(forking: Forker, folder: Path) -> str:
    with _lab(forking, folder, "policy") as lab:
        lab.configure(targets={"prod-eu": {"cloud": "huaweicloud", "project_id": "0" * 32}})
        return lab.run("doctor", "--policy").out.rstrip("\n")


EVEN = (
    (r"(127\.0\.0\.1|0\.0\.0\.0):\d+", r"\1:40404"),
    (r"version: \d+\.\d+\S*;", "version: 1.2.3;"),
    (r"Python \S+, OpenSSL .*", "Python 3.x.y, OpenSSL 3.x.y"),
    (r"\[request [0-9a-f]+\]", "[request 5f0c…]"),
    (r"time \d{8}T\d{6}Z is too", "time 20261129T080000Z is too"),
    (r"cloud's time \d{8}T\d{6}Z", "cloud's time 20261129T081600Z"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z", "2026-11-29 08:00Z"),
    (r"halted by \S+", "halted by somebody@host"),
    (r"\b[0-9a-f]{32}\b", "05041fffa40025702f6dc009cc6f8f33"),
)
"""What differs from machine to machine, and what all write instead."""


def _even(text: str) -> str:
    for pattern, same in EVEN:
        text = re.sub(pattern, same, text)
    return text


if __name__ == "__main__":
    sys.stdout.write(page())
