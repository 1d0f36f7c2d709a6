"""`status -o json` is as its published schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from runner.cli.main import invoke
from runner.report.schemas import schema_of
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.execution.setup import Bench, schedule_of
from tests.journal import made

ROOT = Path(__file__).resolve().parents[2]


def test_the_published_schema_is_what_the_program_says() -> None:
    """The file in `schemas/` is not stale."""
    assert json.loads((ROOT / "schemas/status.schema.json").read_text()) == schema_of("status")


def test_both_forms_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of runs and one run, in pause and stopped with failures, fit the schema; a
    wrong one does not.
    """
    monkeypatch.chdir(tmp_path)
    bench = Bench.of(4)
    bench.store = SqlStore(Sqlite(tmp_path / "runs.db", bench.clock.seconds))
    bench.cloud.fails = {"s-001": "boot failed"}
    bench.follow(bench.start(schedule_of([1, 1], plan="one")))
    open_run = bench.start(schedule_of([1, 1], plan="two", cycle="c2", first_server=2))
    validator = Draft7Validator(schema_of("status"))
    for arguments in (["status"], ["status", "one"], ["status", open_run]):
        assert invoke(["--store", f"sqlite:///{tmp_path}/runs.db", *arguments, "-o", "json"]) == 0
        said = json.loads(capsys.readouterr().out)
        validator.validate(said)
        assert not validator.is_valid({**said, "more": 1})
    bench.store.close()


def test_a_suspended_run_says_so_until_somebody_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list says `suspended` after a suspension, and `running` again as soon as a
    process advances the run.
    """
    monkeypatch.chdir(tmp_path)
    bench = Bench.of(3)
    bench.store = SqlStore(Sqlite(tmp_path / "runs.db", bench.clock.seconds))
    run_id = bench.start(schedule_of([1, 2]))
    bench.follow(run_id, until="come back")
    bench.store.record(
        run_id, bench.clock.now(), [made("run.suspended", {"why": "SIGINT"})], word="suspended"
    )

    def word() -> str:
        assert (
            invoke(["--store", f"sqlite:///{tmp_path}/runs.db", "status", run_id, "-o", "json"])
            == 0
        )
        return str(json.loads(capsys.readouterr().out)["word"])

    assert word() == "suspended"
    bench.clock.jump(seconds=60)
    bench.follow(run_id, until="come back")
    assert word() == "running"
    assert bench.read(run_id).suspended is None
    bench.store.close()
