"""Laws of the simulated cloud that hold whatever is asked of it, in whatever order."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from .bench import Bench, simulated

SERVERS = 12
QUOTA = 8

batches = st.lists(st.integers(0, SERVERS - 1), min_size=1, max_size=6, unique=True)
steps = st.one_of(
    st.tuples(st.just("reboot"), batches, st.sampled_from(["SOFT", "HARD"])),
    st.tuples(st.just("wait"), st.floats(0.1, 90)),
    st.tuples(
        st.just("fault"),
        st.sampled_from(
            [
                {"do": "job_fail", "servers": {"count": 1}},
                {"do": "job_stuck", "servers": {"count": 1}},
                {"do": "stays_in_reboot", "servers": {"count": 1}},
                {"do": "sub_job_missing", "servers": {"count": 1}},
                {"do": "locked", "servers": {"count": 2}, "for": "20s"},
                {"do": "reset", "on": "reboot", "when": "before"},
                {"do": "error", "on": "reboot", "effect": True},
            ]
        ),
    ),
)


def play(bench: Bench, story: list[tuple[Any, ...]]) -> None:
    for kind, *details in story:
        if kind == "wait":
            bench.clock.advance(details[0])
        elif kind == "fault":
            bench.fault(**details[0])
        else:
            with suppress(httpx.ReadError):  # a reset that the story asked for
                bench.reboot([bench.ids[i] for i in details[0]], details[1])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(steps, max_size=14),
    st.sampled_from(["refuse", "sub_job"]),
    st.sampled_from(["busy", "queue"]),
)
def test_log_jobs_servers_and_history_agree(
    story: list[tuple[Any, ...]], bad: str, rebooting: str
) -> None:
    """Never more than the quota in any 60 s; history, counts and jobs tell the same; in the
    end all is settled.
    """
    switches = {"quota_servers": QUOTA, "bad_servers": bad, "rebooting_servers": rebooting}
    with simulated(SERVERS, switches=switches) as bench:
        play(bench, story)
        bench.clock.advance(3000)
        reboots = bench.state.accepted_reboots()
        for first in reboots:
            within = [r for r in reboots if first.at <= r.at < first.at + timedelta(seconds=60)]
            assert len(within) <= QUOTA
        counts = Counter({i: len(bench.history(i)) for i in bench.ids})
        assert +counts == bench.state.reboot_counts()
        never_back = {r.server_id for r in reboots if r.back is None}
        for server in bench.listed(limit=1000)["servers"]:
            assert server["status"] == "ACTIVE" or server["id"] in never_back
        for job_id in {r.job_id for r in reboots}:
            job = bench.job(job_id)
            ends = [s["end_time"] for s in job["entities"]["sub_jobs"]]
            assert (
                job["status"] in ("SUCCESS", "FAIL")
                or "" in ends
                or len(ends) < job["entities"]["sub_jobs_total"]
            )
            assert not job["end_time"] or all(e < job["end_time"] for e in ends)
