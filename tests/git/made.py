"""Real Git repositories made for tests, independent of who runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.git.repository import Repository

ENV = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_SETTINGS = (
    "user.name=T",
    "user.email=t@example.com",
    "commit.gpgSign=false",
    "protocol.file.allow=always",
)

PLAN = """\
version: 1
name: {name}
groups:
  - name: {name}
    servers: {{{servers}}}
    waves: [1, 10%]
    pause: 10m
    bake: 5m
"""


def plan(name: str, servers: str = "all: true") -> str:
    """A plan that is long enough for Git to know it again after an edit."""
    return PLAN.format(name=name, servers=servers)


@dataclass(frozen=True)
class Made:
    """A repository in `folder`, whose branch is `main`."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Made:
        folder.mkdir(parents=True)
        made = cls(folder)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    def git(self, *arguments: str) -> str:
        """One Git command. Raises CalledProcessError, with what Git said, when it fails."""
        settings = [word for one in _SETTINGS for word in ("-c", one)]
        done = subprocess.run(
            ["git", *settings, *arguments],
            cwd=self.folder,
            env=ENV,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, files: Mapping[str, str | None] | None = None) -> str:
        """Commit everything as it is on disk, after writing (or removing: None) these
        files; the new commit's id.
        """
        for name, text in (files or {}).items():
            if text is None:
                (self.folder / name).unlink()
            else:
                self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.head

    def clone(self, folder: Path, *options: str) -> Made:
        """A clone over the transport that remotes use, so that depth counts and the server
        may refuse.
        """
        self.git("clone", "--quiet", *options, f"file://{self.folder}", str(folder))
        return Made(folder)

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        return Repository.find(self.folder, ENV)
