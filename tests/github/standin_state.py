"""What the stand-in for GitHub knows, as files in a folder that people and tests can read.

comments/7.md + 7.json      the body, byte for byte; pull request, author, times
artifacts/11.zip + 11.json  the stored zip, and what the list of artefacts says of it
runs/5.json                 the workflow run that stored it
pulls/3.json                a pull request with its commits
dispatches.jsonl            started workflows, one a line
requests.jsonl              every request: method, path, status, who; no token
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY_ID = 1001
FORK_ID = 2002
BOT = "github-actions[bot]"
PLAN_WORKFLOW = ".github/workflows/reboot-plan.yml"

Json = dict[str, Any]


class State:
    """The folder. Numbers are given out in order, over all kinds."""

    def __init__(self, folder: Path, repository: str, default_branch: str = "main") -> None:
        self.folder = folder
        self.repository = repository
        self.default_branch = default_branch
        self._make_folders()

    def _make_folders(self) -> None:
        for kind in ("comments", "artifacts", "runs", "pulls"):
            (self.folder / kind).mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder)
        self._make_folders()

    def read(self, kind: str, number: int | str) -> Json | None:
        path = self.folder / kind / f"{number}.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def all(self, kind: str) -> list[Json]:
        """Every one of the kind, by number."""
        found = (self.folder / kind).glob("*.json")
        return [dict(json.loads(p.read_text())) for p in sorted(found, key=lambda p: int(p.stem))]

    def _keep(self, kind: str, number: int, value: Json) -> Json:
        (self.folder / kind / f"{number}.json").write_text(json.dumps(value, indent=1))
        return value

    def _number(self) -> int:
        return 1 + max(
            (int(p.stem) for p in self.folder.glob("*/*.json") if p.parent.name != "pulls"),
            default=0,
        )

    def comments(self, pull: int) -> list[Json]:
        """As the API shows them, the oldest first."""
        return [self._with_body(c) for c in self.all("comments") if c["pull"] == pull]

    def _with_body(self, comment: Json) -> Json:
        body = (self.folder / "comments" / f"{comment['id']}.md").read_bytes().decode()
        return {**comment, "body": body}

    def write_comment(self, pull: int, login: str, body: str, number: int | None = None) -> Json:
        """A new comment, or with `number` another body for one that exists."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kind = "Bot" if login.endswith("[bot]") else "User"
        made: Json = {
            "pull": pull,
            "user": {"login": login, "type": kind},
            "created_at": now,
            "updated_at": now,
        }
        if number is None:
            made["id"] = self._number()
        else:
            made = {
                **made,
                **(self.read("comments", number) or {}),
                "id": number,
                "updated_at": now,
            }
        (self.folder / "comments" / f"{made['id']}.md").write_bytes(body.encode())
        self._keep("comments", made["id"], made)
        return {**made, "body": body}

    def write_pull(self, number: int, **fields: Any) -> Json:
        """Set a pull request up, or change it.

        Fields: `head_sha`, `base`, `merged_at` (an instant or None), `merge_commit_sha`,
        `commits` (SHAs), `fork`.
        """
        plain: Json = {
            **{
                "head_sha": "",
                "base": self.default_branch,
                "merged_at": None,
                "merge_commit_sha": None,
            },
            **{"commits": [], "fork": False, **(self.read("pulls", number) or {})},
            **fields,
            "number": number,
        }
        return self._keep("pulls", number, plain)

    def pulls_of(self, sha: str) -> list[Json]:
        """Pull requests that have the commit, or whose merge made it."""
        found = self.all("pulls")
        return [
            self.pull_document(p)
            for p in found
            if sha in (p["merge_commit_sha"], p["head_sha"], *p["commits"])
        ]

    def pull_document(self, pull: Json) -> Json:
        """As the API shows it."""
        repo: Json = {
            "full_name": self.repository,
            "id": REPOSITORY_ID,
            "default_branch": self.default_branch,
        }
        head = {**repo, "id": FORK_ID, "full_name": "mallory/fork"} if pull["fork"] else repo
        return {
            "number": pull["number"],
            "state": "closed" if pull["merged_at"] else "open",
            "merged_at": pull["merged_at"],
            "merge_commit_sha": pull["merge_commit_sha"],
            "head": {"sha": pull["head_sha"], "ref": "topic", "repo": head},
            "base": {"ref": pull["base"], "repo": repo},
        }

    def write_artifact(
        self,
        name: str,
        packed: bytes,
        *,
        head_sha: str,
        event: str = "pull_request",
        path: str = PLAN_WORKFLOW,
        fork: bool = False,
        expired: bool = False,
        run_id: int | None = None,
        created_at: str | None = None,
    ) -> Json:
        """Store a zip as a run does; with `run_id` in a run that exists. A name is there
        once in a run (ValueError).
        """
        head_id = FORK_ID if fork else REPOSITORY_ID
        run_id = run_id or self._write_run(head_sha, event, path, head_id)
        if any(
            a["name"] == name and a["workflow_run"]["id"] == run_id for a in self.all("artifacts")
        ):
            raise ValueError(name)
        number = self._number()
        (self.folder / "artifacts" / f"{number}.zip").write_bytes(packed)
        run = {
            "id": run_id,
            "repository_id": REPOSITORY_ID,
            "head_repository_id": head_id,
            "head_sha": head_sha,
        }
        made = {
            "id": number,
            "name": name,
            "size_in_bytes": len(packed),
            "expired": expired,
            "created_at": created_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "digest": f"sha256:{hashlib.sha256(packed).hexdigest()}",
            "workflow_run": {**run, "head_branch": "topic"},
        }
        return self._keep("artifacts", number, made)

    def _write_run(self, head_sha: str, event: str, path: str, head_id: int) -> int:
        number = self._number()
        run = {
            "id": number,
            "event": event,
            "path": path,
            "head_sha": head_sha,
            "status": "in_progress",
        }
        ends = {
            "repository": {"id": REPOSITORY_ID, "full_name": self.repository},
            "head_repository": {"id": head_id},
        }
        self._keep("runs", number, {**run, **ends})
        return number

    def packed(self, number: int) -> bytes:
        return (self.folder / "artifacts" / f"{number}.zip").read_bytes()

    def append(self, file: str, entry: Mapping[str, Any]) -> None:
        with (self.folder / file).open("a") as target:
            target.write(json.dumps(entry) + "\n")

    def lines(self, file: str) -> list[Json]:
        """The entries of `dispatches.jsonl` or `requests.jsonl`."""
        path = self.folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def zipped(files: Iterable[tuple[str, bytes]] | Mapping[str, bytes]) -> bytes:
    """These files as a zip, the way an upload packs them."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(name, content)
    return target.getvalue()
