"""Where job ids wait that the store could not take."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runner.app.open_target import open_target
from runner.cli.common import Terminal
from runner.loading.config import load_config

CONFIG = """
version: 1
store: postgresql://db.example.com/runs
targets:
  lab:
    cloud: simulator
    region: eu-west-101
    project_id: 05041fffa40025702f6dc009cc6f8f33
    endpoints: {ecs: "http://127.0.0.1:9", iam: "http://127.0.0.1:9"}
"""


@pytest.mark.parametrize(("named", "place"), [(None, ".reboot-runner"), ("state", "state")])
def test_the_folder_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, place: str
) -> None:
    """With a store elsewhere it is beside the configuration, or what REBOOT_RUNNER_STATE says:
    a container's configuration is often read-only.
    """
    (tmp_path / "reboot-runner.yaml").write_text(CONFIG)
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", "EXAMPLEACCESSKEY0001")
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", "ExampleSecretNotReal-0123456789")
    monkeypatch.delenv("REBOOT_RUNNER_STORE", raising=False)
    if named:
        monkeypatch.setenv("REBOOT_RUNNER_STATE", str(tmp_path / named))

    async def folder() -> Path:
        loaded = load_config(tmp_path / "reboot-runner.yaml", tmp_path, {})
        async with open_target(Terminal(), loaded, "lab") as session:
            return session.spool.folder

    assert asyncio.run(folder()) == tmp_path / place / "spool"
