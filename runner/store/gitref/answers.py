"""What Git and the host's side of it say, as errors that tell how to mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.errors import StoreError
from runner.git.program import Done
from runner.store.gitref.address import REF, TOKEN, Address
from runner.store.gitref.errors import RefUnreachable, StoreDenied, StoreRefused

_RIGHTS = (
    "it needs to write to the repository's contents: on GitHub `permissions: contents: "
    "write` for the job's token; "
    f"elsewhere a token with that right in {TOKEN}"
)
_LOGIN = (
    f"give a token in {TOKEN}; on GitHub the job's token is enough, as GITHUB_TOKEN in the "
    f"environment"
)
_LOGIN_HERE = "check that `git ls-remote` with this URL works without asking for anything"

_LOGINS = re.compile(
    r"terminal prompts disabled|could not read (?:Username|Password)|Authentication failed|error: 401"  # noqa: E501
    r"|Permission denied \(|Host key verification failed",
    re.I,
)
_DENIALS = re.compile(
    r"error: 403|denied to|insufficient permission|unable to (?:create|write)[^\n]*(?:permission|denied)"  # noqa: E501
    r"|write access|read[- ]only|not allowed to push|protected|hook declined|deny|prohibited|hidden ref|GH\d{3}"  # noqa: E501
    r"|funny refname|not permitted|restricted|GitLab: ",
    re.I,
)
_ABSENT = re.compile(
    r"error: 404|not found|does not appear to be a git repository|does not exist|no such file", re.I
)
_DAMAGE = re.compile(
    r"repository corruption|is corrupt|does not match index|not our ref|bad (?:tree|commit|object|config|pack|ref)"  # noqa: E501
    r"|unable to (?:read|unpack|parse) [0-9a-f]{40}|missing (?:blob|tree|commit)|object file .* is empty"  # noqa: E501
    r"|did not send all necessary objects|invalid object",
    re.I,
)
_FLAG = re.compile(rb"^!\t[^\t]*\t\[([a-z ]+)\](?: \((.*)\))?", re.M)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The host did not take a commit. `error`: what to say when nobody was quicker and it stays so.

    `is_final`: its rules say no; otherwise somebody was quicker, or is writing at this moment.
    """

    error: StoreError
    is_final: bool


def refusal(done: Done, address: Address) -> Refusal | None:
    """From the answer to a push (`git help push`, --porcelain); None where there is none
    for the ref.
    """
    found = _FLAG.search(done.out)
    if not found:
        return None
    word = found[1].decode("utf-8", "replace")
    why = (found[2] or b"").decode("utf-8", "replace")[:200]
    if word == "remote rejected" and _DENIALS.search(f"{why}\n{done.talk}"):
        return Refusal(_denied(why, address), is_final=True)
    return Refusal(
        StoreError(f"the store's host refused the write: {word} ({why})"), is_final=False
    )


def failure(done: Done, address: Address) -> StoreError:
    """From a call that failed as a whole. Unreachable where nothing says that it will
    fail again.
    """
    talk, where = done.talk, address.host or address.url
    if "dubious ownership" in talk:
        path = address.url.removeprefix("file://")
        hint = f"if you trust it: git config --global --add safe.directory {path}"
        return StoreRefused(
            "the store's repository belongs to another user, so Git does not read it", hint=hint
        )
    if _LOGINS.search(talk):
        hint = (
            (_RIGHTS if address.has_token else _LOGIN) if address.scheme != "ssh" else _LOGIN_HERE
        )
        return StoreDenied(
            f"{where} does not accept the login for the store: {done.reason}", hint=hint
        )
    if _DENIALS.search(talk):
        return _denied(done.reason, address)
    if re.search(r"redirect|error: 30\d", talk):
        return StoreRefused(
            "the store's repository has moved", hint="write the URL that it has now"
        )
    if "dumb http" in talk or "mismatched algorithms" in talk or "not valid: is this a git" in talk:
        hint = "it takes a repository with SHA-1 ids, over smart HTTP, SSH or a folder"
        return StoreRefused(
            f"{where} is no Git host that a store can be on: {done.reason}", hint=hint
        )
    if _DAMAGE.search(talk):
        what = (
            f"{where} cannot read the store's ref: objects or files of the repository are "
            f"missing or damaged"
        )
        hint = (
            "run `git fsck --full` in the repository, and restore it from a backup or from "
            "another clone"
        )
        return RefUnreachable(what, hint=hint)
    if _ABSENT.search(talk) and address.scheme == "file":
        what = (
            f"the store's folder {where.removeprefix('file://')} is not a Git repository, or "
            f"not a whole one"
        )
        hint = (
            "check the path; make a new one with `git init --bare`, or restore the one that "
            "was there from a backup"
        )
        return StoreRefused(what, hint=hint)
    if _ABSENT.search(talk):
        hint = (
            "check the URL; private repositories are not found without a token that may read them"
        )
        return StoreRefused(f"there is no repository at the store's URL: {done.reason}", hint=hint)
    hint = "check the network and the URL; docs/stores.md says when PostgreSQL is the better choice"
    return RefUnreachable(f"the store's host cannot be reached: {done.reason}", hint=hint)


def _denied(why: str, address: Address) -> StoreDenied:
    rights = (
        _RIGHTS
        if address.scheme != "file"
        else "the folder of the repository and its files must be writable"
    )
    hint = f"{rights}; and no rule of the repository may protect {REF}"
    return StoreDenied(f"the store's ref may not be written: {why}", hint=hint)
