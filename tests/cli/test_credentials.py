"""Every kind of credentials on the command line: used, never told, refused with a clear word."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Instance
from tests.cli.forked import Done
from tests.cli.lab import KEYS, NO_METADATA, Lab, Remote, target
from tests.cli.test_oidc import as_a_runner
from tests.cli.test_secrets import kept
from tests.issuer import TRUST, id_token

FIXTURES = Path(__file__).parents[1] / "fixtures" / "api"
SERVER = "0c0ffee0-0000-4000-8000-000000000001"
"""No server of the plan: those are not rebooted from inside."""
KINDS = ("aksk", "temporary", "token", "password", "file", "metadata", "oidc", "idp")
REPORTS = ("json", "text", "markdown", "html", "junit", "csv")
ALL_FORMS = ("temporary", "idp")
"""Kinds whose reports are read in all forms: they are all made of the one journal, which is
read for every kind.
"""


def login(cloud: Remote, kind: str) -> dict[str, str]:
    """An environment for this kind, after the cloud was told to take it."""
    lab = cloud.lab
    lab.env = {k: v for k, v in lab.env.items() if not k.startswith("HUAWEICLOUD_")}
    temporary = (
        {"security_token": "planted-security-token-0123456789"} if kind == "temporary" else {}
    )
    cloud.state.credentials = KEYS.model_copy(
        update={"oidc": TRUST, "instance": Instance(server=SERVER), **temporary}
    )
    key = {"HUAWEICLOUD_SDK_AK": KEYS.ak, "HUAWEICLOUD_SDK_SK": KEYS.sk}
    user = {
        "HW_USER_NAME": KEYS.user,
        "HW_USER_PASSWORD": KEYS.password,
        "HW_DOMAIN_NAME": KEYS.domain,
    }
    match kind:
        case "aksk":
            return key
        case "temporary":
            return key | {"HUAWEICLOUD_SDK_SECURITY_TOKEN": temporary["security_token"]}
        case "token":
            return {"OS_TOKEN": token_of(cloud)}
        case "password":
            return user
        case "file":
            file = Path(lab.env["HOME"]) / ".huaweicloud" / "credentials"
            file.parent.mkdir()
            file.write_text(f"[basic]\nak = {KEYS.ak}\nsk = {KEYS.sk}\n")
            return {}
        case "metadata":
            return {"REBOOT_RUNNER_METADATA": cloud.url}
        case "oidc":
            urns = {
                "PROVIDER_URN": TRUST.provider_urn,
                "AGENCY_URN": TRUST.agency_urn,
                "ID_TOKEN": id_token(),
            }
            return {f"HUAWEICLOUD_OIDC_{name}": value for name, value in urns.items()}
    token = lab.write("../token.jwt", id_token())
    return {"HUAWEICLOUD_SDK_IDP_ID": TRUST.idp_id, "HUAWEICLOUD_SDK_ID_TOKEN_FILE": str(token)}


def token_of(cloud: Remote) -> str:
    user = {"name": KEYS.user, "password": KEYS.password, "domain": {"name": KEYS.domain}}
    scope = {"project": {"id": cloud.state.fleet.project_id}}
    asked = {
        "auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    }
    answer = httpx.post(f"{cloud.url}/v3/auth/tokens", json=asked, trust_env=False)
    return str(answer.headers["X-Subject-Token"])


def forms(secret: str) -> set[bytes]:
    """A secret as it is, in base64 and percent-encoded."""
    return {
        secret.encode(),
        b64encode(secret.encode()).rstrip(b"="),
        quote(secret, safe="").encode(),
    }


def assert_untold(
    secrets: set[str], lab: Lab, shown: list[str], exempt: Path | None = None
) -> None:
    """Not on a stream, not in the store's bytes, not in any file but the one that holds
    the login.
    """
    files = kept(lab)
    if exempt is not None:
        files = files.replace(exempt.read_bytes(), b"")
    text = "\n".join(shown).encode() + files
    assert not [secret[:6] for secret in secrets for form in forms(secret) if form in text]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_tells_no_secret(cloud: Remote, kind: str) -> None:
    """A run with trouble, at its most talkative, and every form of its report: of no secret
    there is a trace.
    """
    lab, job = cloud.lab, login(cloud, kind) | {"GITHUB_ACTIONS": "true"}
    cloud.fault(do="error", on="job", status=500, body="html")
    shown = [
        lab.run("-vvv", "diff", "web.yaml", env=job),
        lab.run("-vvv", "run", "web.yaml", env=job),
        lab.run("-vvv", "--log-format", "json", "run", "web.yaml", env=job),
        *(
            lab.run("report", "web", "-o", form, env=job)
            for form in (REPORTS if kind in ALL_FORMS else REPORTS[:1])
        ),
    ]
    assert [done.code for done in shown] == [0] * len(shown), shown[1].err
    assert list(cloud.reboots.values()) == [1] * 10
    logs = [as_a_runner(done.err) for done in shown]
    masked = {secret for masks, _ in logs for secret in masks}
    written = {
        KEYS.sk,
        KEYS.password,
        TRUST.secret,
        job.get("OS_TOKEN"),
        job.get("HUAWEICLOUD_OIDC_ID_TOKEN"),
    }
    expected = {
        "aksk": 1,
        "temporary": 2,
        "token": 1,
        "password": 2,
        "file": 1,
        "metadata": 3,
        "oidc": 4,
        "idp": 5,
    }
    assert len(masked) >= expected[kind], "what is given and what is fetched is masked"
    file: Path | None = (
        Path(lab.env["HOME"]) / ".huaweicloud" / "credentials" if kind == "file" else None
    )
    file = lab.folder / ".." / "token.jwt" if kind == "idp" else file
    secrets = {s for s in written | masked if s}
    assert_untold(
        secrets, lab, [done.out + log for done, (_, log) in zip(shown, logs, strict=True)], file
    )


def test_a_file_that_others_can_read(cloud: Remote) -> None:
    """The credentials file of the vendor's SDK logs in, with a warning where others can read it."""
    env = login(cloud, "file")
    file = Path(cloud.lab.env["HOME"]) / ".huaweicloud" / "credentials"
    for mode, warns in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        done = cloud.lab.run("diff", "web.yaml", env=env)
        assert done.code == 0, done.err
        assert (f"warning: {file} can be read by others" in done.err) is warns


def test_nothing_is_set(cloud: Remote) -> None:
    """Without any credentials the first line says what to set, and nothing else; `-v` tells
    what was looked for.
    """
    cloud.lab.env = {k: v for k, v in cloud.lab.env.items() if not k.startswith("HUAWEICLOUD_")}
    done = cloud.lab.run("diff", "web.yaml", env=NO_METADATA)
    assert done.code == 77
    first = done.err.splitlines()[0]
    assert first == (
        "error: web.yaml: target lab: no credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    )
    assert "HW_ACCESS_KEY" not in done.err
    more = cloud.lab.run("-v", "diff", "web.yaml", env=NO_METADATA)
    assert (
        "login aksk is not taken: HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK are not set; "
        "HW_ACCESS_KEY"
    ) in more.err


def test_targets_with_keys_of_their_own(cloud: Remote) -> None:
    """Two targets on two clouds, each with the names of its prefix: neither is taken
    for the other.
    """
    other = KEYS.model_copy(
        update={"ak": "ANOTHERACCESSKEY0003", "sk": "planted-secret-of-the-other-cloud-1234"}
    )
    state = State(CloudOptions(FleetOptions(servers=20, seed=7), other))
    lab = cloud.lab
    with serve_in_thread(state) as running:
        one = target(cloud.state, cloud.url, env_prefix="ONE_")
        lab.configure(targets={"one": one, "two": target(state, running.url, env_prefix="TWO_")})
        keys = {
            **{"ONE_HUAWEICLOUD_SDK_AK": KEYS.ak, "ONE_HUAWEICLOUD_SDK_SK": KEYS.sk},
            **{"TWO_HW_ACCESS_KEY": other.ak, "TWO_HW_SECRET_KEY": other.sk},
        }
        for name in ("one", "two"):
            done = lab.run("-vvv", "diff", "web.yaml", "--target", name, env=keys)
            assert done.code == 0, done.err
            assert not [s for s in (KEYS.sk, other.sk) if s in done.out + done.err]
        swapped = {"TWO_HUAWEICLOUD_SDK_AK": KEYS.ak, "TWO_HUAWEICLOUD_SDK_SK": KEYS.sk}
        assert lab.run("diff", "web.yaml", "--target", "two", env=keys | swapped).code == 77
        alone = lab.run("diff", "web.yaml", "--target", "two", env={"ONE_HUAWEICLOUD_SDK_AK": "x"})
        assert alone.code == 77, "the key without a prefix, which the lab sets, is not taken"
        assert "TWO_HUAWEICLOUD_SDK_AK" in alone.err
    state.close()


@pytest.mark.parametrize("minutes", [-16, 16])
@pytest.mark.parametrize("kind", ["aksk", "metadata"])
def test_a_clock_that_is_wrong(lab: Lab, kind: str, minutes: int) -> None:
    """A clock 16 minutes off, whichever way, ends in exit 77 with both times and what to do."""
    keys = KEYS.model_copy(update={"instance": Instance(server=SERVER)})
    off = timedelta(minutes=minutes)
    state = State(CloudOptions(FleetOptions(servers=5), keys), wall=lambda: datetime.now(UTC) + off)
    with serve_in_thread(state) as running:
        lab.configure(targets={"lab": target(state, running.url)})
        key = {"HUAWEICLOUD_SDK_AK": KEYS.ak, "HUAWEICLOUD_SDK_SK": KEYS.sk}
        done = lab.run(
            "diff",
            "web.yaml",
            env=key if kind == "aksk" else {"REBOOT_RUNNER_METADATA": running.url},
        )
    state.close()
    assert done.code == 77, done.err
    told = re.search(r"the signature's time (\S+) is too far from the cloud's time (\S+)", done.err)
    assert told, done.err
    ours, theirs = (datetime.strptime(text, "%Y%m%dT%H%M%S%z") for text in told.groups())
    assert timedelta(minutes=15) < abs(theirs - ours) < timedelta(minutes=17)
    assert (theirs > ours) == (minutes > 0)
    assert "set this machine's clock" in done.err


# -- an endpoint that answers with what it was sent ----------------------------


@contextmanager
def parrot(way: str) -> Iterator[str]:
    """A cloud that puts headers and body of each request, plain and in base64, where `way` says."""
    single = json.loads((FIXTURES / "server-single.json").read_text())["server"]

    class Handler(BaseHTTPRequestHandler):
        def echo(self) -> str:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            values = [
                v
                for name, v in self.headers.items()
                if name.lower() in ("authorization", "x-auth-token")
            ]
            values += [self.headers.get("X-Security-Token", "")]
            packed = [b64encode(v.encode()).decode() for v in values]
            return " ".join([*values, *packed, *map(quote, values), body])

        def answer(self, status: int, body: Any, **headers: str) -> None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            said = self.echo()
            if way == "names" and self.command == "GET" and "os-server-groups" in self.path:
                self.answer(200, {"server_groups": []})
            elif way == "names" and self.command == "GET":
                token = (
                    self.headers.get("X-Auth-Token") or self.headers.get("X-Security-Token") or ""
                )
                named = single | {
                    "name": f"web {token}",
                    "status": "ACTIVE",
                    "tags": [f"role={token}"],
                }
                self.answer(
                    200, {"count": 1, "servers": [named] if "offset=1&" in f"{self.path}&" else []}
                )
            elif way == "html":
                self.answer(400, f"<html><title>{said}</title>")
            elif way == "request id":
                sent = self.headers.get("X-Auth-Token") or self.headers.get("Authorization") or ""
                self.answer(400, {"error_code": "X.1", "error_msg": "no"}, X_Request_Id=sent)
            else:
                status = 401 if way == "denied" else 400
                self.answer(
                    status, {"error_code": "X.1", "error_msg": said, "request_id": said[:64]}
                )

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *about: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


WITH = {
    "HUAWEICLOUD_SDK_AK": "PLANTEDACCESSKEY0009",
    "HUAWEICLOUD_SDK_SK": "planted-secret-key+/=0123456789",
    "HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted/security+token==0123456789",
}
WAYS = ("error", "denied", "html", "request id", "names")


@pytest.mark.parametrize(
    ("way", "kind"),
    [*product(WAYS, ["temporary", "token"]), ("error", "password"), ("html", "password")],
)
def test_an_endpoint_that_echoes(lab: Lab, way: str, kind: str) -> None:
    """Whatever it answers with what it was sent, neither stream, nor journal, nor report
    holds that.
    """
    password = {
        "HW_USER_NAME": "u",
        "HW_USER_PASSWORD": 'planted "pässword" 0123',
        "HW_DOMAIN_NAME": "d",
    }
    env = {
        "temporary": WITH,
        "token": {"OS_TOKEN": WITH["HUAWEICLOUD_SDK_SECURITY_TOKEN"]},
        "password": password,
    }[kind]
    lab.write(
        "all.yaml",
        "version: 1\nname: all\nlimits: {percent: 100}\ngroups: [{name: a, servers: {all: "
        "true}, waves: [100%]}]\n",
    )
    with parrot(way) as url:
        lab.configure(
            targets={
                "lab": {"cloud": "simulator", "project_id": "0" * 32, "endpoints": {"ecs": url}}
            }
        )
        shown: list[Done] = [
            lab.run("-vvv", "diff", "all.yaml", "-o", "json", env=env),
            lab.run("-vvv", "--log-format", "json", "run", "--deadline", "1s", "all.yaml", env=env),
            lab.run("report", "all", "-o", "json", env=env),
        ]
    if way == "names":
        assert '"web ***"' in shown[0].out, shown[0].err
    else:
        assert shown[0].code in (1, 77), shown[0].err
        assert "http: " in shown[0].err
    secrets = {
        value for name, value in env.items() if name not in ("HW_USER_NAME", "HW_DOMAIN_NAME")
    }
    assert_untold(secrets, lab, [done.out + done.err for done in shown])
