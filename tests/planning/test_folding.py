"""Long lists of names, short and complete."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.schedule import ServerRef
from runner.report.folding import clipped, fold, wrapped
from tests.planning.build import sid


def refs(*names: str) -> list[ServerRef]:
    return [ServerRef(sid(n), name) for n, name in enumerate(names, 1)]


@pytest.mark.parametrize(
    ("names", "items"),
    [
        (["web-001", "web-003", "web-002", "web-007"], ["web-[001-003,007]"]),
        (["web-9", "web-10", "web-11"], ["web-9", "web-[10-11]"]),
        (["a1.eu", "a2.eu", "a3.us"], ["a[1-2].eu", "a3.us"]),
        (["db", "ecs-5e70", "web-1"], ["db", "ecs-5e70", "web-1"]),
        (["web 1", "we,b-2", "web-[1-9]"], ['"we,b-2"', '"web 1"', '"web-[1-9]"']),
        (["", "web-1"], [sid(1), "web-1"]),
        (["a\x1b[2J", "b\u202e"], ['"a\\x1b[2J"', '"b\\u202e"']),
        (["1", "2"], ["[1-2]"]),
        ([], []),
    ],
)
def test_fold(names: list[str], items: list[str]) -> None:
    """Neighbours become ranges; names that could be taken for something else are quoted;
    hidden characters show.
    """
    assert fold(refs(*names)) == items


def test_shared_names_stand_with_their_ids() -> None:
    """Two servers of one name are told apart by their ids."""
    assert fold(refs("web-1", "web-1", "web-2"), {"web-1"}) == [
        f"web-1 ({sid(1)})",
        f"web-1 ({sid(2)})",
        "web-2",
    ]


def unfolded(items: list[str]) -> list[str]:
    """The names behind folded items: the reading a person does."""
    names = []
    for item in items:
        match = re.fullmatch(r"(.*)\[([0-9,-]+)\](.*)", item)
        if not match:
            names.append(item)
            continue
        for part in match[2].split(","):
            first, _, last = part.partition("-")
            names += [
                f"{match[1]}{n:0{len(first)}d}{match[3]}"
                for n in range(int(first), int(last or first) + 1)
            ]
    return names


simple_names = st.from_regex(r"[a-c]{0,2}-?[0-9]{1,3}[a-c.]{0,2}", fullmatch=True)


@given(st.lists(simple_names, unique=True))
def test_nothing_is_lost(names: list[str]) -> None:
    """From the folded items every name can be read again, each once."""
    assert sorted(unfolded(fold(refs(*names)))) == sorted(names)


@given(st.lists(st.text(max_size=30)))
def test_whatever_names_hold(names: list[str]) -> None:
    """Any text gives printable items, on one line."""
    assert all(item.isprintable() for item in fold(refs(*names)))


def test_items_stay_readable() -> None:
    """An item holds at most twelve ranges, so that lines can be broken between items."""
    items = fold(refs(*(f"web-{n:03d}" for n in range(0, 100, 2))))
    assert [item.count(",") + 1 for item in items] == [12, 12, 12, 12, 2]


def test_wrapped_and_clipped() -> None:
    """Lines break between items only; what does not fit into a cell is a visible ellipsis."""
    assert list(wrapped(["aaaa", "bbbb", "cccc"], 11)) == ["aaaa, bbbb,", "cccc"]
    assert list(wrapped([])) == []
    assert clipped(["aaaa", "bbbb"], 10) == "aaaa, bbbb"
    assert clipped(["aaaa", "bbbb", "cccc"], 10) == "aaaa, bbb…"
