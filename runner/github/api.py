"""GitHub's REST API: few calls, each with an error that says which permission is missing.

The API's address comes from the job's environment (`GITHUB_API_URL`) and from nowhere else; the
token goes to that origin only. Reads are repeated once where that can help, writes never. What
comments, summaries and dispatches raise is a GitHubError, of which `tolerated` makes a warning:
they are extras and never change an exit code.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from runner.errors import RunnerError
from runner.inputs.fields import as_list, json_object
from runner.inputs.json_text import parse_json, why_no_json
from runner.net.hosts import is_loopback
from runner.net.origin import safe_parts
from runner.net.secret import Secret, scrubber
from runner.net.text import tidy
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable, encode

DEFAULT_API = "https://api.github.com"
VERSION = "2022-11-28"
LIMITS = ExchangeLimits(total_s=120.0)
"""20 MB an answer: a page of 100 comments of full length fits, and so does an artifact that
we accept.
"""
MAX_PAGES = 100
LONGEST_WAIT_S = 60.0
FALLBACK_LOGIN = "github-actions[bot]"

Sleep = Callable[[float], Awaitable[None]]
Method = Literal["GET", "POST", "PATCH"]

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;\s*rel="next"')
_PERMISSIONS = re.compile(r"[a-z_]+=(?:read|write|admin)(?:[,;]\s*[a-z_]+=(?:read|write|admin))*")
_WORKFLOW = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.ya?ml")
MOST_INPUTS = 25
LONGEST_LOCATION = 8_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({500, 502, 503, 504})


class GitHubError(RunnerError):
    """GitHub refuses, cannot be reached, or answers what we do not understand. `status`:
    HTTP's, where there is one.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@contextmanager
def tolerated(warn: Callable[[str], None]) -> Iterator[None]:
    """A GitHubError in the block becomes one sentence for `warn`, and nothing else happens."""
    try:
        yield
    except GitHubError as error:
        warn(f"{error.message}: {error.hint}" if error.hint else error.message)


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the API is: `https://api.github.com` and an empty prefix, or
    `https://ghe.example` and `/api/v3`.
    """

    origin: str
    prefix: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.origin).hostname or ""


def api_address(environ: Mapping[str, str]) -> ApiAddress:
    """The API's address of the job's environment. Raises GitHubError for one that no token
    may be sent to.
    """
    written = environ.get("GITHUB_API_URL") or DEFAULT_API
    parts = safe_parts(written)
    if parts is None or parts.query or parts.fragment:
        raise GitHubError(
            f"GITHUB_API_URL is {tidy(written, 100)}: the token is not sent there",
            hint="it must be https://HOST, as GitHub's runner sets it; http only for this machine",
        )
    return ApiAddress(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"))


class GitHub:
    """A client for one job. Use it as `async with GitHub(environ) as api`.

    `token` is `GITHUB_TOKEN` of the environment where none is given. `log` is called once
    for each exchange; it sees neither headers nor the signatures of download addresses.
    Raises GitHubError where there is no token.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        token: Secret | None = None,
        *,
        log: Callable[[RequestLog], None] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.address = api_address(environ)
        self._token = token or Secret(environ.get("GITHUB_TOKEN", ""))
        if not _TOKEN.fullmatch(self._token.reveal()):
            raise GitHubError(
                "there is no usable token for GitHub's API",
                hint="give the step `GITHUB_TOKEN: ${{ github.token }}` in its `env`",
            )
        self._scrub = scrubber((self._token,))
        self._sleep = sleep
        self._transport = Transport(LIMITS, log=log)

        def log_without_query(entry: RequestLog) -> None:
            if log is not None:
                log(replace(entry, target=entry.target.partition("?")[0]))

        self._elsewhere = Transport(LIMITS, log=log_without_query)
        self._login: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.aclose()
        await self._elsewhere.aclose()

    async def get(self, path: str, query: Sequence[tuple[str, str]] = (), *, needs: str) -> Any:
        """The JSON at `path` (see `repo_path`). `needs` names the permission for the error,
        `contents: read`.
        """
        return self._json(await self._ask(self._request("GET", path, query), needs))

    async def write(
        self, method: Literal["POST", "PATCH"], path: str, body: Mapping[str, Any], *, needs: str
    ) -> Any:
        """Send JSON once; the JSON of the answer, None for an empty one. Not repeated: it
        may have been done.
        """
        request = self._request(method, path, (), json.dumps(body).encode())
        reply = await self._ask(request, needs)
        return self._json(reply) if reply.body else None

    async def pages(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        needs: str,
        key: str | None = None,
    ) -> list[dict[str, Any]]:
        """The objects of all pages, in order; `key` is their name where a page is an object itself.

        Raises GitHubError for more than MAX_PAGES pages of 100, and for a next page on
        another host.
        """
        request = self._request("GET", path, (*query, ("per_page", "100")))
        found: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            reply = await self._ask(request, needs)
            page = self._json(reply)
            items = page.get(key) if key is not None and isinstance(page, dict) else page
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise GitHubError(
                    f"GET {_short(path)}: GitHub's answer is not the list that was expected"
                )
            found += items
            link = _NEXT.search(reply.headers.get("link", ""))
            if link is None:
                return found
            request = self._next(link[1], path)
        raise GitHubError(f"GET {_short(path)}: more than {MAX_PAGES} pages, which is not read")

    async def download(self, path: str, *, needs: str) -> bytes:
        """What is at `path`, by exactly one redirect to another place, which never sees the token.

        Raises GitHubError where that place is not https, is private, or sends more than an
        answer may have.
        """
        reply = await self._send(self._request("GET", path))
        if reply.status not in _REDIRECTS:
            raise self._refused("GET", path, reply, needs)
        try:
            origin, target = await address_of(reply.headers.get("location", ""), self.address.host)
        except ValueError as error:
            raise GitHubError(
                f"GitHub redirects the download: {error}", hint="it is not followed"
            ) from None
        # The address is kept byte for byte: it carries a signature.
        wanted = Outgoing("GET", origin, target, (), {"Accept": "*/*"})
        reply = await self._exchange(self._elsewhere, wanted)
        if reply.status != 200:
            raise GitHubError(
                f"{tidy(wanted.host, 100)}: HTTP {reply.status} for the file that GitHub keeps "
                f"there",
                hint="run the job again; the address lives for a minute only",
                status=reply.status,
            )
        return reply.body

    async def login(self) -> str:
        """Who we are: the token's user; `github-actions[bot]` where the token has none (a
        job's own token).
        """
        if self._login is None:
            try:
                found = (await self.get("/user", needs="")).get("login")
            except GitHubError as error:
                if error.status not in (403, 404):
                    raise
                found = FALLBACK_LOGIN
            if not isinstance(found, str) or not found:
                raise GitHubError("GET /user: GitHub does not say who we are")
            self._login = found
        return self._login

    def _request(
        self, method: Method, path: str, query: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Outgoing:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token.reveal()}",
            "X-GitHub-Api-Version": VERSION,
        }
        if body:
            headers["Content-Type"] = "application/json"
        return Outgoing(
            method, self.address.origin, self.address.prefix + path, tuple(query), headers, body
        )

    def _next(self, url: str, path: str) -> Outgoing:
        """The request for the next page, whose address GitHub gives: only on the API's
        own origin.
        """
        own = urlsplit(self.address.origin)
        try:
            parts = urlsplit(url)
            is_own = (parts.scheme, parts.hostname, parts.port) == (
                own.scheme,
                own.hostname,
                own.port,
            )
        except ValueError:
            is_own = False
        if not is_own or "@" in parts.netloc:
            raise GitHubError(
                f"GET {_short(path)}: the next page is said to be on another host, which is not "
                f"asked"
            )
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return replace(self._request("GET", ""), path=target)

    async def _ask(self, request: Outgoing, needs: str) -> Reply:
        reply = await self._send(request)
        if not 200 <= reply.status < 300:
            raise self._refused(
                request.method, request.path.removeprefix(self.address.prefix), reply, needs
            )
        return reply

    async def _send(self, request: Outgoing) -> Reply:
        """One exchange; a read that failed for a passing reason gets one more, after the
        wait it was told.
        """
        if request.method != "GET":
            return await self._exchange(self._transport, request)
        try:
            reply = await self._transport.send(request)
        except Unreachable as error:
            if error.lasting:
                raise _unreachable(error) from None
            wait_s = 1.0
        else:
            told_s = _wait_s(reply)
            if told_s is None:
                return reply
            wait_s = told_s
        await self._sleep(wait_s)
        return await self._exchange(self._transport, request)

    async def _exchange(self, transport: Transport, request: Outgoing) -> Reply:
        """Writes go over a connection of their own: one that the other side is just closing
        would lose them.
        """
        try:
            return await (
                transport.send(request) if request.method == "GET" else transport.send_once(request)
            )
        except Unreachable as error:
            raise _unreachable(error) from None

    def _json(self, reply: Reply) -> Any:
        try:
            return parse_json(reply.body)
        except ValueError as error:
            message = f"{self.address.host} answered {why_no_json(error)}"
            raise GitHubError(message, hint="check GITHUB_API_URL", status=reply.status) from None

    def _refused(self, method: str, path: str, reply: Reply, needs: str) -> GitHubError:
        said = self._scrub(_said(reply))
        what = f"{method} {_short(path)}: "
        quoted = f" ({said})" if said else ""
        wait = reply.headers.get("retry-after", "")
        is_limit = (
            "retry-after" in reply.headers or reply.headers.get("x-ratelimit-remaining") == "0"
        )
        if reply.status == 429 or (reply.status == 403 and is_limit):
            told = f"{wait} s" if re.fullmatch(r"\d{1,6}", wait) else "an hour"
            hint = f"wait {told} and run the job again"
            return GitHubError(
                f"{what}GitHub's rate limit is reached{quoted}", hint=hint, status=429
            )
        answers: dict[int, tuple[str, str | None]] = {
            401: (
                "GitHub does not accept the token",
                "GITHUB_TOKEN must be the job's `${{ github.token }}`",
            ),
            403: ("GitHub forbids it", _permission_hint(reply, needs)),
            404: (
                "GitHub does not have it, or hides it from the token",
                _permission_hint(reply, needs),
            ),
            410: ("it has expired at GitHub", "run the job that made it again"),
            422: ("GitHub refuses what was sent", None),
        }
        words, mend = answers.get(reply.status, (f"GitHub answered HTTP {reply.status}", None))
        if reply.status in _REDIRECTS:
            words, mend = (
                "GitHub redirects, which is not followed",
                "check GITHUB_API_URL and the repository's name",
            )
        return GitHubError(what + words + quoted, hint=mend, status=reply.status)


def repo_path(repo: str, *parts: str | int) -> str:
    """`/repos/OWNER/NAME/…` with each part percent-encoded. Raises GitHubError for what is
    no repository's name.
    """
    if not _REPOSITORY.fullmatch(repo) or {".", ".."} & set(repo.split("/")):
        raise GitHubError(
            f"{tidy(repo, 100)} is not a repository's OWNER/NAME", hint="check GITHUB_REPOSITORY"
        )
    return f"/repos/{repo}" + "".join(f"/{encode(str(part))}" for part in parts)


async def dispatch(
    api: GitHub, repo: str, workflow_file: str, ref: str, inputs: Mapping[str, str] | None = None
) -> None:
    """Ask GitHub to start the workflow (`reboot-reconcile.yml`) on a branch or tag. It must
    have `workflow_dispatch`.

    Raises GitHubError; callers turn it into a warning. Sent once: a second start would find
    nothing to do, but wait.
    """
    if not _WORKFLOW.fullmatch(workflow_file):
        raise GitHubError(
            f"{tidy(workflow_file, 100)} is not the name of a workflow's file",
            hint=(
                "name the file in .github/workflows without folders, for example "
                "reboot-reconcile.yml"
            ),
        )
    if inputs and len(inputs) > MOST_INPUTS:
        raise GitHubError(f"a workflow takes at most {MOST_INPUTS} inputs")
    path = repo_path(repo, "actions", "workflows", workflow_file, "dispatches")
    await api.write(
        "POST", path, {"ref": ref, "inputs": dict(inputs or {})}, needs="actions: write"
    )


async def address_of(location: str, api_host: str) -> tuple[str, str]:
    """Origin and target (path and query, unchanged) of a redirect's address.

    Raises ValueError, with the reason, unless it is https and none of the host's addresses
    is private. The API's own host may be private, as an enterprise's is. An API on this
    machine may also send to http on this machine. A host that only a proxy can look up has
    no address here to judge; then the proxy decides.
    """
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("its target is no address") from None
    if (
        not host
        or len(location) > LONGEST_LOCATION
        or not location.isascii()
        or not location.isprintable()
        or " " in location
    ):
        raise ValueError("its target is no address")
    if "@" in parts.netloc:
        raise ValueError("its target names a user")
    is_local = is_loopback(api_host) and is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ValueError("its target is not https")
    if not is_local and host != api_host and await _is_private(host, port or 443):
        raise ValueError("its target is a private address")
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path


async def _is_private(host: str, port: int) -> bool:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return is_loopback(host)
    for *_, where in found:
        address = ip_address(str(where[0]).partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if not address.is_global or address.is_multicast:
            return True
    return False


def _short(path: str) -> str:
    """The path for a sentence, without a query: that of a next page is GitHub's."""
    return tidy(path.partition("?")[0], 200)


def _unreachable(error: Unreachable) -> GitHubError:
    return GitHubError(
        f"GitHub cannot be reached: {error.message}", hint="check GITHUB_API_URL, network and proxy"
    )


def _wait_s(reply: Reply) -> float | None:
    """How long to wait before the one repetition of a read; None where none can help."""
    told = reply.headers.get("retry-after", "")
    seconds = float(told) if re.fullmatch(r"\d{1,6}", told) else None
    if reply.status in _PASSING:
        seconds = 1.0 if seconds is None else seconds
    elif reply.status not in (403, 429):
        return None
    return seconds if seconds is not None and seconds <= LONGEST_WAIT_S else None


def _said(reply: Reply) -> str:
    body = json_object(reply.body)
    more = [e.get("message") if isinstance(e, dict) else e for e in as_list(body.get("errors"))]
    words = [tidy(word, 200) for word in (body.get("message"), *more[:3]) if isinstance(word, str)]
    return tidy("; ".join(words), 400)


def _permission_hint(reply: Reply, needs: str) -> str:
    """`X-Accepted-GitHub-Permissions` names what would have sufficed; else what we know we need."""
    accepted = reply.headers.get("x-accepted-github-permissions", "").strip()
    if _PERMISSIONS.fullmatch(accepted):
        needs = accepted.replace("_", "-").replace("=", ": ").replace(";", " or")
    if not needs:
        return "check the token's permissions"
    return (
        f"the job needs `permissions:` with {needs}; requests from forks have read permissions only"
    )
