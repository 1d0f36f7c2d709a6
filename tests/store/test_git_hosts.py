"""Hosts of a store in Git: what is said when one cannot be used, and what each of them is told."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.errors import Exit, StoreError
from runner.store.gitref.address import Address
from runner.store.open import open_store
from tests.git_server import GitServer, bare, serve
from tests.store.kit import ROOT, begun, told

SECRET = "ghs_aVeryLongSecret0123"


@pytest.fixture
def host(tmp_path: Path) -> Any:
    with serve(tmp_path / "host") as host:
        yield host


def refused(url: str, folder: Path) -> StoreError:
    """What is said when a store is opened and written to."""
    with pytest.raises(StoreError) as error, closing(open_store(url, folder)) as store:
        begun(store)
    assert error.value.hint is not None
    assert list((folder / ".reboot-runner" / "git-store").glob("*-*")) == [], (
        "the clone is left behind"
    )
    return error.value


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("git+https://u:hunter2@example.com/a/b", "holds a password"),
        ("git+http://example.com/a/b", "over https"),
        ("git+file://host/a", "absolute path"),
        ("git+file:a", "not supported"),
        ("git+https://example.com", "names no repository"),
        ("git+https:///a/b", "names no repository"),
        ("git+ssh://-oProxyCommand=x/a", "names no repository"),
        ("git+ext::sh -c x", "not supported"),
        ("git+https://example.com/a?x=1", "no options"),
        ("git+https://example.com:x/a", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_meant(tmp_path: Path, url: str, says: str) -> None:
    """They are refused with the way to write them, before Git is asked; no password is quoted."""
    with pytest.raises(StoreError, match=says) as error:
        open_store(url, tmp_path)
    assert error.value.exit_code == Exit.INVALID
    assert error.value.hint is not None
    assert "hunter2" not in f"{error.value} {error.value.hint}"
    assert list(tmp_path.iterdir()) == []


def test_no_repository(host: GitServer, tmp_path: Path) -> None:
    """Neither at an address nor in a folder."""
    assert "no repository" in refused(f"git+{host.url}/nothing.git", tmp_path).message
    assert (
        "is not a Git repository" in refused(f"git+file://{tmp_path}/nothing.git", tmp_path).message
    )


def test_nobody_answers(tmp_path: Path) -> None:
    """A port without a server."""
    error = refused("git+http://127.0.0.1:9/a/b", tmp_path)
    assert "cannot be reached" in error.message
    assert error.exit_code == Exit.ERROR


@pytest.mark.parametrize(
    ("status", "says"), [(403, "may not be written"), (401, "does not accept the login")]
)
def test_no_right_to_write(host: GitServer, tmp_path: Path, status: int, says: str) -> None:
    """Reading works, writing is denied: it says which permission is needed, and the exit
    code says denied.
    """
    url = host.make("s.git")
    host.answer = status
    error = refused(url, tmp_path)
    assert says in error.message
    assert error.hint is not None
    assert "REBOOT_RUNNER_STORE_TOKEN" in error.hint
    assert error.exit_code == Exit.DENIED


def test_a_rule_protects_the_ref(tmp_path: Path) -> None:
    """A hook of the repository refuses the ref: nothing is offered again, and it says which ref."""
    url = bare(tmp_path / "s.git")
    hook = tmp_path / "s.git" / "hooks" / "update"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho refused >>../count\nexit 1\n")
    hook.chmod(0o755)
    error = refused(url, tmp_path)
    assert "may not be written" in error.message
    assert error.hint is not None
    assert "refs/reboot-runner/store" in error.hint
    assert (tmp_path / "count").read_text() == "refused\n"


def test_a_ref_that_is_rewound_replaced_or_gone(tmp_path: Path) -> None:
    """Somebody forced another commit onto the ref, or deleted it: who knows better says so,
    and reads nothing of it.
    """
    url, ref = bare(tmp_path / "s.git"), "refs/reboot-runner/store"
    with closing(open_store(bare(tmp_path / "other.git"), tmp_path)) as other:
        begun(other, "r1")
    with closing(open_store(url, tmp_path)) as store:
        begun(store, "r1")
        begun(store, "r2")
        for change, says in (
            (["update-ref", ref, f"{ref}~1"], "was rewound"),
            (
                ["fetch", "--quiet", str(tmp_path / "other.git"), f"+{ref}:{ref}"],
                "was rewound or replaced",
            ),
            (["update-ref", "-d", ref], "is gone"),
        ):
            subprocess.run(["git", "-C", str(tmp_path / "s.git"), *change], check=True)
            with pytest.raises(StoreError, match=says):
                store.db.look()  # type: ignore[attr-defined]
            if "fetch" in change:
                with pytest.raises(StoreError, match=says):
                    begun(store, "r3")


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("README.md", "hello", "not one of reboot-runner"),
        (
            "store.json",
            '{"store": "reboot-runner", "format": 2, "schema": 3, "id": "x"}',
            "format 2",
        ),
        (
            "store.json",
            '{"store": "reboot-runner", "format": 1, "schema": 99, "id": "x"}',
            "schema version 99",
        ),
        (
            "runs/r1/run.json",
            '{"id": "r1", "owner": null, "colour": "red"}',
            "newer program: its run has colour",
        ),
        ("runs/r1/run.json", "[]", "unreadable"),
        ("runs/r1/claims/000001.json", "{", "unreadable"),
    ],
)
def test_a_ref_of_somebody_else(tmp_path: Path, path: str, content: str, says: str) -> None:
    """What another program, or a newer one, has put there is not written to."""
    url = bare(tmp_path / "s.git")
    stream = (
        "feature done\ncommit refs/reboot-runner/store\ncommitter a <a@b> 1 +0000\ndata 0\n"
        f"M 100644 inline {path}\ndata {len(content)}\n{content}\ndone\n"
    )
    command = ["git", "-C", str(tmp_path / "s.git"), "fast-import", "--quiet"]
    subprocess.run(command, input=stream.encode(), check=True)
    assert says in refused(url, tmp_path).message


# --- secrets ------------------------------------------------------------------


def told_as(token: str) -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


def test_the_token_goes_to_the_host_and_nowhere_else(
    host: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a header to the host that configuration names; never on a command line, in a file,
    or behind a redirect.
    """
    url = host.make("s.git")
    host.login = told_as(SECRET)
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    real = subprocess.run(
        ["which", "git"], check=True, capture_output=True, text=True
    ).stdout.strip()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{tmp_path}/spied\nexec {real} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("REBOOT_RUNNER_STORE_TOKEN", SECRET)
    with closing(open_store(url, tmp_path)) as store:
        begun(store)
        assert told(store, "r1") == [(1, "run.created")]
        files = [f for f in (tmp_path / ".reboot-runner").rglob("*") if f.is_file()]
        assert files
        assert not [f for f in files if SECRET.encode() in f.read_bytes()]
        assert SECRET not in repr(store.db.remote.address)  # type: ignore[attr-defined]
    assert {login for _, login in host.seen} == {told_as(SECRET)}
    spied = (tmp_path / "spied").read_text()
    assert "push" in spied
    assert SECRET not in spied
    assert told_as(SECRET).removeprefix("Basic ") not in spied
    with serve(tmp_path / "other") as other:
        host.redirect, host.login = other.url, None
        assert "moved" in refused(url, tmp_path).message
        assert other.seen == []


def test_a_wrong_token_is_denied_without_being_quoted(
    host: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = host.make("s.git")
    host.login = told_as("another")
    monkeypatch.setenv("REBOOT_RUNNER_STORE_TOKEN", SECRET)
    error = refused(url, tmp_path)
    assert error.exit_code == Exit.DENIED
    assert SECRET not in f"{error} {error.hint}"


def test_the_jobs_token_is_for_its_own_server() -> None:
    """`GITHUB_TOKEN` is sent to the server that gave it; to other hosts only a token that
    is meant for the store.
    """
    job = {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": "https://git.example.com"}
    assert Address.read("git+https://git.example.com/a/b", job).has_token
    assert not Address.read("git+https://github.com/a/b", job).has_token
    assert not Address.read("git+https://git.example.com.evil.com/a/b", job).has_token
    assert Address.read("git+https://github.com/a/b", {"GITHUB_TOKEN": SECRET}).has_token
    assert Address.read(
        "git+https://x.example.com/a/b", job | {"REBOOT_RUNNER_STORE_TOKEN": "t"}
    ).has_token
    for url in ("git+ssh://git@git.example.com/a/b", "git+file:///a/b"):
        address = Address.read(url, job)
        assert SECRET not in str(dict(address.environ))
    with pytest.raises(StoreError):
        Address.read("git+https://a/b", {"REBOOT_RUNNER_STORE_TOKEN": "a\nEvil: b"})


# --- the program --------------------------------------------------------------


def test_a_git_that_is_too_old_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which one is needed."""
    url = bare(tmp_path / "s.git")
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.30.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent))
    assert "this Git is 2.30, a store in Git needs 2.31" in refused(url, tmp_path).message
    old.unlink()
    assert "needs Git" in refused(url, tmp_path).message


def test_the_users_own_settings_change_nothing(
    host: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing, hooks, pruning, other kinds of ids, and a surrounding Git command's variables."""
    url = host.make("s.git")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-checkout"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\nhooksPath = {hooks}\n[push]\ngpgSign = true\nfollowTags = "
        f"true\n[commit]\ngpgSign = true\n"
        "[fetch]\nprune = true\nfsckObjects = true\n[transfer]\nfsckObjects = true\n"
        "[init]\ndefaultObjectFormat = sha256\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    with closing(open_store(url, tmp_path)) as store:
        begun(store)
    with closing(open_store(url, tmp_path)) as store:
        assert told(store, "r1") == [(1, "run.created")]


def test_clones_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """The next process clears away what one that was killed has left; that of a living
    one stays.
    """
    url, state = bare(tmp_path / "s.git"), tmp_path / ".reboot-runner" / "git-store"
    code = (
        "import sys, os, signal; from pathlib import Path; from runner.store.open import "
        "open_store\n"
        "open_store(sys.argv[1], Path(sys.argv[2])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, url, str(tmp_path)], cwd=ROOT, check=False)
    assert len(list(state.iterdir())) == 1
    with closing(open_store(url, tmp_path)), closing(open_store(url, tmp_path)):
        assert len(list(state.iterdir())) == 2
    assert list(state.iterdir()) == []
