"""The store cannot be reached while a job id is in hand: the id is told, spooled, tried
again, and never lost.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.execution import writer
from runner.store.spool import MOST_BYTES, FileSpool

from .setup import Bench, schedule_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Insisting takes real time; here it takes none."""
    monkeypatch.setattr(writer, "INSIST_EVERY_S", 0.0)


def failing(bench: Bench, times: int) -> None:
    """The store fails from the acceptance on, for so many writes."""
    left = {"n": 0}

    def wrap(name: str) -> None:
        method = getattr(bench.store, name)

        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            events = args[2] if len(args) > 2 else ()
            if (
                bench.cloud.reboots
                and left["n"] < times
                and any(e.type == "batch.accepted" for e in events)
            ):
                left["n"] += 1
                raise StoreError("the disk is full")
            return method(*args, **kwargs)

        setattr(bench.store, name, call)

    wrap("append")
    wrap("record")


def test_a_store_that_comes_back_gets_the_job_id(tmp_path: Path) -> None:
    """The id is told and spooled at once, and stored as soon as the store answers; the run
    goes on with the job.
    """
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([3]))
    driver = bench.driver(run_id)
    driver.setting = replace(driver.setting, spool=FileSpool(tmp_path / "spool"))
    failing(bench, 4)
    with pytest.raises(StoreError):
        bench.follow(run_id, driver)
    assert any("job-1" in line for line in bench.log)
    assert not list((tmp_path / "spool").iterdir())
    run = bench.follow(run_id)
    assert {s.reason for s in run.servers.values()} == {"Rebooted"}
    assert bench.cloud.calls["reboot"] == 1


def test_a_spooled_job_id_is_read_by_the_next_process(tmp_path: Path) -> None:
    """When the store stays away the process ends; the next one on this machine reads the
    spooled id and follows it.
    """
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([3]))
    driver = bench.driver(run_id)
    spool = FileSpool(tmp_path / "spool")
    driver.setting = replace(driver.setting, spool=spool)
    failing(bench, writer.INSIST_TIMES + 1)
    with pytest.raises(StoreError):
        bench.follow(run_id, driver)
    assert [f.job for f in spool.read(run_id)] == ["job-1"]
    with spool.path(run_id).open("a") as file:
        file.write('{"batch": 1, "jo')
    following = bench.driver(run_id)
    following.setting = replace(following.setting, spool=spool)
    run = bench.follow(run_id, following)
    assert {s.reason for s in run.servers.values()} == {"Rebooted"}
    assert not spool.path(run_id).exists()
    assert bench.cloud.calls["reboot"] == 1


def test_a_file_that_is_no_spool_is_named(tmp_path: Path) -> None:
    """It may hold job ids, so a run does not go on without it; a pipe is not waited for."""
    (tmp_path / "large.jsonl").write_bytes(b" " * (MOST_BYTES + 1))
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name, says in (("large", "is larger than 4 MiB"), ("pipe", "is not a regular file")):
        with pytest.raises(StoreError, match=f"{name}.jsonl {says}"):
            FileSpool(tmp_path).read(name)
