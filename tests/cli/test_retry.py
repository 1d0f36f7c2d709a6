"""`retry`: what a run left undone goes down once more in the same cycle, and nothing else does."""

from __future__ import annotations

from tests.cli.lab import PLAN, Remote

BY_NAME = PLAN.replace("waves: [1, 50%]", "order: name\n    waves: [1, 50%]")


def stopped(cloud: Remote, plan: str = BY_NAME) -> str:
    """A run of ten that fails at web-003 in its second wave; four are not started. Its id."""
    cloud.fault(
        do="job_fail", on="reboot", servers={"names": ["web-003"]}, times=1, goes_down=False
    )
    cloud.lab.write("plans/web.yaml", plan)
    done = cloud.lab.run("run", "plans/web.yaml", "--yes")
    assert done.code == 5, done.err
    (row,) = cloud.lab.runs()
    return str(row["id"])


def retry(cloud: Remote, run: str, out: str = "plans/web-retry.yaml") -> str:
    done = cloud.lab.run("retry", run, "--out", out)
    assert done.code == 0, done.err
    return (cloud.lab.folder / out).read_text()


def test_what_failed_and_what_was_not_started_goes_down_once_more(cloud: Remote) -> None:
    """A failed server is asked for a second time, one not started for the first, one that
    was ready never again.
    """
    run = stopped(cloud)
    before = dict(cloud.reboots)
    text = retry(cloud, run)
    assert f"retry_of: {run}" in text
    assert "cycle: web\n" in text
    assert f"#   {cloud.id_of('web-003')}  web-003  failed" in text
    diff = cloud.lab.run("diff", "plans/web-retry.yaml")
    assert diff.out.startswith("5 servers in 3 waves"), diff.out
    assert f"servers that failed in run {run} go down once more in this cycle" in diff.out
    done = cloud.lab.run("run", "plans/web-retry.yaml", "--yes")
    assert (done.code, "5 of 5 servers ready" in done.out) == (0, True), done.err
    again = {
        name: n - before.get(name, 0)
        for name, n in cloud.reboots.items()
        if n != before.get(name, 0)
    }
    assert set(again.values()) == {1}
    assert len(again) == 5
    assert "web-003" in again


def test_a_retry_is_for_once(cloud: Remote) -> None:
    """When the retry has run, neither it under another name nor the first plan reboots
    anything in the cycle.
    """
    run = stopped(cloud)
    text = retry(cloud, run)
    assert cloud.lab.run("run", "plans/web-retry.yaml", "--yes").code == 0
    before = dict(cloud.reboots)
    cloud.lab.write("plans/other.yaml", text.replace("name: web-retry", "name: other"))
    for plan in ("plans/other.yaml", "plans/web-retry.yaml"):
        done = cloud.lab.run("run", plan, "--yes")
        assert done.code == 0, done.err
    assert cloud.reboots == before
    nothing = cloud.lab.run("retry", "web-retry")
    assert (nothing.code, nothing.out, "nothing to repeat" in nothing.err) == (0, "", True)


def test_a_retry_that_fails_is_repeated_by_the_next(cloud: Remote) -> None:
    """Each retry repeats the one before: the same server a third time, in the same cycle."""
    run = stopped(cloud)
    retry(cloud, run)
    cloud.fault(
        do="job_fail", on="reboot", servers={"names": ["web-003"]}, times=1, goes_down=False
    )
    assert cloud.lab.run("run", "plans/web-retry.yaml", "--yes").code == 5
    text = retry(cloud, "web-retry", "plans/third.yaml")
    assert "name: web-retry-2" in text
    assert "cycle: web\n" in text
    assert cloud.lab.run("run", "plans/third.yaml", "--yes").code == 0
    assert cloud.reboots["web-001"] == 1


def test_a_failed_server_that_rebooted_is_repeated_only_when_a_person_says_so(
    cloud: Remote,
) -> None:
    """`retry` names it with what was seen; `resolve --as reboot-again` makes it eligible,
    `not-rebooted` is refused.
    """
    cloud.fault(do="job_fail", on="reboot", servers={"names": ["web-003"]}, times=1)
    cloud.lab.write("plans/web.yaml", BY_NAME)
    done = cloud.lab.run("run", "plans/web.yaml", "--yes")
    assert done.code == 5, done.err
    assert "1 failed server rebooted, or may have" in done.out
    failed = cloud.id_of("web-003")
    text = cloud.lab.run("retry", "web").out
    assert f"- {failed}" not in text
    assert f"#   {failed}  web-003  failed (JobFailed): " in text
    assert "its history has a reboot at" in text
    words = ("resolve", "web", "--server", failed, "--reason", "it hangs", "--as")
    refused = cloud.lab.run(*words, "not-rebooted")
    assert (refused.code, "its history has a reboot at" in refused.err) == (4, True), refused.err
    assert cloud.lab.run(*words, "reboot-again").code == 0
    assert f"- {failed}" in retry(cloud, "web")
    again = cloud.lab.run("run", "plans/web-retry.yaml", "--yes")
    assert (again.code, "5 of 5 servers ready" in again.out) == (0, True), again.out
    assert cloud.reboots["web-003"] == 2
    assert max(n for name, n in cloud.reboots.items() if name != "web-003") == 1


def test_a_retry_of_a_retry_reaches_what_the_first_run_left(cloud: Remote) -> None:
    """Servers that failed in the first run and were not started in its retry go down in
    the third.
    """
    names = ["web-002", "web-003", "web-004"]
    fault = {"do": "job_fail", "on": "reboot", "times": 1, "goes_down": False}
    cloud.fault(**fault, servers={"names": names})
    cloud.lab.write(
        "plans/web.yaml", BY_NAME.replace("version: 1", "version: 1\nmax_failures: 100%")
    )
    assert cloud.lab.run("run", "plans/web.yaml", "--yes").code == 4
    other = cloud.lab.write(
        "plans/other.yaml", BY_NAME.replace("name: web\nl", "name: other\ncycle: web\nl")
    )
    done = cloud.lab.run("run", "plans/other.yaml", "--yes")
    assert (done.code, done.out.count("NotReadyInCycle: failed (JobFailed)")) == (4, 3), done.out
    other.unlink()
    retry(cloud, "web")
    cloud.fault(**fault, servers={"names": ["web-002"]})
    stopped_again = cloud.lab.run("run", "plans/web-retry.yaml", "--yes")
    assert stopped_again.code == 5, stopped_again.out
    retry(cloud, "web-retry", "plans/third.yaml")
    third = cloud.lab.run("run", "plans/third.yaml", "--yes")
    assert (third.code, "3 of 3 servers ready" in third.out) == (0, True), third.out
    assert set(cloud.reboots.values()) == {1}
    assert len(cloud.reboots) == 10


def test_a_request_without_a_trace_is_given_back_as_a_batch(cloud: Remote) -> None:
    """The run stops, prints the command that resolves it, and `retry` goes on from there."""
    cloud.fault(do="error", on="reboot", status=503, after=1, times=1)
    cloud.lab.write(
        "plans/web.yaml", BY_NAME.replace("version: 1", "version: 1\nmax_failures: 100%")
    )
    done = cloud.lab.run("run", "plans/web.yaml", "--yes")
    assert done.code == 5, done.err
    (row,) = cloud.lab.runs()
    command = f"reboot-runner resolve {row['id']} --batch 2 --as not-rebooted --reason TEXT"
    assert command in done.out
    missing = cloud.lab.run(
        "resolve", "web", "--batch", "7", "--as", "not-rebooted", "--reason", "x"
    )
    assert missing.code == 64
    cloud.fault(do="tags", servers={"names": ["web-002"]}, tags={"role": "web", "changed": "yes"})
    partly = cloud.lab.run(*command.replace("TEXT", "down").split()[1:])
    assert partly.code == 4, partly.err
    assert "web-002: left as it is: no reboot in its history, but it was updated at" in partly.err
    assert "4 servers are recorded as not-rebooted" in partly.err
    text = retry(cloud, "web")
    assert cloud.id_of("web-003") in text
    again = cloud.lab.run("run", "plans/web-retry.yaml", "--yes")
    assert (again.code, "8 of 8 servers ready" in again.out) == (0, True), again.out
    assert set(cloud.reboots.values()) == {1}


def test_what_cannot_be_repeated(cloud: Remote) -> None:
    """A run that is ready, unknown, open or of another cycle is refused at its place in the
    plan; nothing is sent.
    """
    run = stopped(cloud)
    text = retry(cloud, run)
    posts = cloud.posts
    for change, code in (
        ((f"retry_of: {run}", "retry_of: 20200101-000000-aaaaaa"), "RetryOfUnknownRun"),
        ((f"retry_of: {run}", f"retry_of: {run[:-1]}"), "RetryOfUnknownRun"),
        (("cycle: web", "cycle: other"), "RetryOfOtherCycle"),
    ):
        cloud.lab.write("plans/web-retry.yaml", text.replace(*change))
        for verb in ("run", "diff"):
            done = cloud.lab.run(
                verb, "plans/web-retry.yaml", *(("--yes",) if verb == "run" else ())
            )
            assert done.code == 3
            assert f"error[{code}]" in done.err
    ready = cloud.id_of("web-001")
    cloud.lab.write("plans/web-retry.yaml", text.replace(cloud.id_of("web-003"), ready))
    diff = cloud.lab.run("diff", "plans/web-retry.yaml")
    assert f"{ready}  RebootedInCycle" in diff.out or "rebooted already" in diff.out
    assert cloud.posts == posts
    exists = cloud.lab.run("retry", run, "--out", "plans/web-retry.yaml")
    assert (exists.code, "exists already" in exists.err) == (64, True)


def test_a_run_that_is_open_has_no_retry_yet(cloud: Remote) -> None:
    """What it will leave undone is not known: exit 7."""
    cloud.lab.write(
        "web.yaml", PLAN.replace("waves: [1, 50%]", "waves: [1, 50%]\n    pause: approval")
    )
    assert cloud.lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    done = cloud.lab.run("retry", "web")
    assert (done.code, done.out) == (7, "")


def test_the_plan_that_was_run_is_repeated(cloud: Remote) -> None:
    """Not its file as it is now: the run keeps its plan, and the paths in it follow the
    new file.
    """
    freeze = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nEND:VCALENDAR\n"
    cloud.lab.write("plans/year.ics", freeze)
    run = stopped(cloud, BY_NAME + "freeze: [year.ics]\n")
    (cloud.lab.folder / "plans" / "web.yaml").unlink()
    (cloud.lab.folder / "again").mkdir()
    text = retry(cloud, run, "again/web.yaml")
    assert "freeze: [../plans/year.ics]" in text
    assert cloud.lab.run("run", "again/web.yaml", "--yes").code == 0
