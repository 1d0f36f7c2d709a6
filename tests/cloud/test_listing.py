"""The pages of the list as one set, while the table under them moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cloud.huawei.servers import list_all
from runner.errors import CloudError


class Table:
    """A live table of servers, cut into pages by number as the service does. `edits` happen
    before a call.
    """

    def __init__(
        self, number: int, *, largest: int = 1000, count: bool = True, ignored: int = 0
    ) -> None:
        self.ids = [f"s{n:05}" for n in range(number)]
        self.calls: list[int] = []
        self.edits: dict[int, list[str]] = {}
        self.most_at_once = self._now = 0
        self._largest = largest
        self._count = count
        self._ignored = ignored

    async def fetch(self, page: int, limit: int) -> Any:
        self.calls.append(page)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.ids = self.edits.get(len(self.calls), self.ids)
        size = min(limit, self._largest)
        cut = self.ids[(page - 1) * size : page * size]
        for _ in range(3):
            await asyncio.sleep(0)
        self._now -= 1
        value: dict[str, Any] = {"servers": [{"id": i, "name": i, "status": "ACTIVE"} for i in cut]}
        if self._count:
            value["count"] = len(self.ids) + self._ignored
        return value


def collect(table: Table, limit: int = 1000) -> list[str]:
    return sorted(asyncio.run(list_all(table.fetch, limit)))


@pytest.mark.parametrize(
    ("number", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (3000, 3), (25_500, 26)]
)
def test_every_server_once(number: int, pages: int) -> None:
    """Each server is there, with as few calls as there are pages."""
    table = Table(number)
    assert collect(table) == table.ids
    assert sorted(table.calls) == list(range(1, pages + 1))


def test_at_most_four_at_once() -> None:
    """After the first page up to four are read at the same time."""
    table = Table(20_000)
    collect(table)
    assert table.most_at_once == 4


@pytest.mark.parametrize("number", [0, 5, 10, 25])
def test_without_a_count(number: int) -> None:
    """Where the total is missing, pages are read until one is not full."""
    table = Table(number, count=False)
    assert collect(table, 10) == table.ids
    assert len(table.calls) == number // 10 + 1


def test_smaller_pages_than_asked_for() -> None:
    """A service that puts fewer on a page than we ask for still gives all."""
    table = Table(730, largest=100)
    assert collect(table) == table.ids
    assert len(table.calls) == 8


def test_deleted_while_paging() -> None:
    """A deletion shifts the pages, so that one server is on none: the number does not fit,
    and all is read again.
    """
    table = Table(40)
    table.edits = {2: [i for i in table.ids if i != "s00003"]}
    assert collect(table, 10) == table.edits[2]
    assert len(table.calls) == 8


def test_created_while_paging() -> None:
    """Servers that come during the paging are found, also on a page that was not there before."""
    table = Table(20)
    table.edits = {2: [*table.ids, *(f"t{n}" for n in range(5))]}
    assert collect(table, 10) == [*(f"s{n:05}" for n in range(20)), *(f"t{n}" for n in range(5))]


def test_always_moving() -> None:
    """Where the second reading does not fit either, three together are the answer, and it ends."""
    table = Table(40)
    first = [i for i in table.ids if i != "s00003"]
    second = [i for i in first if i != "s00016"]
    table.edits = {2: first, 8: second}
    assert set(second) <= set(collect(table, 10))
    assert table.calls == [1, 2, 3, 4, 4, 3, 2, 1, 1, 2, 3, 4]


def test_equal_totals() -> None:
    """A server that comes while another goes keeps the total: that it is new tells that all
    must be read again.
    """
    table = Table(40)
    table.edits = {2: [*(i for i in table.ids if i != "s00003"), "new"]}

    async def fetch(page: int, limit: int) -> Any:
        value = await table.fetch(page, limit)
        for one in value["servers"]:
            one["created"] = (
                "2026-11-29T08:00:00Z" if one["id"] == "new" else "2025-01-01T00:00:00Z"
            )
        return value

    assert set(table.edits[2]) <= set(
        asyncio.run(list_all(fetch, 10, since="2026-11-29T07:45:00Z"))
    )
    assert len(table.calls) == 8
    assert len(asyncio.run(list_all(fetch, 40, since="2026-11-29T07:45:00Z"))) == 40
    assert len(table.calls) == 9


@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["gone", "new", "both"])), max_size=40),
)
def test_whoever_was_there_all_the_time_is_found(
    number: int, limit: int, course: list[tuple[int, str]]
) -> None:
    """Between any two calls a server may go, one may come at the end, or both: no other is
    ever missed or met twice.
    """
    table = Table(number)
    always, made = set(table.ids), 0
    created = dict.fromkeys(table.ids, "2025-01-01T00:00:00Z")

    async def fetch(page: int, size: int) -> Any:
        nonlocal made
        value = await table.fetch(page, size)
        for one in value["servers"]:
            one["created"] = created[one["id"]]
        if len(table.calls) <= len(course):
            where, what = course[len(table.calls) - 1]
            if what != "new" and where < len(table.ids):
                always.discard(table.ids[where])
                table.ids = [*table.ids[:where], *table.ids[where + 1 :]]
            if what != "gone":
                made += 1
                table.ids = [*table.ids, f"n{made}"]
                created[f"n{made}"] = "2026-11-29T08:00:00Z"
        return value

    found = asyncio.run(list_all(fetch, limit, since="2026-11-29T07:45:00Z"))
    assert always <= set(found)


@pytest.mark.parametrize(("number", "ignored", "calls"), [(2, 2, 6), (0, 4, 3), (15, 1, 6)])
def test_incomplete_list(number: int, ignored: int, calls: int) -> None:
    """A list that shows fewer servers than it counts, on three readings, is an error and
    never a smaller fleet.
    """
    table = Table(number, ignored=ignored)
    with pytest.raises(
        CloudError, match=f"counts {number + ignored} servers and shows {number},"
    ) as caught:
        collect(table, 10)
    assert (caught.value.code, caught.value.exit_code) == ("InventoryIncomplete", 1)
    assert "enterprise_project" in str(caught.value.hint)
    assert len(table.calls) == calls


@pytest.mark.parametrize("count", ["2", 2])
def test_the_same_server_twice_is_no_second_one(count: object) -> None:
    """Entries are counted by id, and a total that is written as text counts too."""

    async def fetch(page: int, limit: int) -> Any:
        return {"servers": [{"id": "s", "status": "ACTIVE"}] * 2, "count": count}

    with pytest.raises(CloudError, match="counts 2 servers and shows 1,"):
        asyncio.run(list_all(fetch))


def test_servers_without_a_status_stay_in_the_list() -> None:
    """A status that is empty, null or missing does not make a server disappear."""
    entries = [
        {"id": "a", "status": ""},
        {"id": "b", "status": None},
        {"id": "c"},
        {"id": "d", "status": "ACTIVE"},
    ]

    async def fetch(page: int, limit: int) -> Any:
        return {"servers": entries, "count": 4}

    found = asyncio.run(list_all(fetch))
    assert [s.state.value for s in found.values()] == ["unknown"] * 3 + ["running"]


@pytest.mark.parametrize("value", [{}, [], None, {"servers": None}, {"error": "x"}])
def test_what_is_no_list(value: Any) -> None:
    """An answer without servers is an error, never an empty fleet."""

    async def fetch(page: int, limit: int) -> Any:
        return value

    with pytest.raises(CloudError, match="no servers"):
        asyncio.run(list_all(fetch))


def test_one_page_fails() -> None:
    """The error of one page is the error of the list."""
    table = Table(50)

    async def fetch(page: int, limit: int) -> Any:
        if page == 4:
            raise CloudError("page four")
        return await table.fetch(page, limit)

    with pytest.raises(CloudError, match="page four"):
        asyncio.run(list_all(fetch, 10))


def test_absurd_total() -> None:
    """A total beyond any fleet is refused and not paged."""

    async def fetch(page: int, limit: int) -> Any:
        return {
            "count": 10**12,
            "servers": [{"id": str(n), "status": "ACTIVE"} for n in range(limit)],
        }

    with pytest.raises(CloudError, match="pages"):
        asyncio.run(list_all(fetch, 10))


@pytest.mark.parametrize(
    "entry",
    [None, 5, {"id": 5, "status": "ACTIVE"}, {"id": "", "status": "ACTIVE"}, {"status": "ACTIVE"}],
)
def test_an_entry_that_is_none_is_no_small_thing(entry: Any) -> None:
    """A list with an entry that cannot be read is not taken for a smaller list: limits and
    groups would be wrong.
    """

    async def fetch(page: int, limit: int) -> Any:
        return {"servers": [{"id": "s", "name": "s", "status": "ACTIVE"}, entry], "count": 2}

    with pytest.raises(CloudError, match="cannot be read"):
        asyncio.run(list_all(fetch))
