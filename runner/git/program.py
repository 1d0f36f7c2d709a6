"""The program `git`, run so that neither the repository nor the environment can make it do
something else.

No shell, no pager, no prompt, no hook, no file monitor, no external diff; paths are
literal, output is in English. Variables of a surrounding Git command (a hook that calls us)
are dropped: they would point it at another repository.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.git.errors import GitError, GitSlow, NoRepository

TIMEOUT_S = 60.0
NETWORK_TIMEOUT_S = 120.0

_SETTINGS = (
    "core.quotePath=false",
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "color.ui=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
)
_OPTIONS = ("--no-pager", "--no-replace-objects", "--no-optional-locks", "--literal-pathspecs")
_FIXED = {"LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0"}
_KEPT = re.compile(
    "GIT_(CONFIG_.*|SSH|SSH_.*|SSL_.*|HTTP_.*|ASKPASS|ALLOW_PROTOCOL|EXEC_PATH|CEILING_DIRECTORIES)"
)
"""What of Git's own variables stays: how to reach a remote, and settings; not which
repository, index or diff.
"""

MOST_OUT = 64 << 20
"""Most bytes of an answer: more than the largest entry of a store (`inputs.json_text.JOURNAL`)."""

_IN_URL = re.compile(r"://[^/@\s']*@")
_LONGEST_REASON = 300
_LONGEST_TALK = 4000


class _TooMuch(Exception):
    """The answer is larger than `MOST_OUT`."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a call ended. `reason` is the last line that Git said about it, `talk` all it said,
    without credentials of a URL.
    """

    code: int
    out: bytes
    reason: str
    talk: str = ""

    @property
    def text(self) -> str:
        """The output without its last line's end; bytes that are not UTF-8 stay as the file
        system writes them.
        """
        return os.fsdecode(self.out).removesuffix("\n")


@dataclass(frozen=True, slots=True)
class Program:
    """`git` at `path`, run with the environment `environ`."""

    path: str
    environ: Mapping[str, str]

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Program:
        """The program on `PATH`, never one of the folder we are in. Raises NoRepository
        when there is none.
        """
        folders = (
            folder
            for folder in environ.get("PATH", os.defpath).split(os.pathsep)
            if Path(folder).is_absolute()
        )
        found = shutil.which("git", path=os.pathsep.join(folders))
        if found is None:
            raise NoRepository("the program git is not on PATH", hint="install Git 2.30 or newer")
        kept = {
            name: v
            for name, v in environ.items()
            if not name.startswith("GIT_") or _KEPT.fullmatch(name)
        }
        return cls(found, {**kept, **_FIXED})

    def run(
        self,
        folder: Path,
        *arguments: str,
        given: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Done:
        """One call in `folder`, with `given` as its input. Raises GitError when it cannot be
        started or says more than `MOST_OUT`, GitSlow when it takes too long; else see
        `code`.
        """
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = [self.path, "-C", str(folder), *_OPTIONS, *settings, *arguments]
        try:
            process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
                command,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to ask on; its children end with it
            )
        except (OSError, ValueError) as error:
            raise GitError(
                f"git cannot be started: {getattr(error, 'strerror', None) or 'bad argument'}"
            ) from None
        with process:
            try:
                out, err = _answer(process, given, timeout_s)
            except (subprocess.TimeoutExpired, TimeoutError):
                raise GitSlow(
                    f"git {arguments[0]} gave no answer within {timeout_s:.0f} s"
                ) from None
            except _TooMuch:
                raise GitError(f"git {arguments[0]} gave more than {MOST_OUT >> 20} MiB") from None
        talk = _IN_URL.sub("://", err.decode("utf-8", "replace"))
        return Done(process.returncode, out, _reason(talk), talk[-_LONGEST_TALK:])


def _answer(
    process: subprocess.Popen[bytes], given: bytes | None, timeout_s: float
) -> tuple[bytes, bytes]:
    """Return all that the process writes, and what it says of errors. Raises TimeoutError,
    TimeoutExpired and _TooMuch; the process and its children are ended then.
    """
    ends = time.monotonic() + timeout_s
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101
    with ThreadPoolExecutor(3) as pool:
        try:
            out = pool.submit(process.stdout.read, MOST_OUT + 1)
            err = pool.submit(process.stderr.read, MOST_OUT + 1)
            fed = pool.submit(_feed, process.stdin, given)
            for done in as_completed((out, err, fed), timeout_s):
                if len(done.result()) > MOST_OUT:
                    raise _TooMuch
            process.wait(max(0.0, ends - time.monotonic()))
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return out.result(), err.result()


def _feed(pipe: IO[bytes] | None, given: bytes | None) -> bytes:
    """Write the input; a program that ends without having read it says why in its own words."""
    if pipe is not None and given is not None:
        with suppress(BrokenPipeError), pipe:
            pipe.write(given)
    return b""


def _reason(talk: str) -> str:
    """The line that says why: the last with `fatal:` or `error:`, else the last."""
    lines = [line.strip() for line in talk.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    if not telling:
        return "no reason given"
    return telling[-1].removeprefix("fatal: ").removeprefix("error: ")[:_LONGEST_REASON]
