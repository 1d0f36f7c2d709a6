"""The repository that holds the ref, and a private clone of its newest commits, by the
program `git`.

The clone is a bare repository of this process alone, in a folder beside the other state;
it begins with the newest commit, without history, and is deleted at the end. Folders of
processes that were killed are deleted by the next one.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runner.errors import StoreError
from runner.git.errors import GitError, GitSlow, NoRepository
from runner.git.program import Done, Program
from runner.inputs.json_text import JOURNAL
from runner.store.gitref.address import REF, Address
from runner.store.gitref.answers import Refusal, failure, refusal
from runner.store.gitref.errors import RefUnreachable, StoreRefused
from runner.store.gitref.memory import Memory
from runner.store.owner import is_provably_dead, this_process

OLDEST = (2, 31)
"""Settings by the environment came with it (`git help config`, GIT_CONFIG_COUNT)."""
PATIENCE_S = 30.0
"""How long one call may take. A lease is a minute: a host that is slower than this is no
place for a store.
"""

AT_ONCE = 1_000
"""Files that are read with one call, if they are not over the bound of an entry together."""
MOST_BYTES = 1_000_000_000
"""Of the files of a ref that are read at once. A run of 100,000 servers has about 100 MB."""

_TRACKING = "refs/remotes/store"
"""Of the clone. It follows wherever the ref goes (`+`); whether that may be is seen from
the history.
"""
_DEPTHS = (100, 2000, 2**31 - 1)
"""Of the history that is searched for a commit; the last one is Git's word for all of it."""
_FOREIGN = (
    "give the store a repository whose ref nobody else writes; if it held a store, "
    "restore the ref from a backup"
)
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
_NAME = re.compile(r"(\d+)-(\d*)-\w+")


@dataclass(frozen=True, slots=True)
class File:
    """A path of the tree that differs, and the blob that is there now; None: nothing."""

    path: str
    blob: str | None


class Remote:
    """One ref of a repository elsewhere. Raises StoreError: Unreachable where trying again
    may help.
    """

    def __init__(self, address: Address, state: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        self._patience_s = patience_s
        with _ours():
            self._program = Program.find(address.environ)
            _check_version(self._program, state)
            self.root = _folder(state.absolute())
            self._clone = self._new_clone("store.git")
        self._writes = 0
        self.memory = Memory.of(address.url, state)

    def _new_clone(self, name: str) -> Path:
        folder = self.root / name
        self._check("init", "--quiet", "--bare", "--template=", "--", str(folder), folder=self.root)
        return folder

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    # --- to and from the other side -------------------------------------------

    def fetch(self, base: str | None, *, whole: bool = False) -> str | None:
        """The newest commit of the ref, with all that it needs; None where there is no such ref.

        `base`: the newest one so far; only what came after it is fetched, and where there
        is none yet the newest alone, without its history (`whole`: with it). Raises
        StoreRefused when it is no ancestor of the newest one: the ref was rewound or
        replaced.
        """
        depth = () if base or whole else ("--depth=1",)
        done = self._network(
            "fetch", *_FETCH, *depth, "--", self.address.url, f"+{REF}:{_TRACKING}"
        )
        if done.code == 0:
            tip = (self._clone / _TRACKING).read_text(encoding="ascii").strip()
            if tip != base:
                self._demand_commit(tip)
                if base is not None and not self.is_in(base, tip):
                    raise replaced("was rewound or replaced")
            return tip
        if "couldn't find remote ref" in done.talk:
            if base is None:
                return None
            raise replaced("is gone")
        raise failure(done, self.address)

    def push(self, commit: str, *, dry: bool = False) -> Refusal | StoreError | None:
        """Offer a commit as the newest one: None when the host took it (`dry`: when it is
        ready to). Never forced.

        A refusal is what the host said; a StoreError says that nobody knows, or not yet.
        """
        options = ("--dry-run",) if dry else ()
        try:
            done = self._network(
                "push",
                "--porcelain",
                "--no-verify",
                *options,
                "--",
                self.address.url,
                f"{commit}:{REF}",
            )
        except RefUnreachable as error:
            return error
        if done.code == 0:
            return None
        return refusal(done, self.address) or failure(done, self.address)

    def is_in(self, commit: str, tip: str) -> bool:
        """Whether a commit that this process has read or made is in the history of the
        newest one.
        """
        return self._run("merge-base", "--is-ancestor", commit, tip).code == 0

    def was_built_on(self, commit: str) -> bool:
        """Whether a commit that another process has seen is in the history of the ref.

        That history is not in the clone: it is fetched into one of its own, the newest part
        first, and without files where the host can leave them out (`git help fetch`,
        --filter). So what it takes grows with what was written since, not with the age of
        the store.
        """
        clone = self.root / "history.git"
        self._new_clone(clone.name)
        for depth in _DEPTHS:
            options = ("--filter=tree:0", f"--depth={depth}")
            done = self._network(
                "fetch",
                *_FETCH,
                *options,
                "--",
                self.address.url,
                f"+{REF}:{_TRACKING}",
                clone=clone,
            )
            if done.code != 0:
                raise failure(done, self.address)
            if commit in self._check("rev-list", _TRACKING, folder=clone).text.split("\n"):
                return True
            if not (clone / "shallow").exists():
                break
        return False

    def _demand_commit(self, tip: str) -> None:
        kind = self._check("cat-file", "-t", tip).text
        if kind != "commit":
            raise StoreRefused(
                f"the store's ref {REF} points at a {kind}, not at a commit of a store",
                hint=_FOREIGN,
            )

    # --- here -----------------------------------------------------------------

    def write(self, base: str | None, changes: Mapping[str, bytes | None], message: str) -> str:
        """A commit on `base` in which these paths hold these bytes; None: the path, file or
        folder, is gone.
        """
        self._writes += 1
        stream = _stream(base, changes, message, f"refs/writes/{self._writes}")
        return self._check("fast-import", "--quiet", "--done", given=stream).text.strip()

    def differences(self, base: str | None, tip: str) -> list[File]:
        """The files that differ between two commits; all files where there was none before."""
        if base is None:
            out = self._check("ls-tree", "-r", "-z", "--full-tree", tip).out
            rows = (row.split(b"\t", 1) for row in out.split(b"\0")[:-1])
            return [File(os.fsdecode(path), facts.split(b" ")[2].decode()) for facts, path in rows]
        out = self._check(
            "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, tip
        ).out
        words = iter(out.split(b"\0")[:-1])
        return [_changed(facts, next(words)) for facts in words]

    def read(self, blobs: Sequence[str], clone: Path | None = None) -> Iterator[bytes]:
        """Yield what blobs hold, in their order. Their sizes are known before anything of
        them is read.
        """
        piece: list[tuple[str, int]] = []
        for blob, size in zip(blobs, self._sizes(blobs, clone), strict=True):
            if len(piece) == AT_ONCE or sum(size for _, size in piece) + size > JOURNAL.size:
                yield from self._read(piece, clone)
                piece = []
            piece.append((blob, size))
        yield from self._read(piece, clone)

    def _sizes(self, blobs: Sequence[str], clone: Path | None) -> list[int]:
        """Return the bytes of each blob. Raises StoreRefused for what is none, or too large."""
        if not blobs:
            return []
        out = self._check("cat-file", "--batch-check", given=_lines(blobs), folder=clone).out
        sizes = []
        for line in out.splitlines():
            _, kind, *size = line.split(b" ")
            if kind != b"blob":  # a link to another repository is `missing`
                raise StoreRefused(
                    "the store's ref holds something that is not a file", hint=_FOREIGN
                )
            sizes.append(int(size[0]))
        if max(sizes) > JOURNAL.size:
            what = (
                f"the store's ref holds a file of {max(sizes):,} bytes, at most "
                f"{JOURNAL.size:,} are read"
            )
            raise StoreRefused(what, hint=_FOREIGN)
        if sum(sizes) > MOST_BYTES:
            what = (
                f"the store's ref holds {sum(sizes):,} bytes of files, at most {MOST_BYTES:,} "
                f"are read"
            )
            raise StoreRefused(what, hint=_FOREIGN)
        return sizes

    def _read(self, piece: Sequence[tuple[str, int]], clone: Path | None) -> Iterator[bytes]:
        if not piece:
            return
        out = self._check(
            "cat-file", "--batch", given=_lines([blob for blob, _ in piece]), folder=clone
        ).out
        at = 0
        for _, size in piece:
            begin = out.index(b"\n", at) + 1
            yield out[begin : begin + size]
            at = begin + size + 1

    def recall(self, commit: str, folder: str) -> Iterator[bytes]:
        """Yield the files of a folder as an older commit has them, in order of their names.

        Fetched into a clone of its own, so that the history of the other one stays as it
        is; where the host gives no commit by its id, with the whole history of the ref.
        """
        clone = self.root / "older.git"
        if not clone.is_dir():
            self._new_clone("older.git")
        name = f"refs/older/{commit}"
        done = self._network(
            "fetch", *_FETCH, "--depth=1", "--", self.address.url, f"{commit}:{name}", clone=clone
        )
        if done.code != 0:
            done = self._network(
                "fetch", *_FETCH, "--", self.address.url, f"{REF}:refs/older/all", clone=clone
            )
            if done.code != 0:
                raise failure(done, self.address)
        found = self._run(
            "ls-tree", "-r", "-z", "--full-tree", commit, "--", f"{folder}/", folder=clone
        )
        if found.code != 0:
            what = (
                f"the history of the store's ref lacks commit {commit[:40]!r}, which holds the "
                f"events of an older run"
            )
            raise StoreRefused(what, hint=_FOREIGN)
        blobs = [
            row.split(b"\t", 1)[0].split(b" ")[2].decode() for row in found.out.split(b"\0")[:-1]
        ]
        return self.read(blobs, clone)

    # --- the program ----------------------------------------------------------

    def _network(self, *arguments: str, clone: Path | None = None) -> Done:
        try:
            with _ours():
                return self._program.run(
                    clone or self._clone, *arguments, timeout_s=self._patience_s
                )
        except GitSlow as slow:
            hint = (
                "a lease is a minute, so a host this slow is no place for a store: use PostgreSQL"
            )
            raise RefUnreachable(
                f"the store's host gave no answer within {self._patience_s:.0f} s", hint=hint
            ) from slow

    def _run(self, *arguments: str, given: bytes | None = None, folder: Path | None = None) -> Done:
        with _ours():
            return self._program.run(folder or self._clone, *arguments, given=given)

    def _check(
        self, *arguments: str, given: bytes | None = None, folder: Path | None = None
    ) -> Done:
        done = self._run(*arguments, given=given, folder=folder)
        if done.code != 0:
            raise StoreError(f"git {arguments[0]} failed in the store's clone: {done.reason}")
        return done


def _lines(words: Sequence[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except GitSlow:
        raise
    except NoRepository as error:
        raise StoreError(f"a store in Git needs Git: {error.message}", hint=error.hint) from error
    except GitError as error:
        raise StoreError(error.message, hint=error.hint) from error
    except OSError as error:
        raise StoreError(f"the store's clone cannot be made: {error.strerror}") from error


def replaced(how: str, memory: Memory | None = None) -> StoreRefused:
    """The error of a ref that is not what it was. `memory`: what says so, where no commit
    of this process does.
    """
    hint = (
        "no reboot-runner does that: find out what happened and what was asked of the cloud "
        "since, and restore the ref"
        " from a backup or another clone"
    )
    if memory is not None:
        hint += f"; to go on with what is there on purpose, delete {memory.path}"
    return StoreRefused(f"the store's ref {REF} {how} since this machine last read it", hint=hint)


def _check_version(program: Program, folder: Path) -> None:
    folder = folder if folder.is_dir() else Path("/")
    found = re.search(r"(\d+)\.(\d+)", program.run(folder, "version").text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < OLDEST:
        needs = ".".join(map(str, OLDEST))
        raise StoreError(
            f"this Git is {'.'.join(map(str, version))}, a store in Git needs {needs}",
            hint="install a newer Git, or use a PostgreSQL store",
        )


def _folder(state: Path) -> Path:
    """A new folder of this process; those of dead processes go."""
    state.mkdir(parents=True, exist_ok=True)
    for other in state.iterdir():
        if _is_left_behind(other.name):
            shutil.rmtree(other, ignore_errors=True)
    me = this_process()
    return Path(tempfile.mkdtemp(prefix=f"{me.pid}-{me.started}-", dir=state))


def _is_left_behind(name: str) -> bool:
    """The folder's process is gone. The state folder is of this machine; where it is not,
    nothing can be told.
    """
    found = _NAME.fullmatch(name)
    if not found:
        return False
    return is_provably_dead(replace(this_process(), pid=int(found[1]), started=found[2]))


def _changed(facts: bytes, path: bytes) -> File:
    """From `:MODE MODE BLOB BLOB STATUS`."""
    words = facts.split(b" ")
    return File(os.fsdecode(path), None if words[4] == b"D" else words[3].decode())


def _stream(base: str | None, changes: Mapping[str, bytes | None], message: str, ref: str) -> bytes:
    """A commit as `git fast-import` takes it."""
    said = message.encode()
    parts = [
        f"feature done\ncommit {ref}\nmark :1\n"
        f"committer reboot-runner <reboot-runner@localhost> {int(time.time())} +0000\ndata "
        f"{len(said)}\n".encode(),
        said,
        f"\nfrom {base}\n".encode() if base else b"\n",
    ]
    for path, data in changes.items():
        if data is None:
            parts.append(f"D {path}\n".encode())
    for path, data in changes.items():
        if data is not None:
            parts += (f"M 100644 inline {path}\ndata {len(data)}\n".encode(), data, b"\n")
    return b"".join((*parts, b"get-mark :1\ndone\n"))


def patiently(work: Callable[[], str | None], times: int = 2, pause_s: float = 0.5) -> str | None:
    """Try again what may go better the next time. Raises what the last attempt raised."""
    for _ in range(times - 1):
        with suppress(RefUnreachable):
            return work()
        time.sleep(pause_s)
    return work()
