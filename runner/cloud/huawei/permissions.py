"""Which permissions the runner needs of IAM, what each is for, and the harmless reads that show
whether it is there.

Sources: "Permissions and Supported Actions" of the ECS API reference of each cloud, of Cloud Eye,
and of IAM. The pages "Querying Job Execution Status" and "Querying Operations on an ECS" name no
action: both are tried all the same. A custom policy has version 1.1 and holds either actions of
project-level services or of global ones ("Creating a Custom Policy for Cloud Services").
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runner.cloud.huawei.paging import Get, Query
from runner.cloud.huawei.servers import is_unknown_job
from runner.errors import CloudError
from runner.net.wire import encode
from runner.ports.provider import Permission


def permissions(cloud: str, *, alarms: bool, lookup: bool) -> tuple[Permission, ...]:
    """Return what a target of this cloud needs. `alarms`: its plans have gates that read
    alarms. `lookup`: its project is looked up.
    """
    show = "ecs:cloudServers:get" if cloud == "otc" else "ecs:cloudServers:showServer"
    found = [
        Permission("ecs:cloudServers:list", "list the servers", "list", "nothing can be planned"),
        Permission(
            "ecs:cloudServers:list",
            "list the server groups",
            "groups",
            "anti-affinity groups are not seen, and may go down as a whole",
            identity_action=None if cloud == "otc" else "ecs:cloudServers:listServerGroups",
        ),
        Permission(
            show,
            "read single servers again",
            "show",
            "states cannot be read while a wave runs",
            reads_server=True,
        ),
        Permission(None, "follow the job of a reboot", "job", "a run cannot see how reboots end"),
        Permission(
            None,
            "read the history of a server",
            "history",
            "after a lost answer a server stays unknown until a person looks",
            is_vital=False,
            reads_server=True,
        ),
        Permission(
            "ecs:cloudServers:reboot", "reboot servers", None, "a run is refused at its first wave"
        ),
    ]
    if alarms:
        shut = "gates with alarms stay closed"
        found += [
            Permission("ces:alarms:list", "read the alarm rules", "alarms", shut),
            Permission("ces:alarmHistory:list", "read alarms that are on", "records", shut),
        ]
    if lookup:
        found.append(
            Permission(
                "iam:projects:listProjects",
                "look up the project's id",
                "projects",
                "project_id must be configured",
                is_lookup=True,
                is_global=True,
            )
        )
    return tuple(found)


def policy(wanted: Iterable[Permission], *, is_global: bool = False) -> dict[str, Any]:
    """Return the smallest custom policy that allows all of these: of project-level services,
    or of global ones.
    """
    actions = dict.fromkeys(
        one.action for one in wanted if one.action is not None and one.is_global == is_global
    )
    return {"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": list(actions)}]}


NO_JOB = "0" * 32
"""The id of no job. That it is unknown can be told only to those who may ask
("Common.0011", or 404).
"""


@dataclass(frozen=True, slots=True)
class CloudTrials:
    """`runner.ports.Trials` of one project.

    `login` obtains what requests are signed with; `ecs` and `ces` ask the two services;
    `lookup` asks IAM for the project. `filters` go with every list of servers.
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
                await self.ecs(
                    f"/v1/{project}/cloudservers/detail",
                    ("offset", "1"),
                    ("limit", "1"),
                    *self.filters,
                )
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
                await self.ces(
                    f"/v2/{project}/alarm-histories", *about, ("offset", "0"), ("limit", "1")
                )
            case "projects":
                await self.lookup()
            case _:
                raise ValueError(what)

    async def project_of_region(self) -> str:
        return await self.lookup()
