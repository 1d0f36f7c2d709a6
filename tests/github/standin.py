"""A stand-in for GitHub's REST API: a real HTTP server on loopback, for the few calls that
this project makes.

It judges requests as GitHub does: the token (401), its permissions (403, named in
`X-Accepted-GitHub-Permissions`), what is not there (404), bodies that are too long (422).
It has pages with `Link` headers that name the repository by number, and a 302 to another
place – a second port here – that refuses whoever shows it a token.

In a test:

    with serving(tmp_path) as github:
        github.state.write_pull(7, head_sha="a" * 40) artifact =
        github.state.write_artifact("name", zipped({"web.json": b"{}"}), head_sha="a" * 40)
        subprocess.run([...], env=os.environ | github.environ())      # GITHUB_API_URL, GITHUB_TOKEN, GITHUB_REPOSITORY
        github.state.comments(7), github.state.lines("dispatches.jsonl"),
        github.state.lines("requests.jsonl")

As a process (`standin_state.py` tells which files it keeps in DIR; they outlive it):

    python -m tests.github.standin --state DIR --port 0       # prints: http://127.0.0.1:PORT TOKEN
    curl -X POST URL/_standin/pulls -d '{"number": 7, "head_sha": "…", "merge_commit_sha":
    "…", "merged_at": "…"}'
  curl -X PUT
  'URL/_standin/artifacts?name=N&head_sha=SHA&event=pull_request&path=.github/workflows/x.yml&fork=false'
  \
         --data-binary @schedules.zip                     # with &file=web.json the body is that one file

What is under `/_standin/` asks for no token; it answers with the document that was made.
"""  # noqa: E501

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.github.standin_state import BOT, PLAN_WORKFLOW, REPOSITORY_ID, State, zipped

HOST = "127.0.0.1"
TOKEN = "standin-token"
REPOSITORY = "octo/fleet"
LONGEST_BODY = 65_536
ALL_PERMISSIONS = {
    "actions": "write",
    "contents": "read",
    "issues": "write",
    "pull_requests": "write",
}
_LEVELS = ("none", "read", "write")


@dataclass(frozen=True)
class Account:
    """Whose token it is, and what it may do."""

    login: str = BOT
    permissions: Mapping[str, str] = field(default_factory=lambda: ALL_PERMISSIONS)


@dataclass
class Fault:
    """An answer instead of the right one, for the next `times` requests whose path holds `path`."""

    status: int
    path: str = ""
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "a fault"}'


@dataclass
class StandIn:
    """The running server. `accounts` and `faults` may be changed while it runs."""

    url: str
    storage: str
    state: State
    accounts: dict[str, Account]
    faults: list[Fault] = field(default_factory=list)
    signatures: set[str] = field(default_factory=set)
    redirect: str | None = None
    """Where downloads are sent instead of the own storage; `{path}` is the path with its signature.
    """

    def environ(self, token: str = TOKEN) -> dict[str, str]:
        """What the runner would put into a step's environment."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_TOKEN": token,
            "GITHUB_REPOSITORY": self.state.repository,
        }


class Calls:
    """One method for each call."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        self._state = server.state

    async def user(self, request: Request) -> Response:
        account = self._account(request)
        if account.login.endswith("[bot]"):
            raise HTTPException(403, "Resource not accessible by integration")
        return JSONResponse({"login": account.login, "type": "User"})

    async def comments(self, request: Request) -> Response:
        self._allow(
            request, "read" if request.method == "GET" else "write", "issues", "pull_requests"
        )
        pull = self._existing(request, "pulls", "number")
        if request.method == "GET":
            return self._page(request, self._state.comments(pull["number"]))
        login, body = self._account(request).login, await self._comment_body(request)
        return JSONResponse(self._state.write_comment(pull["number"], login, body), 201)

    async def comment(self, request: Request) -> Response:
        self._allow(request, "write", "issues", "pull_requests")
        found = self._existing(request, "comments", "comment")
        body = await self._comment_body(request)
        return JSONResponse(
            self._state.write_comment(found["pull"], found["user"]["login"], body, found["id"])
        )

    async def artifacts(self, request: Request) -> Response:
        self._allow(request, "read", "actions")
        name = request.query_params.get("name")
        found = [
            a for a in reversed(self._state.all("artifacts")) if name is None or a["name"] == name
        ]
        return self._page(request, found, "artifacts")

    async def artifact_zip(self, request: Request) -> Response:
        self._allow(request, "read", "actions")
        found = self._existing(request, "artifacts", "artifact")
        if found["expired"]:
            raise HTTPException(410, "Artifact has expired")
        signature = secrets.token_hex(8) + "+/="
        self._server.signatures.add(signature)
        quoted = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        path = f"/storage/{found['id']}?sv=2026&sig={quoted}&rscd=a%20b"
        where = (
            self._server.redirect.format(path=path)
            if self._server.redirect
            else self._server.storage + path
        )
        return Response(status_code=302, headers={"Location": where})

    async def storage(self, request: Request) -> Response:
        """The other place: it wants the signature, and no token (as the blob store refuses
        foreign credentials).
        """
        if "authorization" in request.headers:
            raise HTTPException(400, "credentials that are not mine")
        signature = request.query_params.get("sig", "")
        if signature not in self._server.signatures:
            raise HTTPException(403, "wrong signature")
        self._server.signatures.discard(signature)
        return Response(
            self._state.packed(request.path_params["artifact"]), media_type="application/zip"
        )

    async def run(self, request: Request) -> Response:
        self._allow(request, "read", "actions")
        return JSONResponse(self._existing(request, "runs", "run"))

    async def commit_pulls(self, request: Request) -> Response:
        self._allow(request, "read", "pull_requests")
        return self._page(request, self._state.pulls_of(request.path_params["sha"]))

    async def pull(self, request: Request) -> Response:
        self._allow(request, "read", "pull_requests")
        return JSONResponse(self._state.pull_document(self._existing(request, "pulls", "number")))

    async def pull_commits(self, request: Request) -> Response:
        self._allow(request, "read", "pull_requests")
        pull = self._existing(request, "pulls", "number")
        return self._page(request, [{"sha": sha} for sha in pull["commits"]])

    async def dispatch(self, request: Request) -> Response:
        self._allow(request, "write", "actions")
        body = await _json(request)
        if not request.path_params["workflow"].endswith((".yml", ".yaml")):
            raise HTTPException(404, "Not Found")
        if str(body.get("ref")).removeprefix("refs/heads/") != self._state.default_branch:
            raise HTTPException(422, f"No ref found for: {body.get('ref')}")
        entry = {
            "workflow": request.path_params["workflow"],
            "ref": body["ref"],
            "inputs": body.get("inputs", {}),
        }
        self._state.append("dispatches.jsonl", entry)
        return Response(status_code=204)

    async def set_pull(self, request: Request) -> Response:
        return JSONResponse(self._state.write_pull(**await _json(request)), 201)

    async def set_artifact(self, request: Request) -> Response:
        query, body = request.query_params, await request.body()
        try:
            made = self._state.write_artifact(
                query["name"],
                zipped({query["file"]: body}) if "file" in query else body,
                head_sha=query["head_sha"],
                event=query.get("event", "pull_request"),
                path=query.get("path", PLAN_WORKFLOW),
                fork=query.get("fork") == "true",
                expired=query.get("expired") == "true",
                run_id=int(query["run_id"]) if "run_id" in query else None,
            )
        except ValueError:
            raise HTTPException(
                409, "an artifact with this name already exists on the workflow run"
            ) from None
        return JSONResponse(made, 201)

    def _account(self, request: Request) -> Account:
        _, _, token = request.headers.get("authorization", "").partition(" ")
        account = self._server.accounts.get(token)
        if account is None:
            raise HTTPException(401, "Bad credentials")
        return account

    def _allow(self, request: Request, level: str, *permissions: str) -> None:
        """Whoever asks must have one of the permissions on this level, and mean this repository."""
        account = self._account(request)
        if (
            "/".join((request.path_params["owner"], request.path_params["repo"])).lower()
            != self._state.repository
        ):
            raise HTTPException(404, "Not Found")
        if not any(
            _LEVELS.index(account.permissions.get(p, "none")) >= _LEVELS.index(level)
            for p in permissions
        ):
            accepted = "; ".join(f"{p}={level}" for p in permissions)
            headers = {"X-Accepted-GitHub-Permissions": accepted}
            raise HTTPException(403, "Resource not accessible by integration", headers)

    def _existing(self, request: Request, kind: str, parameter: str) -> dict[str, Any]:
        found = self._state.read(kind, request.path_params[parameter])
        if found is None:
            raise HTTPException(404, "Not Found")
        return found

    async def _comment_body(self, request: Request) -> str:
        body = (await _json(request)).get("body")
        if not isinstance(body, str) or not body.strip():
            raise HTTPException(422, "Validation Failed; Body can't be blank")
        if len(body) > LONGEST_BODY:
            raise HTTPException(
                422, f"Validation Failed; Body is too long (maximum is {LONGEST_BODY} characters)"
            )
        return body

    def _page(
        self, request: Request, items: list[dict[str, Any]], key: str | None = None
    ) -> Response:
        """A page of the list, and where the others are: at the repository's number, as
        GitHub writes it.
        """
        size = min(int(request.query_params.get("per_page", 30)), 100)
        page = int(request.query_params.get("page", 1))
        last = max(1, -(-len(items) // size))
        part = items[(page - 1) * size : page * size]
        path = request.url.path.partition(self._state.repository)[2]
        links = []
        for word, number in (("prev", page - 1), ("next", page + 1), ("last", last)):
            if 1 <= number <= last and number != page:
                query = request.url.include_query_params(page=number).query
                links.append(
                    f'<{self._server.url}/repositories/{REPOSITORY_ID}{path}?{query}>; rel="{word}"'
                )
        headers = {"Link": ", ".join(links)} if links else {}
        return JSONResponse(
            {"total_count": len(items), key: part} if key else part, headers=headers
        )


async def _json(request: Request) -> dict[str, Any]:
    try:
        found = await request.json()
    except ValueError:
        raise HTTPException(400, "Problems parsing JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(422, "Invalid request")
    return found


async def _error(_request: Request, error: Exception) -> Response:
    """As GitHub's: a message, and its details apart."""
    assert isinstance(error, HTTPException)
    message, _, detail = error.detail.partition("; ")
    body: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    if detail:
        body["errors"] = [
            {
                "resource": "IssueComment",
                "code": "unprocessable",
                "field": "data",
                "message": detail,
            }
        ]
    return JSONResponse(body, error.status_code, error.headers)


def _routes(calls: Calls) -> Starlette:
    repo = "/repos/{owner}/{repo}"
    return Starlette(
        routes=[
            Route("/user", calls.user),
            Route(repo + "/issues/{number:int}/comments", calls.comments, methods=["GET", "POST"]),
            Route(repo + "/issues/comments/{comment:int}", calls.comment, methods=["PATCH"]),
            Route(repo + "/actions/artifacts", calls.artifacts),
            Route(repo + "/actions/artifacts/{artifact:int}/zip", calls.artifact_zip),
            Route(repo + "/actions/runs/{run:int}", calls.run),
            Route(repo + "/commits/{sha}/pulls", calls.commit_pulls),
            Route(repo + "/pulls/{number:int}", calls.pull),
            Route(repo + "/pulls/{number:int}/commits", calls.pull_commits),
            Route(
                repo + "/actions/workflows/{workflow}/dispatches", calls.dispatch, methods=["POST"]
            ),
            Route("/_standin/pulls", calls.set_pull, methods=["POST"]),
            Route("/_standin/artifacts", calls.set_artifact, methods=["PUT"]),
        ],
        exception_handlers={HTTPException: _error},
    )


class _Door:
    """In front of the routes: two ports, faults, repositories by number, the log of requests."""

    def __init__(self, server: StandIn) -> None:
        calls = Calls(server)
        self._server = server
        self._api: ASGIApp = _routes(calls)
        self._storage: ASGIApp = Starlette(
            routes=[Route("/storage/{artifact:int}", calls.storage)],
            exception_handlers={HTTPException: _error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = self._server.url.endswith(f":{scope['server'][1]}")
        asked = scope["path"]

        async def noting(message: Any) -> None:
            if (
                message["type"] == "http.response.start"
            ):  # before it leaves: who has the answer finds the entry
                self._note(Request(scope), asked, message["status"], is_api)
            await send(message)

        app = self._fault(asked) or (self._api if is_api else self._storage)
        by_number = f"/repositories/{REPOSITORY_ID}/"
        if asked.startswith(by_number):
            scope = {
                **scope,
                "path": f"/repos/{self._server.state.repository}/{asked.removeprefix(by_number)}",
            }
        await app(scope, receive, noting)

    def _fault(self, path: str) -> ASGIApp | None:
        for fault in self._server.faults:
            if fault.times > 0 and fault.path in path:
                fault.times -= 1
                return Response(fault.body, fault.status, dict(fault.headers))
        return None

    def _note(self, request: Request, path: str, status: int, is_api: bool) -> None:
        token = request.headers.get("authorization", "").partition(" ")[2]
        account = self._server.accounts.get(token)
        who = account.login if account else None
        entry = {
            "method": request.method,
            "path": path,
            "status": status,
            "who": who,
            "api": is_api,
        }
        self._server.state.append("requests.jsonl", entry)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # TCP_NODELAY is set only then
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


@contextmanager
def serving(
    folder: Path,
    *,
    port: int = 0,
    repository: str = REPOSITORY,
    default_branch: str = "main",
    accounts: Mapping[str, Account] | None = None,
) -> Iterator[StandIn]:
    """Serve in a thread until the block ends. One token, TOKEN, for everything where no
    accounts are given.
    """
    listeners = [_listen(wanted) for wanted in (port, 0)]
    api, storage = (f"http://{HOST}:{listener.getsockname()[1]}" for listener in listeners)
    state = State(folder, repository, default_branch)
    standin = StandIn(api, storage, state, dict(accounts or {TOKEN: Account()}))
    config = uvicorn.Config(
        _Door(standin), http="h11", ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(listeners)), name="github", daemon=True
    )
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield standin
    finally:
        server.should_exit = True
        thread.join()
        for listener in listeners:
            listener.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for GitHub's REST API on loopback.")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder with the state, made if missing"
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--repository", default=REPOSITORY, help="OWNER/NAME, in lower case")
    parser.add_argument("--default-branch", default="main")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--login", default=BOT, help="whose token it is")
    parser.add_argument(
        "--permissions", default="", help="comma-separated NAME=read|write; default: all"
    )
    given = parser.parse_args()
    permissions = dict(pair.split("=", 1) for pair in given.permissions.split(",") if pair)
    account = Account(given.login, permissions or ALL_PERMISSIONS)
    where: dict[str, Any] = {"repository": given.repository, "default_branch": given.default_branch}
    with serving(given.state, port=given.port, accounts={given.token: account}, **where) as standin:
        print(standin.url, given.token, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
