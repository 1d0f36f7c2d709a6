"""JSON is measured before it is read: small texts that would be huge in memory, deep ones,
and honest large ones.
"""

from __future__ import annotations

import json
import tracemalloc

import pytest

from runner.inputs.json_text import (
    ANSWER,
    MAX_DEPTH,
    SCHEDULE,
    Bounds,
    NotJson,
    TooMuchJson,
    depth,
    parse_json,
)
from tests.fuzz.hostile import JSON

SMALL = Bounds(1_000_000, 1_000_000)


@pytest.mark.parametrize("make", JSON.values(), ids=JSON.keys())
def test_no_text_takes_more_memory_than_its_bound(make: object) -> None:
    """What is read of any hostile text stays near the bound, and what is refused builds nothing."""
    assert callable(make)
    for size in (2_000, 12_000, 200_000):
        text = make(size)
        tracemalloc.start()
        try:
            parse_json(text, SMALL)
        except (NotJson, TooMuchJson):
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 1.6 * SMALL.memory


def test_depth_is_that_outside_of_strings() -> None:
    """Brackets and quotes within texts count for nothing, escaped ones included."""
    assert depth(b'{"a": ["[[[[", "\\"[[", "\\\\", [{}]]}') == 4
    assert depth(b'["]",["]",["]"') == 3
    assert depth(b'"[" "]"') == 0
    deep = [[]]  # type: list[object]
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert parse_json(json.dumps(deep)) == deep
    with pytest.raises(TooMuchJson, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_json(json.dumps([deep]))


def test_waves_without_end_are_counted_before_they_are_built() -> None:
    """A schedule file of many empty lists is refused in the memory that its text has."""
    text = b'{"format_version":1,"waves":[' + b"[]," * 1_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        with pytest.raises(TooMuchJson, match="too many values"):
            parse_json(text, SCHEDULE, strict=True)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_honest_large_texts_are_read() -> None:
    """A page of 1,000 servers, and servers enough for a schedule, whatever their names are
    written in.
    """
    server = {
        "id": "616fb98f-46ca-475e-917e-2563e5a8cd19",
        "name": "服务器-" * 8,
        "zone": "eu-de-01",
    }
    assert len(parse_json(json.dumps({"servers": [server] * 20_000}), ANSWER)["servers"]) == 20_000
    assert (
        len(parse_json(json.dumps({"servers": [server] * 60_000}), SCHEDULE)["servers"]) == 60_000
    )


def test_strict_texts_say_each_key_once() -> None:
    """Duplicate keys, numbers that are none, and objects of endless keys are refused."""
    for text in ('{"a":1,"a":2}', "[NaN]", json.dumps(dict.fromkeys(map(str, range(300))))):
        parse_json(text)
        with pytest.raises(NotJson):
            parse_json(text, strict=True)
