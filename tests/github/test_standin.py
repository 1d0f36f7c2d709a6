"""The stand-in as a process, as end-to-end tests of workflows use it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from runner.github.api import GitHub, GitHubError
from runner.github.artifacts import download, find_schedules, merged_pull
from runner.github.comment import CommentKey, upsert
from tests.github.standin_state import State, zipped

ROOT = Path(__file__).resolve().parents[2]
HEAD, MERGE = "a" * 40, "c" * 40


@contextmanager
def process(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """The stand-in as a command; yields a step's environment."""
    command = [sys.executable, "-m", "tests.github.standin", "--state", str(folder), *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as running:
        assert running.stdout
        url, token = running.stdout.readline().split()
        try:
            yield {"GITHUB_API_URL": url, "GITHUB_TOKEN": token}
        finally:
            running.terminate()


def test_the_whole_way_over_a_process(tmp_path: Path) -> None:
    """Pull request and artefact are set up by HTTP, and comment, merge and schedule come
    back; all is in files.
    """
    repo = "acme/ops"

    async def main(environ: dict[str, str]) -> list[Path]:
        async with GitHub(environ) as api:
            await upsert(api, repo, 3, CommentKey("", "plans/web.yaml"), "### web")
            pull = await merged_pull(api, repo, MERGE)
            assert pull is not None
            found = await find_schedules(api, repo, pull.head_sha, "n")
            return await download(api, found[0], tmp_path / "in")

    with process(tmp_path / "state", "--repository", repo, "--token", "t0k") as environ:
        setup = environ["GITHUB_API_URL"] + "/_standin"
        pull = {
            "number": 3,
            "head_sha": HEAD,
            "merged_at": "2026-11-20T10:00:00Z",
            "merge_commit_sha": MERGE,
        }
        with httpx.Client(trust_env=False, verify=False) as client:  # noqa: S501 - plain http on loopback
            query = {"name": "n", "head_sha": HEAD}
            packed = zipped({"old.json": b"{}"})
            answers = [
                client.post(setup + "/pulls", json=pull),
                client.put(
                    setup + "/artifacts", params=query | {"event": "pull_request"}, content=packed
                ),
                client.put(
                    setup + "/artifacts", params=query | {"file": "web.json"}, content=b"[1]"
                ),
                client.put(setup + "/artifacts", params=query | {"run_id": "1"}, content=packed),
            ]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 409]
        paths = asyncio.run(main(environ))
    assert [(p.name, p.read_text()) for p in paths] == [("web.json", "[1]")]
    state = State(tmp_path / "state", repo)
    assert [c["body"].endswith("\n\n### web") for c in state.comments(3)] == [True]
    assert [line["status"] for line in state.lines("requests.jsonl") if not line["api"]] == [200]
    assert "t0k" not in (tmp_path / "state" / "requests.jsonl").read_text()


def test_permissions_of_the_process(tmp_path: Path) -> None:
    """A token with few permissions and a person's login is made by options."""

    async def main(environ: dict[str, str]) -> str:
        async with GitHub(environ) as api:
            try:
                await upsert(api, "octo/fleet", 3, CommentKey("", "x"), "y")
            except GitHubError as error:
                return f"{await api.login()}: {error.status}"
            return "written"

    (tmp_path / "pulls").mkdir()
    State(tmp_path, "octo/fleet").write_pull(3)
    with process(tmp_path, "--login", "ada", "--permissions", "issues=read") as environ:
        assert asyncio.run(main(environ)) == "ada: 403"
