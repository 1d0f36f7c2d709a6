"""Every command that reads a file refuses at once what is no regular file."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli.main import main
from runner.inputs.files import TooLarge, describe, read_regular

PLACES = ("pipe", "socket", "folder", "/dev/zero", "link-to-pipe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a pipe that nobody writes to, a link to it, a socket and a folder."""
    made = tmp_path_factory.mktemp("f")
    os.mkfifo(made / "pipe")
    (made / "link-to-pipe").symlink_to("pipe")
    (made / "folder").mkdir()
    (made / "reboot-runner.yaml").write_text("version: 1\nstore: sqlite:///runs.db\n")
    (made / "plan.yaml").write_text(
        "version: 1\nname: web\ngroups: [{name: web, servers: {ids_from: pipe}, waves: [1]}]\n"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(made / "socket"))
        yield made


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_file_is_refused_at_once(folder: Path, name: str) -> None:
    """Without waiting for a writer, and without reading a device."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the sentence is what is looked at
        read_regular(folder / name, 100)
    assert describe(caught.value) in ("is not a regular file", "is larger than 100 bytes")
    assert not isinstance(caught.value, TooLarge)


@pytest.mark.parametrize(
    "command",
    [
        ("run", "pipe"),
        ("run", "socket"),
        ("run", "/dev/zero"),
        ("run", "folder"),
        ("validate", "pipe"),
        ("validate", "plan.yaml"),
        ("render", "pipe"),
        ("diff", "pipe"),
        ("validate", "plan.yaml", "--vars-file", "pipe"),
        ("--config", "pipe", "diff", "plan.yaml"),
        ("simulator", "--scenario", "pipe"),
        ("simulator", "--inventory", "pipe"),
    ],
    ids=" ".join,
)
def test_every_file_argument(
    folder: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever the option, a pipe, a socket, a folder or a device ends the command with an
    error of ours.
    """
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(list(command))
    assert ended.value.code in (3, 64)
    said = "".join(capfd.readouterr())
    assert "regular file" in said or "is a directory" in said or "is a folder" in said
