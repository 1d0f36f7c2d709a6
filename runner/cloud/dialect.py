"""What the clouds do differently, as one value for each: the only place that knows.

The same code reads both wherever an answer can be read in both ways: an enterprise project from its field or from the
system tag (`decode`), error bodies in all shapes (`bodies`), a throttled request as 429, 503 or 202 (`codes`), `offset`
as the number of a page (`listing`), pages of groups with and without `page_info` (`servers`). Here is what has to be
known before asking. docs/clouds.md lists all of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one cloud is asked.

    `id_filter`: the list takes `server_id` ("Querying Details About ECSs" of Huawei Cloud; that of OTC has no such
    parameter, and would answer with the first page of all servers).
    `enterprise_project_filter`: the lists of servers and of AS groups take `enterprise_project_id` (same page).
    `scheduled_events`: the provider's plans can be asked for (`instance-scheduled-events`).
    """

    id_filter: bool
    enterprise_project_filter: bool
    scheduled_events: bool


_HUAWEI = Dialect(id_filter=True, enterprise_project_filter=True, scheduled_events=True)
_OTC = Dialect(id_filter=False, enterprise_project_filter=False, scheduled_events=False)


def dialect_of(cloud: str) -> Dialect:
    """The dialect of a target's `cloud`. Partner clouds and the simulated one speak as Huawei Cloud does."""
    return _OTC if cloud == "otc" else _HUAWEI
