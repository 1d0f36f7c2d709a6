"""What a machine remembers of a store in Git, and refs that hold no store, or only a
part of one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.inputs.json_text import JOURNAL
from runner.store.gitref.memory import Memory
from runner.store.gitref.store import GitStore
from runner.store.open import open_store
from tests.git_server import bare, serve
from tests.store.kit import AT, begun

REF = "refs/reboot-runner/store"


def git(repository: Path, *arguments: str, given: str | None = None) -> str:
    command = [
        "git",
        "-C",
        str(repository),
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        *arguments,
    ]
    return subprocess.run(
        command, input=given, check=True, capture_output=True, text=True
    ).stdout.strip()


def write(url: str, machine: Path, *runs: str) -> None:
    """A process of a machine begins these runs, and ends."""
    with closing(open_store(url, machine)) as store:
        for run in runs:
            begun(store, run)


def refusal(url: str, machine: Path) -> StoreError:
    """What the next process of a machine says. It leaves the ref as it is."""
    with pytest.raises(StoreError) as refused:
        open_store(url, machine).close()
    assert refused.value.hint is not None
    assert "fatal" not in refused.value.message
    return refused.value


def memory(machine: Path) -> Path:
    (file,) = (machine / ".reboot-runner" / "git-store").glob("*.store")
    return file


def test_a_ref_that_was_rewound_between_two_processes_is_refused(tmp_path: Path) -> None:
    """Also when others have written on since, so that it is longer than before; until the
    memory is deleted.
    """
    repository, here, elsewhere = tmp_path / "s.git", tmp_path / "here", tmp_path / "elsewhere"
    url = bare(repository)
    write(url, here, "r1", "r2")
    git(repository, "update-ref", REF, f"{REF}~1")
    rewound = refusal(url, here)
    assert "was rewound or replaced since this machine last read it" in rewound.message
    assert f"delete {memory(here)}" in str(rewound.hint)
    write(url, elsewhere, "r3", "r4")
    assert "was rewound or replaced" in refusal(url, here).message
    memory(here).unlink()
    write(url, here, "r5")


@pytest.mark.parametrize("kind", ["folder", "http that leaves files out"])
def test_a_ref_that_others_wrote_to_is_still_the_same(tmp_path: Path, kind: str) -> None:
    """Its history is searched further back than what is fetched at first, whatever the
    host can do.
    """
    with serve(tmp_path / "host") as host:
        repository = tmp_path / "host" / "s.git"
        url = bare(repository) if kind == "folder" else host.make("s.git")
        if kind == "http that leaves files out":
            git(repository, "config", "uploadpack.allowFilter", "true")
        write(url, tmp_path, "r1", "r2")
        mine = git(repository, "rev-parse", REF)
        add_commits(repository, 150)
        write(url, tmp_path, "r3")
        assert memory(tmp_path).read_text().split()[1] == git(repository, "rev-parse", REF)
        git(repository, "update-ref", REF, f"{mine}~1")
        add_commits(repository, 150)
        assert "was rewound" in refusal(url, tmp_path).message


def add_commits(repository: Path, count: int) -> None:
    """Commits of others that change nothing."""
    tip = git(repository, "rev-parse", REF)
    one = f"commit {REF}\ncommitter a <a@b> 1 +0000\ndata 0\n"
    git(
        repository,
        "fast-import",
        "--quiet",
        given=one + f"from {tip}\n\n" + f"{one}\n" * (count - 1),
    )


def test_a_slower_process_does_not_wind_the_memory_back(tmp_path: Path) -> None:
    """Of two processes of one machine, the one that has read less keeps nothing that the
    other knows better.
    """
    repository = tmp_path / "s.git"
    url = bare(repository)
    write(url, tmp_path, "r0")
    with closing(open_store(url, tmp_path)) as slow:
        assert isinstance(slow, GitStore)
        write(url, tmp_path / "elsewhere", "r1")
        at = git(repository, "rev-parse", REF)
        write(url, tmp_path, "r2")
        newest = memory(tmp_path).read_text()
        git(
            repository, "update-ref", REF, at
        )  # what the slow one reads now is older than what the other has seen
        slow.db.look()
        assert memory(tmp_path).read_text() == newest
    assert "was rewound" in refusal(url, tmp_path).message


def test_a_memory_of_an_older_version_and_a_damaged_one(tmp_path: Path) -> None:
    """The id alone is a memory; what cannot be read is none. Both are written anew."""
    url = bare(tmp_path / "s.git")
    write(url, tmp_path, "r1")
    whole = memory(tmp_path).read_text()
    for text in (f"{whole.split()[0]}\n", "", "\x00\n" * 3, "one\ntwo\n"):
        memory(tmp_path).write_text(text)
        open_store(url, tmp_path).close()
        assert memory(tmp_path).read_text() == whole


# --- what is no store ---------------------------------------------------------


def _with(path: str, text: str) -> Callable[[Path], str]:
    """The store's newest commit with one file that is another."""

    def make(repository: Path) -> str:
        tip = git(repository, "rev-parse", REF)
        file = f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        head = f"commit refs/x\ncommitter a <a@b> 1 +0000\ndata 0\nfrom {tip}\n"
        git(repository, "fast-import", "--quiet", "--force", given=head + file)
        return git(repository, "rev-parse", "refs/x")

    return make


def _without(path: str) -> Callable[[Path], str]:
    def make(repository: Path) -> str:
        tip = git(repository, "rev-parse", REF)
        head = f"commit refs/x\ncommitter a <a@b> 1 +0000\ndata 0\nfrom {tip}\n"
        git(repository, "fast-import", "--quiet", "--force", given=f"{head}D {path}\n")
        return git(repository, "rev-parse", "refs/x")

    return make


def _submodule(repository: Path) -> str:
    tree = git(repository, "mktree", given=f"160000 commit {'1' * 40}\tstore.json\n")
    return git(repository, "commit-tree", "-m", "x", tree)


def _archive(commit: str) -> str:
    """A run that ended long ago: its events are said to be in that commit."""
    row: dict[str, object] = {
        "id": "r9",
        "plan": "p",
        "plan_digest": "d",
        "schedule_digest": "s",
        "cycle": "c",
        "word": "done",
    }
    row |= {
        "is_open": 0,
        "created": AT.isoformat(),
        "fence": 1,
        "owner": None,
        "due": 0.0,
        "seq": 3,
        "head": "",
    }
    return json.dumps(
        {"run": row, "claims": {}, "later": [], "events_in": {"commit": commit, "upto": 3}}
    )


FOREIGN: dict[str, tuple[Callable[[Path], str], str]] = {
    "blob": (lambda r: git(r, "hash-object", "-w", "--stdin", given="x"), "points at a blob"),
    "tree": (lambda r: git(r, "rev-parse", f"{REF}^{{tree}}"), "points at a tree"),
    "tag": (
        lambda r: git(r, "tag", "-a", "-m", "x", "t", REF) + git(r, "rev-parse", "t"),
        "points at a tag",
    ),
    "empty": (
        lambda r: git(r, "commit-tree", "-m", "x", git(r, "mktree", given="")),
        "holds no store.json",
    ),
    "submodule": (_submodule, "something that is not a file"),
    "readme": (_with("README.md", "hello"), "not one of reboot-runner"),
    "number": (_with("runs/r1/events/².jsonl", "x"), "not one of reboot-runner"),
    "no store.json": (_without("store.json"), "holds no store.json"),
    "no row": (_without("runs/r1/run.json"), "lacks files of run 'r1'"),
    "no events": (_without("runs/r1/events"), "lacks files of run 'r1'"),
    "empty events": (_with("runs/r1/events/00000001.jsonl", ""), "unreadable: events 'r1'"),
    "no text": (_with("store.json", "\x00\x01"), "unreadable: store"),
    "null": (_with("store.json", "null"), "unreadable: store"),
    "id": (
        _with("store.json", '{"store": "reboot-runner", "format": 1, "schema": 3, "id": [1]}'),
        "unreadable: store",
    ),
    "large": (
        _with("runs/r1/run.json", '{"id": "r1", "owner": null, "seq": 1' + "0" * 30 + "}"),
        "unreadable: run",
    ),
    "deep": (_with("rate/p.json", "[" * 5000), "unreadable: rate"),
    "commit": (
        _with("archive/202611/r9.json", _archive("--upload-pack=x")),
        "unreadable: archive 'r9'",
    ),
    "huge": (
        _with("rate/p.json", " " * (JOURNAL.size + 1)),
        "holds a file of 16,000,001 bytes, at most 16,000,000",
    ),
    "path": (_with('"runs/\\377/run.json"', "{}"), "unreadable: run"),
}


@pytest.fixture(scope="module")
def store_of_one_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("one")
    url = bare(folder / "s.git")
    write(url, folder, "r1")
    return url, folder / "s.git"


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_ref_that_holds_no_store(
    store_of_one_run: tuple[str, Path], tmp_path: Path, kind: str
) -> None:
    """The error says what is there and what to do, in our words, on a machine that never
    saw the store too.
    """
    url, repository = store_of_one_run
    make, says = FOREIGN[kind]
    whole = git(repository, "rev-parse", REF)
    git(repository, "update-ref", REF, make(repository))
    try:
        assert says in refusal(url, tmp_path).message
    finally:
        git(repository, "update-ref", REF, whole)


def test_a_memory_that_is_no_file_is_none(tmp_path: Path) -> None:
    """A pipe is not waited for, and a large file is not read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"a" * 100_000)
    assert Memory(tmp_path / "pipe").read() is Memory(tmp_path / "large").read() is None


def test_a_history_that_is_gone(store_of_one_run: tuple[str, Path], tmp_path: Path) -> None:
    """The events of an older run are said to be in a commit that the history does not have,
    or are none there.
    """
    url, repository = store_of_one_run
    whole = git(repository, "rev-parse", REF)
    damaged = _with("runs/r9/events/00000001.jsonl", "{")(repository)
    try:
        for commit, says in (
            ("1" * 40, "lacks commit '1111"),
            (damaged, "unreadable: events of run 'r9'"),
        ):
            git(
                repository,
                "update-ref",
                REF,
                _with("archive/202611/r9.json", _archive(commit))(repository),
            )
            with (
                closing(open_store(url, tmp_path / commit)) as store,
                pytest.raises(StoreError, match=says),
            ):
                store.events("r9")
    finally:
        git(repository, "update-ref", REF, whole)


@pytest.mark.parametrize("harm", ["truncate", "delete", "garbage"])
def test_a_repository_that_is_damaged(tmp_path: Path, harm: str) -> None:
    """Objects that are cut, gone or overwritten: what it is, and what to do about it."""
    repository = tmp_path / "s.git"
    url = bare(repository)
    write(url, tmp_path, "r1")
    tree = git(repository, "rev-parse", f"{REF}^{{tree}}")
    file = repository / "objects" / tree[:2] / tree[2:]
    file.chmod(0o600)
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:10] if harm == "truncate" else b"\xa5" * 300)
    error = refusal(url, tmp_path)
    assert "objects or files of the repository are missing or damaged" in error.message
    assert "git fsck" in str(error.hint)
    (repository / "HEAD").unlink()
    assert "not a Git repository, or not a whole one" in refusal(url, tmp_path).message
