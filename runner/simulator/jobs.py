"""Jobs as JSON: an accepted batch at one moment (page "Querying Job Execution Status")."""

from __future__ import annotations

from runner.simulator import events as ev
from runner.simulator.answers import compact
from runner.simulator.chance import pick_hex
from runner.simulator.timeline import Millis, iso_millis

# Types as recorded for a reboot; mind the plural of the parent.
PARENT_TYPE, SUB_TYPE = "serversAction", "serverActions"


class JobDocuments:
    """Jobs as bytes. A job of 1,000 servers is 350 KB, so each sub-job's text is made once for each state."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._jobs: dict[str, list[tuple[ev.Part, bytes, bytes]]] = {}

    def get(self, job: ev.Accepted, now: Millis) -> bytes:
        """The job at this moment: INIT without sub-jobs, RUNNING while they end one by one, SUCCESS or FAIL."""
        is_over = job.ends is not None and now >= job.ends
        if now < job.runs_from:
            return self._parent(job, "INIT", 0, b"", ended="")
        sub_jobs = b",".join(
            over if part.ends is not None and now >= part.ends else running
            for part, running, over in self._texts(job)
            if part.is_listed
        )
        ended = iso_millis(job.ends) if is_over and job.ends is not None else ""
        return self._parent(job, job.status if is_over else "RUNNING", len(job.parts), sub_jobs, ended=ended)

    def _texts(self, job: ev.Accepted) -> list[tuple[ev.Part, bytes, bytes]]:
        texts = self._jobs.get(job.job)
        if texts is None:
            texts = [(p, *self._sub_job(job, p)) for p in job.parts]
            self._jobs[job.job] = texts
        return texts

    def _sub_job(self, job: ev.Accepted, part: ev.Part) -> tuple[bytes, bytes]:
        """A sub-job while it runs (no `error_code`, `end_time` empty), and once it is over."""
        entities: dict[str, str] = {"server_id": part.server}
        running: dict[str, object] = {
            "status": "RUNNING",
            "entities": entities,
            "job_id": "ff8080828" + pick_hex(self._seed, "sub job", job.job, part.server, digits=23),
            "job_type": SUB_TYPE,
            "begin_time": iso_millis(part.begins),
            "end_time": "",
        }
        if part.ends is None:
            text = compact(running)
            return text, text
        over = running | {"status": part.sub_status, "end_time": iso_millis(part.ends)}
        failed = part.sub_status == "FAIL"
        over |= {"error_code": part.code if failed else None, "fail_reason": part.reason if failed else None}
        if part.message is not None:
            over["entities"] = entities | {"errorcode_message": part.message}
        return compact(running), compact(over)

    def _parent(self, job: ev.Accepted, status: str, total: int, sub_jobs: bytes, *, ended: str) -> bytes:
        rest: dict[str, str | None] = {
            "job_id": job.job,
            "job_type": PARENT_TYPE,
            "begin_time": iso_millis(job.at),
            "end_time": ended,
        }
        if status == "SUCCESS":
            rest |= {"error_code": None, "fail_reason": None}
        elif status == "FAIL":
            rest |= {"error_code": "Common.0021", "fail_reason": "Sub job fail!"}
        head = b'{"status":"%b","entities":{"sub_jobs_total":%d,"sub_jobs":[%b]},' % (status.encode(), total, sub_jobs)
        return head + compact(rest)[1:]
