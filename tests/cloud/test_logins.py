"""Logins by the metadata service and by an identity provider of IAM, against the simulated
cloud over HTTP.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from runner.cli.crash import report_crash
from runner.cloud.huawei import decode
from runner.cloud.huawei.auth.choice import choose_login
from runner.cloud.huawei.auth.logins import Login, TokenLogin
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.errors import CloudDenied, CloudError
from runner.model.job import Accepted, Ambiguous, NotSent
from runner.net.secret import Secret
from runner.net.wire import RequestLog
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Instance, KnownLogins
from tests.cloud.wild import raw, reply, run, wild
from tests.issuer import TRUST, id_token, issuer
from tests.simulator.bench import RULES

START = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)
SERVER = "5b919bd2-e315-41d0-850d-a15cb5a686c0"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@dataclass
class There:
    cloud: HuaweiCloud
    state: State
    told: list[str] = field(default_factory=list)
    log: list[RequestLog] = field(default_factory=list)
    now: datetime = START

    def calls(self, path: str) -> list[int]:
        return [c.status for c in self.state.requests() if path in c.path]

    def fault(self, **rule: Any) -> None:
        self.state.add_rules(RULES.validate_python([rule]))

    async def read(self) -> None:
        """A request that only a good key can make."""
        await self.cloud.reboot_history(self.state.fleet.servers[0].id)


@asynccontextmanager
async def there(
    login: Login | None = None, *, trust: dict[str, Any] | None = None, **instance: Any
) -> AsyncIterator[There]:
    """A client that logs in by this, or by the metadata service of the simulated cloud."""
    keys = KnownLogins(
        ak="PERMANENT",
        sk="permanent-secret",
        password="permanent-pass",
        oidc=TRUST.model_copy(update=trust or {}),
        instance=Instance(server=SERVER, **instance),
    )
    here = There.__new__(There)
    here.told, here.log, here.now = [], [], START
    here.state = State(CloudOptions(FleetOptions(servers=3), keys), wall=lambda: here.now)
    try:
        async with serve(here.state) as simulated:
            target = settings_for(
                cloud="simulator", region=simulated.region, ecs=simulated.url, environ={}
            )
            chosen = login or choose_login("metadata", {"REBOOT_RUNNER_METADATA": simulated.url})
            async with HuaweiCloud.open(
                target,
                chosen,
                wall=lambda: here.now,
                log=here.log.append,
                on_secret=lambda secret: here.told.append(secret.reveal()),
            ) as here.cloud:
                yield here
    finally:
        here.state.close()


# -- the metadata service ------------------------------------------------------


@pytest.mark.parametrize("tokens", ["optional", "required", "unknown"])
def test_agency_of_the_server(tokens: str) -> None:
    """Project, list, reboot and history work with the agency's key; one question serves
    them all.
    """

    async def main() -> None:
        async with there(tokens=tokens) as here:
            ids = [s.id for s in here.state.fleet.servers]
            assert len((await here.cloud.inventory()).servers) == 3
            assert isinstance(await here.cloud.reboot(ids[:1], "SOFT", here.now), Accepted)
            await asyncio.gather(*(here.read() for _ in range(4)))
            assert here.calls("securitykey").count(200) == 1
            assert len(here.told) == (4 if tokens == "required" else 3)
            shown = f"{here.log} {here.cloud!r} {vars(here.cloud)}"
            assert not [secret for secret in here.told if secret in shown]

    run(main())


def test_agencys_key_is_renewed() -> None:
    """The key of an hour is renewed when 5 minutes are left; while the service is silent
    the old one serves.
    """

    async def main() -> None:
        async with there() as here:
            here.now += timedelta(minutes=54, seconds=59)
            await here.read()
            assert len(here.calls("securitykey")) == 1
            here.now += timedelta(seconds=1)
            here.fault(do="error", on="metadata", times=1, status=503)
            await here.read()
            await here.read()
            assert here.calls("securitykey") == [200, 503], "asked again half a minute later only"
            here.now += timedelta(seconds=31)
            await here.read()
            assert here.calls("securitykey") == [200, 503, 200]
            here.fault(do="error", on="metadata", times="all", status=503)
            here.now += timedelta(minutes=61)
            with pytest.raises(CloudError, match="HTTP 503") as failed:
                await here.read()
            assert not isinstance(failed.value, CloudDenied), "it may be back soon"
            assert isinstance(await here.cloud.reboot(["a"], "SOFT", here.now), NotSent)
            assert 401 not in {c.status for c in here.state.requests()}

    run(main())


def test_server_without_an_agency() -> None:
    """The service's word for it becomes a refusal that says what to bind."""

    async def main() -> None:
        with pytest.raises(CloudDenied, match="this server has no agency"):
            async with there(agency=False):
                pass

    run(main())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "not found"),
        (302, ""),
        (200, "<html>a portal</html>"),
        (200, '{"credential": {"access": "a", "secret": "s"}}'),
        (200, '{"credential": {"access": "a", "secret": "s", "securitytoken": "t\\r\\nX: y"}}'),
    ],
)
@pytest.mark.parametrize("auth", ["auto", "metadata"])
def test_a_machine_that_is_no_ecs(auth: Any, status: int, body: str) -> None:
    """Somebody else's service, a redirect, half a key: exit 77, one question, and nobody
    else is asked.
    """

    async def main() -> None:
        async with (
            wild(reply(200, "{}")) as other,
            wild(reply(status, body, {"Location": other.url})) as service,
        ):
            login = choose_login(auth, {"REBOOT_RUNNER_METADATA": service.url})
            with pytest.raises(CloudDenied) as refused:
                async with there(login):
                    pass
            assert ("HUAWEICLOUD_SDK_AK" in str(refused.value)) == (auth == "auto")
            assert len(service.seen) == 1
            assert not other.seen

    run(main())


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the environment names, the key comes from this machine's own service."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def main() -> None:
        async with there() as here:
            await here.read()

    run(main())


# -- an identity provider of IAM -----------------------------------------------


def test_identity_provider_with_a_file(tmp_path: Path) -> None:
    """A token for the ID token, a key for the token; the renewal reads the file anew. What
    was fetched is told.
    """
    file = tmp_path / "token.jwt"
    file.write_text(id_token(START))
    login = choose_login(
        "auto", {"HUAWEICLOUD_SDK_IDP_ID": "github", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": str(file)}
    )

    async def main() -> None:
        async with there(login) as here:
            await here.read()
            here.now += timedelta(hours=5, minutes=54)
            await here.read()
            assert here.calls("id-token") == here.calls("OS-CREDENTIAL") == [201]
            here.now += timedelta(minutes=1)
            file.write_text(fresh := id_token(here.now))
            await here.read()
            assert here.calls("id-token") == here.calls("OS-CREDENTIAL") == [201, 201]
            assert fresh in here.told
            assert len(here.told) == len(set(here.told)) == 2 * 5
            assert 401 not in {c.status for c in here.state.requests()}

    run(main())


def test_identity_provider_in_github() -> None:
    """A job's own service gives a fresh ID token for each exchange."""

    async def main() -> None:
        with issuer(lambda: START) as github:
            job = {
                name: value for name, value in github.environ.items() if name.startswith("ACTIONS_")
            }
            async with there(
                choose_login("auto", {**job, "HUAWEICLOUD_SDK_IDP_ID": "github"})
            ) as here:
                here.fault(do="expire_token", on="actions")
                await here.read()
                assert len(set(github.issued)) == len(github.issued) == 2

    run(main())


@pytest.mark.parametrize(
    ("idp", "claims", "words"),
    [
        ("another", {}, "IAM.0004"),
        (
            "github",
            {"sub": "repo:example/other:pull_request"},
            "sub repo:example/other:pull_request",
        ),
        ("github", {"aud": "elsewhere"}, "aud elsewhere"),
        ("github", {"secret": "another-issuer-secret"}, "IAM.0001"),
        ("github", {"exp": 1_700_000_000}, "has expired"),
    ],
)
def test_identity_provider_refuses(
    tmp_path: Path, idp: str, claims: dict[str, Any], words: str
) -> None:
    """Provider, issuer's signature, audience, subject and end are judged; the refusal shows
    claims, never the token.
    """
    file = tmp_path / "token.jwt"
    file.write_text(token := id_token(START, **claims))
    login = choose_login(
        "auto", {"HUAWEICLOUD_SDK_IDP_ID": idp, "HUAWEICLOUD_SDK_ID_TOKEN_FILE": str(file)}
    )

    async def main() -> None:
        with pytest.raises(CloudDenied, match="IAM refused the ID token") as refused:
            async with there(login):
                pass
        assert words in refused.value.message
        assert not [
            part for part in token.split(".") if part in f"{refused.value!r} {refused.value.hint}"
        ]

    run(main())


# -- what comes back -----------------------------------------------------------


def test_a_broken_answer_that_echoes() -> None:
    """An HTTP library quotes what it could not read: the token is not in what it quotes."""

    async def main() -> None:
        token = "planted/token+0123456789=="
        broken = raw(f"{token}\r\n\r\n".encode())
        half = raw(
            (
                f"HTTP/1.1 200 OK\r\nX-Request-Id: {token}\r\nContent-Length: 99\r\n\r\n{token}"
            ).encode()
        )
        async with wild(broken, broken, broken, half) as server:
            target = settings_for(
                cloud="simulator", region="r", ecs=server.url, project_id="p" * 32, environ={}
            )
            log: list[RequestLog] = []
            async with HuaweiCloud.open(target, TokenLogin(Secret(token)), log=log.append) as cloud:
                with pytest.raises(CloudError) as failed:
                    await cloud.reboot_history("a")
                answers = [await cloud.reboot(["a"], "SOFT", START) for _ in range(2)]
            assert all(isinstance(a, Ambiguous) for a in answers)
            assert "***" in f"{failed.value} {answers}"
            assert token not in f"{failed.value} {failed.value!r} {answers} {log}"

    run(main())


def test_a_defect_leaves_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A defect of ours while keys are held: neither the traceback that is kept nor what is
    said holds one.
    """
    file = tmp_path / "token.jwt"
    file.write_text(id_token(START))
    idp = choose_login(
        "auto", {"HUAWEICLOUD_SDK_IDP_ID": "github", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": str(file)}
    )
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def defect(value: object) -> None:
        raise LookupError("a defect")

    async def main() -> None:
        for login in (None, idp):
            async with there(login) as here:
                with monkeypatch.context() as patch:
                    patch.setattr(decode, "reboot_history", defect)
                    with pytest.raises(LookupError) as failed:
                        await here.read()
                assert report_crash(failed.value) == 1
                (log,) = tmp_path.glob("reboot-runner-crash-*.log")
                text = log.read_text() + capsys.readouterr().err
                assert "in reboot_history" in text
                assert not [secret for secret in here.told if secret in text]
                assert len(here.told) >= 3
                log.unlink()

    run(main())
