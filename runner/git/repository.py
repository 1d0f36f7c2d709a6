"""A Git repository and its other revisions: what is where, what differs, what a file held.

Revisions come from command lines and event files, paths from pull requests: none is ever
taken for an option. Paths are relative to the root, with `/`; names that are not UTF-8 are
kept as the file system writes them.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.git.changes import Change, read_changes
from runner.git.errors import GitError, MissingHistory, NoRepository, NotReadable, UnknownRevision
from runner.git.program import NETWORK_TIMEOUT_S, Done, Program

MAX_BLOB_BYTES = 16 << 20
"""The most that is read of a file: what the largest file that a plan may name can have."""

_SHA = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_KINDS = {b"120000": "a symbolic link", b"160000": "a submodule", b"040000": "a folder"}


def is_sha(text: str) -> bool:
    """Whether this is a full commit id (SHA-1 or SHA-256), in lower case."""
    return bool(_SHA.fullmatch(text))


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository whose working tree begins at `root` (with its links resolved)."""

    root: Path
    program: Program

    @classmethod
    def find(cls, start: Path, environ: Mapping[str, str] | None = None) -> Repository:
        """The repository that holds the folder `start`. Raises NoRepository when there is
        none, or no Git.
        """
        program = Program.find(os.environ if environ is None else environ)
        done = program.run(start, "rev-parse", "--show-toplevel")
        if done.code == 0 and done.text:
            return cls(Path(done.text), program)
        if "dubious ownership" in done.reason:
            hint = f"if you trust it: git config --global --add safe.directory {start.absolute()}"
            raise NoRepository(
                "the repository belongs to another user, so Git does not read it", hint=hint
            )
        raise NoRepository(
            f"no Git repository in {start.absolute()}", hint="change to a clone of the repository"
        )

    # commits

    def resolve(self, revision: str) -> str:
        """The full id of the commit that a revision means. Raises UnknownRevision."""
        if revision and not revision.startswith("-") and revision.isprintable():
            name = f"{revision}^{{commit}}"
            done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
            if done.code == 0 and is_sha(done.text):
                return done.text
        raise UnknownRevision(
            f'Git knows no commit "{revision[:200]}"',
            hint=(
                "name a branch, a tag or a commit of this clone; `git fetch` gets those of the "
                "remote"
            ),
        )

    def has(self, sha: str) -> bool:
        """Whether the commit of this full id is in the clone."""
        return is_sha(sha) and self._run("cat-file", "-e", f"{sha}^{{commit}}").code == 0

    def ensure(self, sha: str) -> str:
        """The same id, its commit fetched where the clone lacks it. Raises MissingHistory."""
        if not self.has(sha):
            self.fetch(sha)
        return sha

    def fetch(self, sha: str) -> None:
        """Get one commit from the remote of the branch, or `origin`: into a shallow clone
        without its history.

        Raises MissingHistory.
        """
        if not is_sha(sha):
            raise UnknownRevision(
                f'"{sha[:200]}" is not the full id of a commit', hint="write all its 40 digits"
            )
        remote = self._remote()
        is_shallow = self._run("rev-parse", "--is-shallow-repository").text == "true"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        depth = ("--depth=1",) if is_shallow else ()
        done = self._run("fetch", *options, *depth, "--", remote, sha, timeout_s=NETWORK_TIMEOUT_S)
        if done.code != 0 or not self.has(sha):
            raise MissingHistory(
                f"commit {sha[:12]} is not in this clone, and {remote} does not give it: "
                f"{done.reason}"
            )

    def merge_base(self, first: str, second: str) -> str:
        """The best common ancestor of two revisions. Raises MissingHistory when the
        clone has none.
        """
        a, b = self._commit(first), self._commit(second)
        done = self._run("merge-base", a, b)
        if done.code == 0 and is_sha(done.text):
            return done.text
        raise MissingHistory(f"commits {a[:12]} and {b[:12]} have no common ancestor in this clone")

    def parents(self, revision: str) -> tuple[str, ...]:
        """The ids of a commit's parents as it was made: also those that a shallow clone lacks."""
        header = self._text("cat-file", "commit", self._commit(revision)).partition("\n\n")[0]
        words = (line.split(" ") for line in header.split("\n"))
        return tuple(word[1] for word in words if word[0] == "parent")

    def last_change(self, path: str) -> str | None:
        """The last commit of HEAD's history that changed a file; None where there is none."""
        done = self._run("log", "-1", "--format=%H", "HEAD", "--", path)
        return done.text if done.code == 0 and is_sha(done.text) else None

    def mainline_since(self, path: str, base: str, most: int = 100) -> list[str]:
        """Return HEAD's first-parent commits that `base` lacks, from the last that changed a
        file, the newest first.

        Where `base` has that change already, they are all that it lacks. At most `most` commits.
        """
        changed = self._run("log", "-1", "--first-parent", "--format=%H", "HEAD", "--", path).text
        before = [f"^{changed}^@"] if is_sha(changed) else []
        return self._text(
            "rev-list", "--first-parent", f"--max-count={most}", "HEAD", f"^{base}", *before
        ).split()

    def default_branch(self) -> str | None:
        """Return the branch that `origin` names as its default, else the one of a
        repository without commits.
        """
        remote = self._run("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").text
        if remote:
            return remote.removeprefix("origin/")
        is_new = self._run("rev-parse", "--verify", "--quiet", "HEAD").code != 0
        if not is_new:
            return None
        return self._run("symbolic-ref", "--quiet", "--short", "HEAD").text or None

    # files

    def read(self, revision: str, path: str, limit: int = MAX_BLOB_BYTES) -> bytes | None:
        """What a file holds in a revision; None where there is no such file.

        Raises NotReadable for links, submodules and folders, for more than `limit` bytes,
        and for a path that leads out of the repository.
        """
        if (
            "\0" in path
            or path != posixpath.normpath(path)
            or path.startswith(("/", "../"))
            or path in ("..", ".")
        ):
            raise NotReadable(f'"{path[:200]}" is no path inside the repository')
        commit = self._commit(revision)
        listed = self._check("ls-tree", "-z", "-l", "--full-tree", commit, "--", path).out
        for entry in listed.split(b"\0")[:-1]:
            described, _, name = entry.partition(b"\t")
            if name == os.fsencode(path):
                mode, _, blob, size = described.split()
                self._refuse(mode, size, limit, f"{path} in {commit[:12]}")
                return self._check("cat-file", "blob", blob.decode("ascii")).out
        return None

    def files(self, revision: str, folder: str = "") -> list[str]:
        """The paths of all files (and links) below a folder in a revision, sorted. Empty
        where there is none.
        """
        names = ("--", folder.rstrip("/") + "/") if folder.strip("/.") else ()
        listed = self._check(
            "ls-tree", "-r", "-z", "--full-tree", self._commit(revision), *names
        ).out
        entries = (entry.partition(b"\t") for entry in listed.split(b"\0")[:-1])
        return sorted(os.fsdecode(name) for described, _, name in entries if b" blob " in described)

    def changes(self, base: str, head: str) -> list[Change]:
        """The files that differ between two revisions, with renames found by content."""
        options = ("-r", "-z", "-M", "--name-status", "--no-ext-diff", "--no-textconv")
        done = self._check("diff-tree", *options, self._commit(base), self._commit(head), "--")
        return read_changes(done.out)

    def uncommitted(self) -> set[str]:
        """The files of the working tree that differ from the commit that is checked out,
        new ones included.
        """
        options = (
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignore-submodules=all",
        )
        return {
            os.fsdecode(entry[3:])
            for entry in self._check("status", *options).out.split(b"\0")[:-1]
        }

    def path_of(self, path: Path) -> str | None:
        """A path on disk as this repository calls it; None outside of it. Links are
        resolved in its folders only.
        """
        folder = path.parent if path.name not in ("", "..") else path
        real = folder.resolve() / path.name if folder is not path else path.resolve()
        return real.relative_to(self.root).as_posix() if real.is_relative_to(self.root) else None

    # the program

    def _run(self, *arguments: str, timeout_s: float | None = None) -> Done:
        if timeout_s is None:
            return self.program.run(self.root, *arguments)
        return self.program.run(self.root, *arguments, timeout_s=timeout_s)

    def _check(self, *arguments: str) -> Done:
        done = self._run(*arguments)
        if done.code != 0:
            raise GitError(f"git {arguments[0]} failed: {done.reason}")
        return done

    def _text(self, *arguments: str) -> str:
        return self._check(*arguments).text

    def _commit(self, revision: str) -> str:
        return revision if is_sha(revision) else self.resolve(revision)

    def _remote(self) -> str:
        """The remote that the branch follows, else `origin`. Raises MissingHistory when
        there is none.
        """
        remotes = self._run("remote").text.split("\n")
        branch = self._run("symbolic-ref", "--quiet", "--short", "HEAD").text
        followed = self._run("config", "--get", f"branch.{branch}.remote").text if branch else ""
        for name in (followed, "origin"):
            if name and name in remotes:
                return name
        raise MissingHistory(
            "a commit is not in this clone, and there is no remote to fetch it from"
        )

    @staticmethod
    def _refuse(mode: bytes, size: bytes, limit: int, what: str) -> None:
        if mode in _KINDS:
            raise NotReadable(
                f"{what} is {_KINDS[mode]}, not a file", hint="commit a regular file there"
            )
        if int(size) > limit:
            raise NotReadable(f"{what} is larger than {limit >> 20} MiB")
