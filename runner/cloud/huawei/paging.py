"""Lists that come in pages, and questions that are asked at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from runner.errors import CloudError

Query = tuple[tuple[str, str], ...]
Get = Callable[..., Awaitable[Any]]
"""(path, *query) -> the JSON of a good answer. Raises CloudError, CloudDenied."""
Record = Mapping[str, Any]
Following = Callable[[Mapping[str, Any], list[Record], list[Record]], Query | None]
"""(an answer, its records, all so far) -> the query of the next page, None at the end.
Raises CloudError.
"""

MOST_PAGES = 100


async def all_records(
    get: Get,
    path: str,
    key: str,
    following: Following,
    *query: tuple[str, str],
    first: Query = (),
    what: str = "",
    wrong: str = "the answer has no",
) -> list[Record]:
    """All records of a list, which stand under `key` in each answer. `query` goes with every
    page, `first` with one.

    `what` and `wrong` word the errors.

    Raises CloudError for answers of another shape, and for a list that does not end within
    MOST_PAGES.
    """
    found: list[Record] = []
    place = first
    for _ in range(MOST_PAGES):
        body = await get(path, *query, *place)
        page = body.get(key) if isinstance(body, Mapping) else None
        if not isinstance(page, list) or not all(isinstance(one, Mapping) for one in page):
            raise CloudError(f"{wrong} {key}")
        found += page
        more = following(body, page, found)
        if more is None:
            return found
        place = more
    raise CloudError(f"the list of {what or key} does not come to an end")


async def together(*questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answers to all; the first CloudError of any ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(question) for question in questions]
    except* CloudError as errors:
        failure = errors.exceptions[0]
    else:
        return [task.result() for task in made]
    raise failure
