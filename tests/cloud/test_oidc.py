"""Login by OpenID Connect: ID tokens exchanged by the simulated STS, over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina
from huaweicloudsdkcore.auth.endpoint import get_sts_endpoint_by_id

from runner.cloud.huawei.auth.choice import choose_login
from runner.cloud.huawei.auth.exchange import claims_of
from runner.cloud.huawei.auth.logins import KeyLogin, OidcLogin, TokenRequest
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.errors import CloudDenied, CloudError, InvalidInput
from runner.model.job import Accepted, Ambiguous, Denied, NotSent, Throttled
from runner.net.secret import Secret
from runner.net.transport import ExchangeLimits
from runner.net.wire import RequestLog
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import KnownLogins
from tests.cloud.credential_names import CREDENTIAL_NAMES
from tests.cloud.test_endpoints import regions_of_the_sdk
from tests.cloud.wild import free_port, reply, run, wild
from tests.issuer import BEARER, NAMES, SUBJECT, TRUST, Issuer, id_token, issuer
from tests.simulator.bench import RULES

KEYS = KnownLogins(ak="PERMANENT", sk="permanent-secret", password="permanent-pass", oidc=TRUST)
START = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)
TOKEN, FILE = "HUAWEICLOUD_OIDC_ID_TOKEN", "HUAWEICLOUD_OIDC_TOKEN_FILE"
URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@dataclass
class Time:
    """Real time as client, service and issuer see it; it stands still until a test moves it."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def pass_(self, **length: float) -> None:
        self.moment += timedelta(**length)


@dataclass
class There:
    """A client that logs in by OIDC, the cloud it talks to, and what it told of itself."""

    cloud: HuaweiCloud
    state: State
    time: Time
    issuer: Issuer
    told: list[str]
    log: list[RequestLog] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [s.id for s in self.state.fleet.servers]

    def calls(self, call: str) -> int:
        return sum(c.call == call for c in self.state.requests())

    def fault(self, **rule: Any) -> None:
        self.state.add_rules(RULES.validate_python([rule]))

    async def read(self) -> None:
        """A request that only a good key can make."""
        await self.cloud.reboot_history(self.ids[0])


@asynccontextmanager
async def there(environ: dict[str, str] | None = None, **trust: Any) -> AsyncIterator[There]:
    """`environ`: instead of what a job of GitHub has."""
    time = Time()
    told: list[str] = []
    log: list[RequestLog] = []
    keys = KEYS.model_copy(update={"oidc": TRUST.model_copy(update=trust)})
    state = State(CloudOptions(FleetOptions(servers=5), keys), wall=time)

    async def sleep(seconds: float) -> None:
        pass

    with issuer(time) as one:
        async with serve(state) as simulated:
            target = settings_for(
                cloud="simulator", region=simulated.region, ecs=simulated.url, environ={}
            )
            login = choose_login("auto", one.environ if environ is None else NAMES | environ)
            async with HuaweiCloud.open(
                target,
                login,
                wall=time,
                log=log.append,
                limits=ExchangeLimits(connect_s=2, read_s=2, total_s=5),
                sleep=sleep,
                on_secret=lambda secret: told.append(secret.reveal()),
            ) as client:
                yield There(client, state, time, one, told, log)
    state.close()


# -- the environment -----------------------------------------------------------


def test_everything_of_the_environment_is_read() -> None:
    """All names of the vendor's SDK count, and a token that is given is taken before a
    file, a file before GitHub.
    """
    more = {
        "HUAWEICLOUD_OIDC_SESSION_NAME": "plans",
        "HUAWEICLOUD_OIDC_DURATION_SECONDS": "900",
        "HUAWEICLOUD_OIDC_POLICY": '{"Version":"5.0"}',
        "HUAWEICLOUD_OIDC_POLICY_IDS": "a, b,",
        "HUAWEICLOUD_SDK_PROJECT_ID": "p",
    }
    github = {
        URL: "https://issuer.example.com/a/b?api-version=2.0&audience=x",
        REQUEST_TOKEN: "bearer",
    }
    names = (TRUST.provider_urn, TRUST.agency_urn)
    given = choose_login(
        "auto", {**NAMES, **more, **github, TOKEN: "the-token\n", FILE: "token.jwt"}
    )
    assert given == OidcLogin(
        *names, Secret("the-token"), "plans", 900, '{"Version":"5.0"}', ("a", "b"), "p"
    )
    assert choose_login("auto", {**NAMES, **github, FILE: "token.jwt"}) == OidcLogin(
        *names, Path("token.jwt")
    )
    for audience in ("sts.myhuaweicloud.com", "mine"):
        chosen = {"HUAWEICLOUD_OIDC_AUDIENCE": audience} if audience == "mine" else {}
        query = (("api-version", "2.0"), ("audience", audience))
        request = TokenRequest("https://issuer.example.com", "/a/b", query, Secret("bearer"))
        assert choose_login("auto", {**NAMES, **github, **chosen}) == OidcLogin(*names, request)


def test_which_login_is_taken() -> None:
    """`auto` takes OIDC first where its names are set; another kind leaves it alone; `oidc`
    takes nothing else.
    """
    both = {**NAMES, TOKEN: "the-token", "HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK": "s"}
    assert isinstance(choose_login("auto", both), OidcLogin)
    assert isinstance(choose_login("oidc", both), OidcLogin)
    assert isinstance(choose_login("aksk", both), KeyLogin)
    with pytest.raises(CloudDenied) as refused:
        choose_login("oidc", {k: v for k, v in both.items() if k not in NAMES})
    assert "set HUAWEICLOUD_OIDC_PROVIDER_URN and HUAWEICLOUD_OIDC_AGENCY_URN" in str(
        refused.value.hint
    )
    assert {TOKEN, REQUEST_TOKEN} <= CREDENTIAL_NAMES


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"HUAWEICLOUD_OIDC_AGENCY_URN": ""}, "AGENCY_URN is not"),
        ({"HUAWEICLOUD_OIDC_PROVIDER_URN": ""}, "PROVIDER_URN is not"),
        ({"HUAWEICLOUD_OIDC_PROVIDER_URN": "x" * 1501}, "longer than 1500"),
        ({TOKEN: ""}, "id-token: write"),
        ({TOKEN: "", URL: "https://issuer.example.com/"}, "id-token: write"),
        ({TOKEN: "t\u00f6ken"}, "no header"),
        ({"HUAWEICLOUD_OIDC_SESSION_NAME": "x"}, "2 to 128"),
        ({"HUAWEICLOUD_OIDC_SESSION_NAME": "x" * 129}, "2 to 128"),
        ({"HUAWEICLOUD_OIDC_DURATION_SECONDS": "899"}, "900 to 43200"),
        ({"HUAWEICLOUD_OIDC_DURATION_SECONDS": "43201"}, "900 to 43200"),
        ({"HUAWEICLOUD_OIDC_DURATION_SECONDS": "an hour"}, "900 to 43200"),
        ({"HUAWEICLOUD_OIDC_DURATION_SECONDS": "-900"}, "900 to 43200"),
    ],
)
def test_half_a_login_is_an_error(environ: dict[str, str], words: str) -> None:
    """What is missing or out of limits is said by its name; nothing else is taken instead,
    no value is shown.
    """
    keys = {"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK": "s"}
    with pytest.raises(CloudDenied) as refused:
        choose_login("auto", {**keys, **NAMES, TOKEN: "the-token", **environ})
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert "the-token" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.com/x",
        "ftp://127.0.0.1/x",
        "https://user@issuer.example.com/x",
        "https:///x",
        "https://[::1/x",
        "https://issuer.example.com:x/",
        "https://issuer.example.com/a b",
        "issuer",
    ],
)
def test_the_jobs_token_goes_to_https_only(url: str) -> None:
    """GitHub's service is asked over https, or on loopback; the job's token is never sent
    to anything else.
    """
    with pytest.raises(CloudDenied) as refused:
        choose_login("auto", {**NAMES, URL: url, REQUEST_TOKEN: "planted"})
    assert "ACTIONS_ID_TOKEN_REQUEST_URL is no https URL" in refused.value.message


def test_endpoints_are_those_of_the_vendor() -> None:
    """STS is where the vendor's SDK looks for it; where no source says, there is none; a
    written one is checked.
    """
    for region in regions_of_the_sdk("huaweicloudsdkecs", "v2/region/ecs_region.py", "EcsRegion"):
        found = settings_for(cloud="huaweicloud", region=region, environ={}).sts_url
        default = "https://sts.cn-north-4.myhuaweicloud.com"
        assert found == (
            None if region == "eu-west-101" else get_sts_endpoint_by_id(region, default)
        ), region
    assert settings_for(cloud="otc", region="eu-de", environ={}).sts_url is None
    assert settings_for(
        cloud="simulator", region="r", ecs="http://127.0.0.1:1", environ={}
    ).sts_url == ("http://127.0.0.1:1")
    mine = "https://sts.eu-west-101.myhuaweicloud.com"
    assert (
        settings_for(cloud="huaweicloud", region="eu-west-101", sts=mine, environ={}).sts_url
        == mine
    )
    for wrong in ("https://sts.evil.com", "http://sts.cn-north-4.myhuaweicloud.com", mine + "/x"):
        with pytest.raises(InvalidInput):
            settings_for(cloud="huaweicloud", region="cn-north-4", sts=wrong, environ={})


def test_without_an_endpoint() -> None:
    """Where no STS is known the login is refused before anything is sent, with what to write."""

    async def main() -> None:
        target = settings_for(cloud="otc", region="eu-de", project_id="p", environ={})
        with pytest.raises(CloudDenied, match="no STS endpoint is known") as refused:
            async with HuaweiCloud.open(
                target, choose_login("auto", {**NAMES, TOKEN: "the-token"})
            ):
                pass
        assert "HUAWEICLOUD_SDK_IDP_ID instead of the two URNs" in str(refused.value.hint)

    run(main())


# -- the plain way -------------------------------------------------------------


def test_the_whole_way() -> None:
    """Project, list, reboot, job and history work with a temporary key, and one exchange
    serves them all.
    """

    async def main() -> None:
        async with there() as here:
            assert len((await here.cloud.inventory()).servers) == 5
            answer = await here.cloud.reboot(here.ids[:2], "SOFT", here.time())
            assert isinstance(answer, Accepted)
            await here.cloud.job(answer.job_id)
            await here.read()
            assert (here.calls("token"), here.calls("projects")) == (1, 1)
            assert here.state.reboot_counts() == dict.fromkeys(here.ids[:2], 1)

    run(main())


def test_requests_at_once_share_one_key() -> None:
    """Requests that come together wait for one exchange, at the start and at a renewal."""

    async def main() -> None:
        async with there(
            {"HUAWEICLOUD_SDK_PROJECT_ID": "", TOKEN: id_token(START, exp=4_000_000_000)}
        ) as here:
            for expected in (1, 2):
                await asyncio.gather(*(here.read() for _ in range(6)))
                assert here.calls("token") == expected
                here.time.pass_(minutes=57)

    run(main())


def test_renewed_when_five_minutes_are_left() -> None:
    """The key of an hour is renewed after 55 minutes, with an ID token of that moment,
    before anything is refused.
    """

    async def main() -> None:
        async with there() as here:
            here.time.pass_(minutes=54, seconds=59)
            await here.read()
            assert here.calls("token") == len(here.issuer.issued) == 1
            here.time.pass_(seconds=1)
            await here.read()
            assert here.calls("token") == len(set(here.issuer.issued)) == 2
            assert 401 not in {c.status for c in here.state.requests()}

    run(main())


def test_a_shorter_key_is_renewed_in_time() -> None:
    """A key that ends before the time that was asked for is renewed by what the answer says."""

    async def main() -> None:
        async with there(key_valid=timedelta(minutes=15)) as here:
            for _ in range(4):
                here.time.pass_(minutes=10)
                await here.read()
            assert here.calls("token") == 5
            assert 401 not in {c.status for c in here.state.requests()}

    run(main())


def test_old_key_serves_while_none_is_to_be_had() -> None:
    """While STS fails, the old key is used to its end and asked about rarely; then the
    failure is told.
    """

    async def main() -> None:
        async with there() as here:
            here.fault(do="error", on="token", times="all", status=503)
            here.time.pass_(minutes=55)
            for _ in range(3):
                await here.read()
            assert here.calls("token") == 3, "the first, and one renewal with its second try"
            here.time.pass_(minutes=5)
            with pytest.raises(CloudError, match="the cloud failed"):
                await here.read()
            answer = await here.cloud.reboot(here.ids[:1], "SOFT", here.time())
            assert isinstance(answer, NotSent)
            assert here.calls("reboot") == 0

    run(main())


def test_a_key_that_ended_meanwhile() -> None:
    """A read that is refused with 401 is repeated once with a new key."""

    async def main() -> None:
        async with there() as here:
            here.fault(do="expire_token", on="actions")
            await here.read()
            assert here.calls("token") == 2
            here.fault(do="expire_token", on="actions", times="all")
            with pytest.raises(CloudDenied, match="the security token has expired"):
                await here.read()
            assert here.calls("token") == 3

    run(main())


def test_a_reboot_is_never_repeated_here() -> None:
    """A reboot that is refused for an old key is not sent again: the key is renewed and the
    caller told so.
    """

    async def main() -> None:
        async with there() as here:
            here.fault(do="expire_token", on="reboot")
            answer = await here.cloud.reboot(here.ids[:2], "SOFT", here.time())
            assert isinstance(answer, Throttled)
            assert (here.calls("reboot"), here.calls("token")) == (1, 2)
            assert not here.state.reboot_counts()
            assert isinstance(await here.cloud.reboot(here.ids[:2], "SOFT", here.time()), Accepted)

    run(main())


def test_a_lost_answer_renews_nothing() -> None:
    """A reboot whose answer is lost stays in doubt: one request, no new key, nothing sent again."""

    async def main() -> None:
        async with there() as here:
            here.fault(do="reset", on="reboot", when="after")
            answer = await here.cloud.reboot(here.ids[:2], "SOFT", here.time())
            assert isinstance(answer, Ambiguous)
            assert (here.calls("reboot"), here.calls("token")) == (1, 1)
            assert here.state.reboot_counts() == dict.fromkeys(here.ids[:2], 1)

    run(main())


def test_a_reboot_carries_the_date_of_its_intent() -> None:
    """Though the key is fetched first, the request is signed with the date that was given:
    late ones are refused.
    """

    async def main() -> None:
        async with there() as here:
            here.time.pass_(minutes=56)
            late = here.time() - timedelta(minutes=16)
            answer = await here.cloud.reboot(here.ids[:1], "SOFT", late)
            assert isinstance(answer, Denied | Throttled)
            assert f"the signature's time {late:%Y%m%dT%H%M%SZ} is too far" in answer.reason
            assert not here.state.reboot_counts()

    run(main())


# -- where ID tokens come from -------------------------------------------------


def test_the_file_is_read_anew(tmp_path: Path) -> None:
    """Each exchange reads the file: what somebody has put there meanwhile is used."""
    file = tmp_path / "token.jwt"
    file.write_text(id_token(START) + "\n")

    async def main() -> None:
        async with there({FILE: str(file)}) as here:
            here.time.pass_(minutes=56)
            fresh = id_token(here.time())
            file.write_text(fresh)
            await here.read()
            assert here.calls("token") == 2
            assert fresh in here.told

    run(main())


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * 20_001, b"two\nlines"])
def test_a_file_without_a_token(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing, or holds nothing that can be a token, is named in the error."""
    file = tmp_path / "token.jwt"
    if content is not None:
        file.write_bytes(content)

    async def main() -> None:
        with pytest.raises(CloudDenied, match=FILE) as refused:
            async with there({FILE: str(file)}):
                pass
        assert str(file) in str(refused.value.hint)

    run(main())


def test_github_gives_no_token() -> None:
    """A job without the permission learns which one it needs."""

    async def main() -> None:
        with issuer() as one:
            with pytest.raises(CloudDenied, match="GitHub gave no ID token: HTTP 401") as refused:
                async with there({URL: one.url, REQUEST_TOKEN: "planted-wrong"}):
                    pass
            assert "id-token: write" in str(refused.value.hint)
            assert "planted" not in f"{refused.value!r} {refused.value.hint}"

    run(main())


@pytest.mark.parametrize(
    "body", ["{}", '{"value": 3}', '{"value": ""}', '{"value": "t\\u00f6ken"}', "[]"]
)
def test_github_answers_nonsense(body: str) -> None:
    """An answer without a token is an error of its own, and nothing is exchanged."""

    async def main() -> None:
        async with wild(reply(200, body), reply(200, body)) as server:
            with pytest.raises(CloudError):
                async with there({URL: f"{server.url}/x", REQUEST_TOKEN: BEARER}):
                    pass
            assert server.seen[0].target == "/x?audience=sts.myhuaweicloud.com"
            assert server.seen[0].headers["authorization"] == f"bearer {BEARER}"

    run(main())


def test_what_is_asked_of_sts() -> None:
    """The exchange is unsigned and holds what the environment says, in the documented
    names, and nothing else.
    """
    environ = {
        "HUAWEICLOUD_OIDC_POLICY": '{"Version":"5.0"}',
        "HUAWEICLOUD_OIDC_POLICY_IDS": "one,two",
        "HUAWEICLOUD_OIDC_DURATION_SECONDS": "900",
    }

    async def main() -> None:
        async with wild(reply(403, {"error_code": "X", "error_msg": "no"})) as server:
            target = settings_for(cloud="simulator", region="r", ecs=server.url, environ={})
            with pytest.raises(CloudDenied):
                async with HuaweiCloud.open(
                    target, choose_login("auto", {**NAMES, **environ, TOKEN: "the-token"})
                ):
                    pass
            (seen,) = server.seen
            assert (seen.method, seen.target) == ("POST", "/v5/agencies/assume-with-oidc")
            assert not {"authorization", "x-auth-token", "x-security-token"} & seen.headers.keys()
            assert json.loads(seen.body) == {
                "provider_urn": TRUST.provider_urn,
                "agency_urn": TRUST.agency_urn,
                "agency_session_name": "oidc-sts-session",
                "id_token": "the-token",
                "duration_seconds": 900,
                "policy": '{"Version":"5.0"}',
                "policy_ids": ["one", "two"],
            }

    run(main())


# -- refusals ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (
            {"sub": "repo:example/other:environment:prod"},
            ("sub repo:example/other:environment:prod", "trust policy"),
        ),
        ({"aud": ["a", "b"]}, ("aud a, b", "trust policy")),
        (
            {"iss": "https://else.example.com"},
            ("iss https://else.example.com", "must know the issuer"),
        ),
        ({"exp": 1_700_000_000}, (f"sub {SUBJECT}", f"{TOKEN} cannot be renewed")),
        ({"sub": "a\n::error::b\u2028c" + "x" * 400}, ("sub a ::error::b c", "trust policy")),
    ],
)
def test_a_refusal_shows_the_claims(claims: dict[str, Any], words: tuple[str, str]) -> None:
    """Whom the token speaks for is told in one line, with how to mend it; the token itself
    never is.
    """
    token = id_token(START, **claims)

    async def main() -> None:
        with pytest.raises(CloudDenied) as refused:
            async with there({TOKEN: token}):
                pass
        error = refused.value
        assert error.exit_code == 77
        assert error.message.startswith("STS refused the ID token: ")
        assert "STS5.040" in error.message
        assert words[0] in error.message
        assert words[1] in str(error.hint)
        assert "\n" not in error.message
        assert not any(
            part in f"{error!r} {error.message} {error.hint}" for part in token.split(".")
        )

    run(main())


def test_what_is_no_jwt_has_no_claims() -> None:
    """A token that cannot be read is called so; nothing of it is shown."""
    for text in ("planted", "a.b.c", "a.!!.c", "a.W10.c", "a..c", "a.bnVsbA.c"):
        assert claims_of(Secret(text)) == {}

    async def main() -> None:
        with pytest.raises(CloudDenied, match="the ID token is no JWT") as refused:
            async with there({TOKEN: "planted-token"}):
                pass
        assert "planted" not in f"{refused.value!r} {refused.value.hint}"

    run(main())


def test_a_reboot_whose_login_is_refused() -> None:
    """When the agency's trust ends in mid-run, a reboot is denied with the claims, and
    nothing is sent.
    """

    async def main() -> None:
        async with there() as here:
            here.issuer.subject = "repo:example/other:ref:refs/heads/main"
            here.time.pass_(hours=2)
            answer = await here.cloud.reboot(here.ids[:1], "SOFT", here.time())
            assert isinstance(answer, Denied)
            assert "repo:example/other" in answer.reason
            assert here.calls("reboot") == 0

    run(main())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"credentials": {}},
        {"credentials": ["x"]},
        {"credentials": {"access_key_id": "a", "secret_access_key": "s"}},
        {
            "credentials": {
                "access_key_id": "a",
                "secret_access_key": "s",
                "security_token": "t\r\nX: y",
            }
        },
        {"credentials": {"access_key_id": "a", "secret_access_key": 3, "security_token": "t"}},
    ],
)
def test_sts_answers_nonsense(body: dict[str, Any]) -> None:
    """An answer without a whole key that headers can carry is an error; nothing is signed
    with half of one.
    """

    async def main() -> None:
        async with wild(reply(200, body)) as server:
            target = settings_for(cloud="simulator", region="r", ecs=server.url, environ={})
            with pytest.raises(CloudError, match="STS gave no usable key"):
                async with HuaweiCloud.open(
                    target, choose_login("auto", {**NAMES, TOKEN: "planted"})
                ):
                    pass
            assert len(server.seen) == 1

    run(main())


def test_a_wrong_endpoint_is_no_refusal() -> None:
    """A host that is no STS is an error of the endpoint, not of the token; and nobody there
    is no denial either.
    """

    async def main() -> None:
        gateway = {
            "error_code": "APIGW.0101",
            "error_msg": "The API does not exist",
            "request_id": "r",
        }
        async with wild(reply(404, gateway)) as server:
            for url, words in (
                (server.url, "APIGW.0101"),
                (f"http://127.0.0.1:{free_port()}", "cannot connect"),
            ):
                target = settings_for(cloud="simulator", region="r", ecs=url, environ={})
                with pytest.raises(CloudError, match=words) as found:
                    async with HuaweiCloud.open(
                        target, choose_login("auto", {**NAMES, TOKEN: "planted"})
                    ):
                        pass
                assert not isinstance(found.value, CloudDenied)

    run(main())


# -- secrets -------------------------------------------------------------------


def test_secrets_are_told_once_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Each ID token and each part of each key is told to the hook, once and in time; no log
    or repr holds one.
    """
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with there() as here:
            assert here.told[0] == here.issuer.issued[0]
            here.time.pass_(minutes=56)
            await here.read()
            echo = f"you sent {here.told[0]} and {here.told[4]}"
            here.fault(
                do="error", on="actions", times="all", status=400, code="Ecs.0005", message=echo
            )
            with pytest.raises(CloudError) as failed:
                await here.read()
            login = choose_login("auto", here.issuer.environ)
            shown = (
                f"{here.log} {here.cloud!r} {vars(here.cloud)} {login!r} {failed.value!r} "
                f"{caplog.text}"
            )
            assert len(here.told) == len(set(here.told)) == 2 * 4
            assert here.issuer.issued == [here.told[0], here.told[4]]
            assert {line.target for line in here.log} & {"/v5/agencies/assume-with-oidc"}
            for secret in (
                *here.told,
                BEARER,
                *(part for t in here.issuer.issued for part in t.split(".")[1:]),
            ):
                assert secret not in shown

    run(main())
