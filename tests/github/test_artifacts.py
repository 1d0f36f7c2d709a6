"""Artefacts found, fetched and unpacked, and pull requests found for what was merged."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.github.api import GitHubError
from runner.github.artifacts import (
    Artifact,
    MergedPull,
    download,
    find_schedules,
    merged_pull,
    unpack,
)
from tests.github.asking import ask, refusal
from tests.github.standin import REPOSITORY, Fault, StandIn
from tests.github.standin_state import PLAN_WORKFLOW, zipped

HEAD = "a" * 40
NAME = f"reboot-schedules-{HEAD}"
FILES = {"web.json": b'{"format_version": 1}', "db-2.json": b"{}"}


def store(github: StandIn, files: Any = None, name: str = NAME, **fields: Any) -> int:
    packed = files if isinstance(files, bytes) else zipped(files or FILES)
    return int(github.state.write_artifact(name, packed, **{"head_sha": HEAD, **fields})["id"])


def found(github: StandIn, workflow: str | None = PLAN_WORKFLOW) -> list[Artifact]:
    return ask(github, lambda api: find_schedules(api, REPOSITORY, HEAD, NAME, workflow))


def test_the_newest_first(github: StandIn) -> None:
    """All artefacts of the commit are found, the newest first, also when two came in the
    same second.
    """
    old = store(github, created_at="2026-11-01T00:00:00Z")
    older = store(github, created_at="2026-10-01T00:00:00Z")
    new, newer = (store(github, created_at="2026-11-02T00:00:00Z") for _ in range(2))
    assert [a.id for a in found(github)] == [newer, new, old, older]


@pytest.mark.parametrize(
    "fields",
    [
        {"fork": True},
        {"expired": True},
        {"event": "push"},
        {"event": "pull_request_target"},
        {"event": "workflow_dispatch"},
        {"head_sha": "b" * 40},
        {"name": NAME + "x"},
        {"path": ".github/workflows/other.yml"},
        {"path": "x/" + PLAN_WORKFLOW},
    ],
    ids=str,
)
def test_what_nobody_reviewed_is_not_found(github: StandIn, fields: dict[str, Any]) -> None:
    """Forks, other events, commits, names and workflows do not count, and what has
    expired is gone.
    """
    store(github, **fields)
    assert found(github) == []


def test_the_workflow_need_not_be_known(github: StandIn) -> None:
    """Without a workflow's path every workflow of the pull request counts; a REF after the
    path is no other path.
    """
    store(github, path=".github/workflows/other.yml")
    store(github, path=PLAN_WORKFLOW + "@refs/pull/7/merge")
    assert len(found(github, None)) == 2
    assert len(found(github)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"event": "push"},
        {"head_sha": "b" * 40},
        {"head_repository": {"id": 5}},
        {"head_repository": None},
    ],
)
def test_the_run_has_the_last_word(github: StandIn, change: dict[str, Any]) -> None:
    """What the list of artefacts says is checked against the run itself."""
    store(github)
    run = github.state.all("runs")[0]
    github.state._keep("runs", run["id"], {**run, **change})
    assert found(github) == []


def test_the_list_alone_can_refuse(github: StandIn) -> None:
    """An artefact that the list calls a fork's is not found, though its run is the
    repository's own.
    """
    entry = github.state.read("artifacts", store(github)) or {}
    run = {**entry["workflow_run"], "head_repository_id": 5}
    github.state._keep("artifacts", entry["id"], {**entry, "workflow_run": run})
    assert found(github) == []


def test_download(github: StandIn, tmp_path: Path) -> None:
    """The files come as they were stored, into a folder that is made."""
    store(github)
    artifact = found(github)[0]
    paths = ask(github, lambda api: download(api, artifact, tmp_path / "new" / "folder"))
    assert {p.name: p.read_bytes() for p in paths} == FILES
    assert paths == sorted(tmp_path.rglob("*.json"))


def test_other_bytes_than_stored(github: StandIn, tmp_path: Path) -> None:
    """A download whose digest is not the recorded one is not used."""
    number = store(github)
    artifact = found(github)[0]
    (github.state.folder / "artifacts" / f"{number}.zip").write_bytes(
        zipped({"web.json": b"other"})
    )
    error = refusal(github, lambda api: download(api, artifact, tmp_path / "x"))
    assert "not those that were stored" in error.message
    assert not (tmp_path / "x").exists()


def test_expired_meanwhile(github: StandIn, tmp_path: Path) -> None:
    """An artefact that is gone when it is fetched says so."""
    number = store(github)
    artifact = found(github)[0]
    entry = github.state.read("artifacts", number)
    github.state._keep("artifacts", number, {**(entry or {}), "expired": True})
    assert "expired" in refusal(github, lambda api: download(api, artifact, tmp_path)).message


def test_nothing_is_overwritten(github: StandIn, tmp_path: Path) -> None:
    """A file or link that is there already stays, and none of the others is left behind."""
    store(github)
    artifact = found(github)[0]
    (tmp_path / "target").write_text("mine")
    (tmp_path / "web.json").symlink_to(tmp_path / "target")
    error = refusal(github, lambda api: download(api, artifact, tmp_path))
    assert "not overwritten" in error.message
    assert (tmp_path / "target").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["target", "web.json"]


def odd_zip(name: str, mode: int = 0, method: int = zipfile.ZIP_STORED, flags: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        info = zipfile.ZipInfo("name-to-be.json")
        info.external_attr = mode << 16
        info.compress_type = method
        archive.writestr(info, b"{}")
    raw = target.getvalue().replace(b"name-to-be.json", name.encode().ljust(15, b"_")[:15])
    if flags:
        at = raw.index(b"PK\x01\x02")
        raw = raw[: at + 8] + struct.pack("<H", flags) + raw[at + 10 :]
    return raw


def with_entries(count: int) -> bytes:
    return zipped([(f"{n}.json", b"") for n in range(count)])


def with_comment() -> bytes:
    target = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"x"
    return target.getvalue()


def twice() -> bytes:
    return zipped([("web.json", b"1"), ("Web.json", b"2")])


@pytest.mark.parametrize(
    "packed",
    [
        lambda: odd_zip("../../abcd.json"),
        lambda: odd_zip("/tmp/abcde.json"),
        lambda: odd_zip("folder/abc.json"),
        lambda: odd_zip("C:\\abcdefg.json"),
        lambda: odd_zip("ab\\cdefghi.json"),
        lambda: odd_zip(".abcdefghi.json"),
        lambda: odd_zip("abcdefghij.yaml"),
        lambda: odd_zip("abc.json\0.json_"),
        lambda: odd_zip("abc\n::err.json_"),
        lambda: odd_zip("abcdefghij.json", mode=0o120777),
        lambda: odd_zip("abcdefghij.json", mode=0o040755),
        lambda: odd_zip("abcdefghij.json", mode=0o010644),
        lambda: odd_zip("abcdefghij.json", method=zipfile.ZIP_LZMA),
        lambda: odd_zip("abcdefghij.json", flags=1),
        lambda: with_entries(1001),
        twice,
        with_comment,
        lambda: b"",
        lambda: b"PK\x05\x06",
        lambda: b"<html>not a zip</html>" * 10,
    ],
)
def test_hostile_zips(github: StandIn, tmp_path: Path, packed: Callable[[], bytes]) -> None:
    """A zip with anything but plain `*.json` files is refused whole, with a reason, and
    leaves nothing behind.
    """
    store(github, packed() or b"\0")
    artifact = found(github)[0]
    into = tmp_path / "in" / "here"
    error = refusal(github, lambda api: download(api, artifact, into))
    assert "is not used: " in error.message
    assert "\n" not in error.message
    assert not [p for p in tmp_path.rglob("*") if not p.is_dir()]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file larger than allowed, or files larger than allowed together, end the unpacking,
    whatever the zip says.
    """
    monkeypatch.setattr("runner.github.artifacts.MOST_EACH", 100_000)
    monkeypatch.setattr("runner.github.artifacts.MOST_TOGETHER", 150_000)
    bomb = zipped({"a.json": b" " * 100_001})
    with pytest.raises(ValueError, match="larger than"):
        unpack(bomb, tmp_path)
    with pytest.raises(ValueError, match="together"):
        unpack(zipped({"a.json": b" " * 90_000, "b.json": b" " * 90_000}), tmp_path)
    assert list(tmp_path.iterdir()) == []
    at = bomb.index(b"PK\x01\x02")
    lying = bomb[: at + 24] + struct.pack("<I", 10) + bomb[at + 28 :]
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        unpack(lying, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_long_list_of_files_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip that lists very many files is refused before the list is built."""
    packed = with_entries(30)
    monkeypatch.setattr("runner.github.artifacts._MOST_DIRECTORY", 1000)
    with pytest.raises(ValueError, match="list of files"):
        unpack(packed, tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damaged_zips(standin: StandIn, data: st.DataObject) -> None:
    """A zip with any bytes exchanged or cut is either unpacked or refused, and then leaves
    nothing behind.
    """
    packed = bytearray(zipped(FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = packed[
        : data.draw(st.sampled_from([len(packed), data.draw(st.integers(1, len(packed)))]))
    ]
    artifact = Artifact(REPOSITORY, store(standin, bytes(packed)), NAME, 1, datetime.now(UTC))
    with tempfile.TemporaryDirectory() as folder:
        made: list[Path] = []
        with suppress(GitHubError):
            made = ask(standin, lambda api: download(api, artifact, Path(folder, "x")))
        assert sorted(p for p in Path(folder).rglob("*") if not p.is_dir()) == made


def merged(github: StandIn, sha: str) -> MergedPull | None:
    return ask(github, lambda api: merged_pull(api, REPOSITORY, sha))


WHEN = "2026-11-20T10:00:00Z"


def test_merge_and_squash(github: StandIn) -> None:
    """The commit that the merge made leads to the pull request and to its branch's last commit."""
    github.state.write_pull(7, commits=["b" * 40, HEAD], merged_at=WHEN, merge_commit_sha="c" * 40)
    expected = MergedPull(7, HEAD, datetime(2026, 11, 20, 10, tzinfo=UTC))
    assert merged(github, "c" * 40) == expected


def test_fast_forward(github: StandIn) -> None:
    """A commit that went over unchanged leads to its pull request, be it the last or one
    among others.
    """
    github.state.write_pull(7, commits=["b" * 40, HEAD], merged_at=WHEN, merge_commit_sha="c" * 40)
    for sha in (HEAD, "b" * 40):
        assert getattr(merged(github, sha), "number", None) == 7


@pytest.mark.parametrize(
    "fields",
    [
        {"merged_at": None},
        {"base": "release"},
        {"merge_commit_sha": "d" * 40},
        {"merged_at": "soon"},
        {"head_sha": "x"},
    ],
    ids=str,
)
def test_no_merged_pull(github: StandIn, fields: dict[str, Any]) -> None:
    """Not merged, into another branch, or as another commit: then it is none."""
    usual = {"head_sha": HEAD, "merged_at": WHEN, "merge_commit_sha": "c" * 40}
    github.state.write_pull(7, **{**usual, **fields})
    assert merged(github, "c" * 40) is None


def test_a_commit_that_github_names_by_mistake(github: StandIn) -> None:
    """A pull request that does not have the commit, though GitHub lists it, is none."""
    github.state.write_pull(7, merged_at=WHEN, merge_commit_sha="c" * 40)
    listed = ask(
        github, lambda api: api.get(f"/repos/{REPOSITORY}/commits/{'c' * 40}/pulls", needs="")
    )
    listed[0]["merge_commit_sha"] = "e" * 40
    github.faults = [Fault(200, "/commits/", body=json.dumps(listed).encode())]
    assert merged(github, "f" * 40) is None


def test_of_several_pulls_the_one_that_made_the_commit(github: StandIn) -> None:
    """Of several pull requests with the commit it is the one whose merge made it, then
    the latest.
    """
    github.state.write_pull(
        7, commits=["c" * 40], merged_at="2026-11-21T10:00:00Z", merge_commit_sha="d" * 40
    )
    github.state.write_pull(8, head_sha="e" * 40, merged_at=WHEN, merge_commit_sha="c" * 40)
    assert getattr(merged(github, "c" * 40), "number", None) == 8
    github.state.write_pull(9, head_sha="f" * 40, merged_at=WHEN, merge_commit_sha="c" * 40)
    assert getattr(merged(github, "c" * 40), "number", None) == 9


def test_requests_of_forks_count_as_merged(github: StandIn) -> None:
    """A merged request from a fork is found too: that it has no schedule is another matter."""
    github.state.write_pull(7, fork=True, merged_at=WHEN, merge_commit_sha="c" * 40)
    assert getattr(merged(github, "c" * 40), "number", None) == 7
