"""Text that fits a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.report.fitting import cells, middle, wrap

NAME = "prod-platform-web-frontend-eu-de-01-blue-kernel-2026-11-customer-facing-autoscaled-pool-a-node-0001"  # noqa: E501


def test_long_names_keep_their_ends() -> None:
    """Names of 100 characters with one prefix stay different, at every width that a column
    can have.
    """
    assert len(NAME) == 99
    for width in (12, 20, 37):
        short = {middle(NAME[:-4] + f"{n:04d}", width) for n in range(50)}
        assert len(short) == 50
        assert {cells(s) for s in short} == {width}
    assert middle("web-1", 5) == "web-1"
    assert middle("名前名前名前", 7) == "名…前"


def test_text_is_wrapped_at_spaces_only() -> None:
    """The sentence that was broken inside `servers` is broken before it; the table's gaps
    stay as they are.
    """
    assert wrap("1 of 49 servers ready", 13) == ["1 of 49", "  servers", "  ready"]
    assert wrap("  a    b", 20) == ["  a    b"]
    assert wrap("x" * 30 + " yy", 10) == ["x" * 30, "  yy"]
    assert wrap("\x1b[31merror:\x1b[0m no", 9) == ["\x1b[31merror:\x1b[0m no"]


def test_commands_stay_whole() -> None:
    """A command that was broken by a line break would run in pieces when it is pasted."""
    command = (
        "    reboot-runner resolve 20261201-101010-abcdef --server ID --as rebooted --reason TEXT"
    )
    assert wrap(command, 40) == [command]


@given(st.text(alphabet=" abc名é", max_size=80), st.integers(4, 40))
def test_wrapping_loses_no_word_and_breaks_none(text: str, width: int) -> None:
    """All words come out again in order, and no line with a space to break at is too wide."""
    lines = wrap(text, width)
    assert " ".join(lines).split() == text.split()
    for line in lines:
        assert cells(line) <= width or len(line.split()) == 1


@pytest.mark.parametrize("width", range(0, 9))
def test_nothing_is_wider_than_it_may_be(width: int) -> None:
    """Not even where there is hardly any room, or where characters are wide."""
    for text in ("abcdefghijkl", "名前名前名前", "e\u0301" * 9):
        assert cells(middle(text, width)) <= width
