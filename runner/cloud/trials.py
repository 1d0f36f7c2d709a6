"""Reads that change nothing, made only to see whether they are allowed and whether anybody answers.

Each is a GET that the runner makes in a run anyway, asked for as little as possible.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runner.cloud.paging import Get, Query
from runner.cloud.servers import is_unknown_job
from runner.errors import CloudError
from runner.net.wire import encode

NO_JOB = "0" * 32
"""The id of no job. That it is unknown can be told only to those who may ask ("Common.0011", or 404)."""


@dataclass(frozen=True, slots=True)
class CloudTrials:
    """`runner.ports.Trials` of one project.

    `login` obtains what requests are signed with; `ecs` and `ces` ask the two services; `lookup` asks IAM for the
    project. `filters` go with every list of servers.
    """

    project_id: str
    login: Callable[[], Awaitable[object]]
    ecs: Get
    ces: Get
    lookup: Callable[[], Awaitable[str]]
    filters: Query = ()

    async def log_in(self) -> None:
        await self.login()

    async def try_read(self, what: str, server_id: str = "") -> None:
        project, server = self.project_id, encode(server_id)
        match what:
            case "list":
                await self.ecs(f"/v1/{project}/cloudservers/detail", ("offset", "1"), ("limit", "1"), *self.filters)
            case "groups":
                await self.ecs(f"/v1/{project}/cloudservers/os-server-groups", ("limit", "1"))
            case "show":
                await self.ecs(f"/v1/{project}/cloudservers/{server}")
            case "history":
                await self.ecs(f"/v2.1/{project}/servers/{server}/os-instance-actions")
            case "job":
                try:
                    await self.ecs(f"/v1/{project}/jobs/{NO_JOB}")
                except CloudError as error:
                    if not is_unknown_job(error):
                        raise
            case "alarms":
                await self.ces(f"/V1.0/{project}/alarms", ("limit", "1"))
            case "records":
                about = (("namespace", "SYS.ECS"), ("status", "alarm"), ("alarm_type", "metric"))
                await self.ces(f"/v2/{project}/alarm-histories", *about, ("offset", "0"), ("limit", "1"))
            case "projects":
                await self.lookup()
            case _:
                raise ValueError(what)

    async def project_of_region(self) -> str:
        return await self.lookup()
