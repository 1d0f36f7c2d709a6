"""Schedules that a pull request's workflow has stored, and the pull request that a commit
came from.

An artifact cannot be changed once it is there. It is as trustworthy as those who can
push a branch to the repository: runs of forks are left out. What is in it is other
people's data all the same, and is unpacked as such.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.github.api import GitHub, GitHubError, repo_path
from runner.inputs.fields import as_map, as_text
from runner.inputs.json_text import SCHEDULE
from runner.net.text import tidy

NEEDS = "actions: read"
MOST_FILES = 1_000
MOST_EACH = SCHEDULE.size
MOST_TOGETHER = 256 * 1024 * 1024
MOST_RUNS = 50
"""Runs that are looked at for one artifact's name: a name with a commit in it has as many
as it was run again.
"""
_MOST_DIRECTORY = 1024 * 1024

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.json")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored file of a pull request's run. `digest` (`sha256:…`) is None where GitHub
    has none.
    """

    repo: str
    id: int
    name: str
    run_id: int
    created_at: datetime
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class MergedPull:
    """A merged pull request. `head_sha` is the last commit of its branch, whatever the
    merge made of it.
    """

    number: int
    head_sha: str
    merged_at: datetime


async def find_schedules(
    api: GitHub, repo: str, head_sha: str, name: str, workflow_path: str | None = None
) -> list[Artifact]:
    """The artifacts of this name that a pull request's run on `head_sha` has stored, the
    newest first.

    Left out: expired ones, those of forks, of other events, of other commits, and with
    `workflow_path` (`.github/workflows/reboot-plan.yml`) those of other workflows.
    Raises GitHubError.
    """
    found = await api.pages(
        repo_path(repo, "actions", "artifacts"), (("name", name),), needs=NEEDS, key="artifacts"
    )
    likely = [read for item in found if (read := _read(repo, item, head_sha, name)) is not None]
    likely.sort(key=lambda a: (a.created_at, a.id), reverse=True)
    ours: dict[int, bool] = {}
    for run_id in list(dict.fromkeys(a.run_id for a in likely))[:MOST_RUNS]:
        run = await api.get(repo_path(repo, "actions", "runs", run_id), needs=NEEDS)
        ours[run_id] = _is_ours(run, head_sha, workflow_path)
    return [artifact for artifact in likely if ours.get(artifact.run_id)]


def _read(repo: str, item: dict[str, Any], head_sha: str, name: str) -> Artifact | None:
    run = as_map(item.get("workflow_run"))
    of_repository, of_head = run.get("repository_id"), run.get("head_repository_id")
    is_ours = (
        isinstance(of_repository, int)
        and of_repository == of_head
        and run.get("head_sha") == head_sha
    )
    if not is_ours or item.get("expired") is not False or item.get("name") != name:
        return None
    number, run_id, digest, created = (
        item.get("id"),
        run.get("id"),
        item.get("digest"),
        _instant(item, "created_at"),
    )
    if not isinstance(number, int) or not isinstance(run_id, int) or created is None:
        return None
    return Artifact(
        repo, number, name, run_id, created, digest if isinstance(digest, str) else None
    )


def _is_ours(run: Any, head_sha: str, workflow_path: str | None) -> bool:
    fields = as_map(run)
    own, head = (as_map(fields.get(key)).get("id") for key in ("repository", "head_repository"))
    # GitHub appends `@REF` to the path of some runs.
    is_expected = (
        workflow_path is None or str(fields.get("path")).partition("@")[0] == workflow_path
    )
    is_of_pull = fields.get("event") == "pull_request" and fields.get("head_sha") == head_sha
    return is_of_pull and bool(own) and own == head and is_expected


async def download(api: GitHub, artifact: Artifact, into: Path) -> list[Path]:
    """Unpack the artifact's files into the folder, which is made; their paths, by name.

    Raises GitHubError, and leaves no file behind, for anything but a bounded number of
    `*.json` files of bounded size without folders, for one that is there already, and where
    the bytes are not those that GitHub has recorded.
    """
    path = repo_path(artifact.repo, "actions", "artifacts", artifact.id, "zip")
    packed = await api.download(path, needs=NEEDS)
    if artifact.digest and artifact.digest.startswith("sha256:"):
        digest = hashlib.sha256(packed).hexdigest()
        if artifact.digest.removeprefix("sha256:") != digest:
            raise _bad(artifact, "its bytes are not those that were stored")
    try:
        return unpack(packed, into)
    except (
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        EOFError,
    ) as error:
        raise _bad(artifact, tidy(str(error), 200)) from None
    except FileExistsError:
        raise GitHubError(
            f"{tidy(str(into), 200)} already holds a file of the artifact, which is not "
            f"overwritten",
            hint="name an empty folder",
        ) from None
    except OSError as error:
        raise GitHubError(f"{tidy(str(into), 200)} cannot be written: {error.strerror}") from None


def _bad(artifact: Artifact, why: str) -> GitHubError:
    return GitHubError(
        f"the artifact {tidy(artifact.name, 100)} (id {artifact.id}) is not used: {why}",
        hint=(
            "open a pull request that touches the plan: what is stored after a merge was "
            "reviewed by nobody"
        ),
    )


def unpack(packed: bytes, into: Path) -> list[Path]:
    """The files of the zip in the folder, all or none. Raises ValueError, OSError and what
    zipfile does for damage.
    """
    _demand_small_directory(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.filename)
        for info in infos:
            _demand_plain(info)
        names = [info.filename.lower() for info in infos]
        if len(infos) > MOST_FILES or len(set(names)) < len(names):
            raise ValueError(f"it holds more than {MOST_FILES:,} files, or a name twice")
        into.mkdir(parents=True, exist_ok=True)
        return _written(archive, infos, into)


def _demand_small_directory(packed: bytes) -> None:
    """Bounds the list of files before it is read: a small zip can list millions.

    Read from the end record, which is in the last 22 bytes as no comment follows it; the
    form for more than 4 GB, whose own record would overrule it, is refused.
    """
    end = packed[-22:]
    if (
        len(end) < 22
        or end[:4] != b"PK\x05\x06"
        or end[20:] != b"\0\0"
        or packed[-42:-38] == b"PK\x06\x07"
    ):
        raise ValueError("it is not a plain zip file")
    if int.from_bytes(end[12:16], "little") > _MOST_DIRECTORY:
        raise ValueError("its list of files is too long")


def _demand_plain(info: zipfile.ZipInfo) -> None:
    """A `*.json` file without a folder, packed in a usual way, of a size that is allowed."""
    name = tidy(info.orig_filename, 100)
    mode = info.external_attr >> 16
    if not _FILE.fullmatch(info.orig_filename) or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise ValueError(f"{name} in it is not a plain *.json file")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} in it is packed in a way that is not read")
    if info.file_size > MOST_EACH:
        raise ValueError(f"{name} in it is larger than {MOST_EACH:,} bytes")


def _written(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], into: Path) -> list[Path]:
    """The unpacked files. Sizes are counted while unpacking; what the zip says of them is
    not believed.
    """
    made: list[Path] = []
    room = MOST_TOGETHER
    try:
        for info in infos:
            content = _content(archive, info, min(room, MOST_EACH))
            room -= len(content)
            path = into / info.filename
            with path.open("xb") as target:  # never through a link, never over a file
                made.append(path)
                target.write(content)
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise
    return made


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(info) as source:
        content = source.read(most + 1)
    if len(content) > most:
        raise ValueError(f"its files are larger than {MOST_TOGETHER:,} bytes together")
    return content


async def merged_pull(api: GitHub, repo: str, sha: str) -> MergedPull | None:
    """The pull request into the default branch whose merge made this commit; None where there is
    none.

    Merge commits, squashes and the last commit of a rebase are GitHub's `merge_commit_sha`; a
    commit that went over unchanged is among the pull request's own. Of several the latest. Raises
    GitHubError.
    """
    found = await api.pages(repo_path(repo, "commits", sha, "pulls"), needs="pull-requests: read")
    merged = [(read, item) for item in found if (read := _merged(item, repo)) is not None]
    exact = [pull for pull, item in merged if item.get("merge_commit_sha") == sha]
    if not exact:
        for pull, _ in merged:
            commits = [{"sha": pull.head_sha}]
            if pull.head_sha != sha:
                path = repo_path(repo, "pulls", pull.number, "commits")
                commits = await api.pages(path, needs="pull-requests: read")
            if any(commit.get("sha") == sha for commit in commits):
                exact.append(pull)
    return max(exact, key=lambda p: (p.merged_at, p.number), default=None)


async def merged_at(api: GitHub, repo: str, pull: int) -> datetime | None:
    """Return when a pull request was merged; None while it is not. Raises GitHubError.

    `GET /repos/{owner}/{repo}/pulls/{pull_number}`, which needs `pull-requests: read`.
    """
    found = await api.get(repo_path(repo, "pulls", pull), needs="pull-requests: read")
    return _instant(as_map(found), "merged_at")


def _merged(pull: dict[str, Any], repo: str) -> MergedPull | None:
    base = as_map(pull.get("base"))
    target, branch = as_map(base.get("repo")), base.get("ref")
    is_here = str(target.get("full_name")).lower() == repo.lower()
    if not is_here or not branch or branch != target.get("default_branch"):
        return None
    number, sha, at = (
        pull.get("number"),
        as_text(as_map(pull.get("head")).get("sha")),
        _instant(pull, "merged_at"),
    )
    if not isinstance(number, int) or not _SHA.fullmatch(sha) or at is None:
        return None
    return MergedPull(number, sha, at)


def _instant(item: Mapping[str, Any], key: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(item.get(key)))
    except ValueError:
        return None
    return found if found.tzinfo else None
