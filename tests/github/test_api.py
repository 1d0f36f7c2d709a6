"""The client of GitHub's API against a server that behaves like GitHub, and against answers
that do not.
"""

from __future__ import annotations

import asyncio
import io
import re
import traceback
import zipfile

import pytest

from runner.github.api import (
    GitHub,
    GitHubError,
    address_of,
    api_address,
    dispatch,
    repo_path,
    tolerated,
)
from runner.net.secret import Secret
from runner.net.wire import RequestLog
from tests.github.asking import ask, ask_and_count, refusal
from tests.github.standin import REPOSITORY, TOKEN, Account, Fault, StandIn
from tests.github.standin_state import zipped

COMMENTS = f"/repos/{REPOSITORY}/issues/7/comments"


async def list_comments(api: GitHub) -> list[dict[str, object]]:
    return await api.pages(COMMENTS, needs="pull-requests: read")


async def write_comment(api: GitHub) -> object:
    return await api.write("POST", COMMENTS, {"body": "x"}, needs="pull-requests: write")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "https://user@api.github.com",
        "https://",
        "ftp://api.github.com",
        "https://[::1",
        "https://ghe.example/api?x=1",
        "http://127.0.0.1.evil.example",
        "https://ghe.example:99999",
    ],
)
def test_the_token_goes_to_no_odd_address(url: str) -> None:
    """An address of the API that is not plain https, or http on this machine, is refused
    before anything is sent.
    """
    with pytest.raises(GitHubError, match="the token is not sent there"):
        GitHub({"GITHUB_API_URL": url, "GITHUB_TOKEN": "t"})


def test_addresses_of_the_api() -> None:
    """GitHub's own address where none is said; an enterprise's keeps its prefix."""
    assert api_address({}).origin == "https://api.github.com"
    found = api_address({"GITHUB_API_URL": "https://ghe.example:8443/api/v3/"})
    assert (found.origin, found.prefix, found.host) == (
        "https://ghe.example:8443",
        "/api/v3",
        "ghe.example",
    )


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "naïve"])
def test_no_client_without_a_token(token: str) -> None:
    """A token that is missing or cannot be one is said to be so, and is not shown."""
    with pytest.raises(GitHubError) as caught:
        GitHub({"GITHUB_TOKEN": token})
    assert "GITHUB_TOKEN" in str(caught.value.hint)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "repo", ["octo", "octo/fleet/x", "../fleet", "octo/..", "octo/fl eet", "octo/fleet?x", ""]
)
def test_only_names_of_repositories_become_paths(repo: str) -> None:
    """What is no OWNER/NAME never becomes a part of an address."""
    with pytest.raises(GitHubError, match="OWNER/NAME"):
        repo_path(repo)


def test_parts_of_paths_are_encoded() -> None:
    """A slash or a question mark in a part stays in that part."""
    assert (
        repo_path("octo/fleet", "commits", "a/../b?c", "pulls")
        == "/repos/octo/fleet/commits/a%2F..%2Fb%3Fc/pulls"
    )


def test_all_pages_are_read(github: StandIn) -> None:
    """205 comments come in order, over three pages whose addresses are GitHub's."""
    for n in range(205):
        github.state.write_comment(7, "ada", f"comment {n}")
    found = ask(github, list_comments)
    assert [c["body"] for c in found] == [f"comment {n}" for n in range(205)]
    pages = [line["path"] for line in github.state.lines("requests.jsonl")]
    assert pages == [COMMENTS, *["/repositories/1001/issues/7/comments"] * 2]


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:9/x", "https://evil.example/x", "http://[::1/x", "//x@y/z"]
)
def test_no_next_page_on_another_host(github: StandIn, elsewhere: str) -> None:
    """A next page that is said to be elsewhere is not asked for: the token would go there."""
    github.faults = [Fault(200, headers={"Link": f'<{elsewhere}>; rel="next"'}, body=b"[]")]
    assert "another host" in refusal(github, list_comments).message
    assert len(github.state.lines("requests.jsonl")) == 1


def test_endless_pages_end(github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that lead to each other are given up."""
    monkeypatch.setattr("runner.github.api.MAX_PAGES", 5)
    link = f'<{github.url}/repositories/1001/issues/7/comments?page=2>; rel="next"'
    github.faults = [Fault(200, times=1000, headers={"Link": link}, body=b"[]")]
    assert "more than 5 pages" in refusal(github, list_comments).message
    assert len(github.state.lines("requests.jsonl")) == 5


def test_wrong_token(github: StandIn) -> None:
    """A token that GitHub does not know is said to be so, and is shown nowhere."""
    error = refusal(github, list_comments, "planted-token-0815")
    assert (error.status, error.exit_code) == (401, 1)
    assert "does not accept the token" in error.message
    assert "planted" not in "".join(traceback.format_exception(error)) + repr(error) + str(
        error.hint
    )


def test_the_token_is_hidden(github: StandIn) -> None:
    """The token is in no log line, no repr, and not in a message that quotes a server which
    repeats it.
    """
    log: list[RequestLog] = []
    ask_and_count(github, list_comments, log=log)
    github.faults = [Fault(418, body=b'{"message": "you sent Bearer %s"}' % TOKEN.encode())]
    error = refusal(github, list_comments)
    assert "you sent ***" in error.message
    client = GitHub(github.environ())
    assert TOKEN not in repr(log) + error.message + repr(vars(client))


def test_missing_permission_is_named(github: StandIn) -> None:
    """403 names the permissions that GitHub would have accepted."""
    github.accounts = {TOKEN: Account(permissions={"issues": "read"})}
    error = refusal(github, write_comment)
    assert error.status == 403
    assert "issues: write or pull-requests: write" in str(error.hint)


def test_missing_things_may_be_hidden_ones(github: StandIn) -> None:
    """404 says what is missing, and which permission would show it."""

    async def other(api: GitHub) -> object:
        return await api.get("/repos/octo/other/actions/artifacts", needs="actions: read")

    error = refusal(github, other)
    assert error.status == 404
    assert "/repos/octo/other" in error.message
    assert "actions: read" in str(error.hint)


def test_hostile_permissions_are_not_quoted(github: StandIn) -> None:
    """A header that is no list of permissions is not repeated."""
    github.faults = [Fault(403, headers={"X-Accepted-GitHub-Permissions": "::error::x"})]
    assert "::" not in str(refusal(github, list_comments).hint)


@pytest.mark.parametrize(
    ("status", "headers", "waits"),
    [
        (429, {"Retry-After": "7"}, [7.0]),
        (403, {"Retry-After": "60"}, [60.0]),
        (503, {}, [1.0]),
        (502, {}, [1.0]),
    ],
)
def test_reads_are_repeated_once(
    github: StandIn, status: int, headers: dict[str, str], waits: list[float]
) -> None:
    """After a wait as long as GitHub says, a read is tried again; a second failure is the end."""
    github.faults = [Fault(status, headers=headers)]
    assert ask_and_count(github, list_comments) == ([], waits)
    github.faults = [Fault(status, headers=headers, times=2)]
    refusal(github, list_comments)
    assert github.faults[0].times == 0


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "3600"}, {"X-RateLimit-Remaining": "0"}, {"Retry-After": "soon"}]
)
def test_long_limits_are_not_waited_for(github: StandIn, headers: dict[str, str]) -> None:
    """A rate limit that lasts is an error at once, which says how long."""
    github.faults = [Fault(403, headers=headers)]
    error = refusal(github, list_comments)
    assert "rate limit" in error.message
    assert "wait" in str(error.hint)
    assert len(github.state.lines("requests.jsonl")) == 1


def test_writes_are_never_repeated(github: StandIn) -> None:
    """A comment that may have been written is not written again."""
    github.faults = [
        Fault(503, headers={"Retry-After": "1"}),
        Fault(429, headers={"Retry-After": "1"}),
    ]
    for _ in range(2):
        refusal(github, write_comment)
    assert len(github.state.lines("requests.jsonl")) == 2
    assert github.state.comments(7) == []


@pytest.mark.parametrize("body", [b"<html>", b'{"a": 1}', b"[1]", b"null", b"[" * 100_000])
def test_answers_of_another_shape(github: StandIn, body: bytes) -> None:
    """An answer that is not the list asked for is an error of ours."""
    github.faults = [Fault(200, body=body)]
    assert re.search("not JSON|not the list|nested deeper", refusal(github, list_comments).message)


def test_redirects_of_the_api_are_not_followed(github: StandIn) -> None:
    """A repository that has moved is named: its new address never sees the token."""
    github.faults = [Fault(301, headers={"Location": "http://127.0.0.1:9/"})]
    assert "redirects, which is not followed" in refusal(github, list_comments).message


def test_nobody_answers(github: StandIn) -> None:
    """Where nothing listens, the error says so after one more try."""
    github_is_gone = StandIn("http://127.0.0.1:9", "", github.state, {})
    error = refusal(github_is_gone, list_comments)
    assert "cannot be reached" in error.message
    assert "GITHUB_API_URL" in str(error.hint)


def test_tolerated_errors_become_warnings(github: StandIn) -> None:
    """In the block that tolerates, an error is one sentence for the warning; other errors pass."""
    said: list[str] = []
    github.faults = [Fault(403)]
    with tolerated(said.append):
        ask(github, write_comment)
    assert len(said) == 1
    assert "forbids" in said[0]
    with pytest.raises(KeyError), tolerated(said.append):
        raise KeyError


@pytest.mark.parametrize(
    ("login", "shown"), [("ada", "ada"), ("github-actions[bot]", "github-actions[bot]")]
)
def test_who_we_are(github: StandIn, login: str, shown: str) -> None:
    """The login is that of the token's user, and the bot's for a job's own token; asked once."""
    github.accounts = {TOKEN: Account(login)}

    async def twice(api: GitHub) -> list[str]:
        return [await api.login(), await api.login()]

    assert ask(github, twice) == [shown, shown]
    assert len(github.state.lines("requests.jsonl")) == 1


def test_a_limit_does_not_change_who_we_are(github: StandIn) -> None:
    """A rate limit while asking for the login is an error: another name would mean a second
    comment.
    """
    github.accounts = {TOKEN: Account("ada")}
    github.faults = [Fault(403, headers={"Retry-After": "3600"})]
    assert "rate limit" in refusal(github, lambda api: api.login()).message


def stored(github: StandIn) -> str:
    made = github.state.write_artifact("n", zipped({"web.json": b"{}"}), head_sha="a" * 40)
    return f"/repos/{REPOSITORY}/actions/artifacts/{made['id']}/zip"


def test_downloads_leave_the_token_at_home(github: StandIn) -> None:
    """A download follows one redirect, its signature unchanged, without the token; no log
    line shows the signature.
    """
    path = stored(github)
    log: list[RequestLog] = []
    found, _ = ask_and_count(github, lambda api: api.download(path, needs="actions: read"), log=log)
    assert zipfile.ZipFile(io.BytesIO(found)).read("web.json") == b"{}"
    asked = [
        (line["api"], line["status"], line["who"]) for line in github.state.lines("requests.jsonl")
    ]
    assert asked == [(True, 302, "github-actions[bot]"), (False, 200, None)]
    assert [entry.outcome for entry in log] == ["302", "200"]
    assert "sig" not in repr(log)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("http://storage.example{path}", "not https"),
        ("https://10.0.0.1{path}", "private"),
        ("https://169.254.169.254{path}", "private"),
        ("https://[::ffff:192.168.0.1]{path}", "private"),
        ("https://user:pass@storage.example{path}", "names a user"),
        ("/storage/x", "no address"),
        ("file:///etc/passwd", "no address"),
        ("https://x{path}\u00e9", "no address"),
    ],
)
def test_downloads_go_to_no_odd_place(github: StandIn, where: str, why: str) -> None:
    """A redirect to a private address, without TLS or with credentials is not followed."""
    path = stored(github)
    github.redirect = where
    assert why in refusal(github, lambda api: api.download(path, needs="actions: read")).message
    assert len(github.state.lines("requests.jsonl")) == 1


@pytest.mark.parametrize(
    "where",
    ["http://127.0.0.1:1/x", "https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x"],
)
def test_a_real_api_never_sends_us_to_this_machine(where: str) -> None:
    """Only an API that is on this machine may send to this machine."""
    with pytest.raises(ValueError, match=r"private|not https"):
        asyncio.run(address_of(where, "api.github.com"))


def test_an_enterprise_may_store_at_home() -> None:
    """The API's own host may keep the files, whatever its address is; a public address
    is fine too.
    """
    own = asyncio.run(address_of("https://10.1.2.3/_services/x?a=%20b", "10.1.2.3"))
    assert own == ("https://10.1.2.3", "/_services/x?a=%20b")
    assert asyncio.run(address_of("https://140.82.112.3", "api.github.com")) == (
        "https://140.82.112.3",
        "/",
    )


def test_a_second_redirect_is_not_followed(github: StandIn) -> None:
    """One redirect is followed, not two."""
    path = stored(github)
    github.faults = [Fault(302, path="/storage", headers={"Location": github.url + "/user"})]
    assert (
        "HTTP 302" in refusal(github, lambda api: api.download(path, needs="actions: read")).message
    )


def test_dispatch(github: StandIn) -> None:
    """A workflow is started once, with its inputs."""
    ask(
        github,
        lambda api: dispatch(api, REPOSITORY, "reboot-reconcile.yml", "main", {"wait": "30m"}),
    )
    expected = {"workflow": "reboot-reconcile.yml", "ref": "main", "inputs": {"wait": "30m"}}
    assert github.state.lines("dispatches.jsonl") == [expected]


@pytest.mark.parametrize("file", ["../x.yml", "a/b.yml", "x.sh", "", "x.yml\n", ".yml"])
def test_dispatch_of_no_workflow(github: StandIn, file: str) -> None:
    """What is not the name of a workflow's file is refused before it is sent."""
    assert (
        "workflow" in refusal(github, lambda api: dispatch(api, REPOSITORY, file, "main")).message
    )
    assert github.state.lines("requests.jsonl") == []


def test_dispatch_refused(github: StandIn) -> None:
    """GitHub's reason for refusing is in the error, and so is the permission that is missing."""
    error = refusal(github, lambda api: dispatch(api, REPOSITORY, "x.yml", "no-such-branch"))
    assert "No ref found for: no-such-branch" in error.message
    github.accounts = {TOKEN: Account(permissions={"actions": "read"})}
    assert "actions: write" in str(
        refusal(github, lambda api: dispatch(api, REPOSITORY, "x.yml", "main")).hint
    )


def test_a_token_can_be_given(github: StandIn) -> None:
    """A token that is handed over counts before the environment's."""

    async def main() -> str:
        async with GitHub(github.environ("wrong"), Secret(TOKEN)) as api:
            return await api.login()

    assert asyncio.run(main()) == "github-actions[bot]"
