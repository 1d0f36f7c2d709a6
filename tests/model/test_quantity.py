"""Durations and amounts: what is read, what is refused, and the arithmetic of percentages."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.quantity import MAX_NUMBER, Amount, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("0s", 0),
        ("1d1h1m1s1ms", 90_061.001),
    ],
)
def test_durations_people_write(text: str, seconds: float) -> None:
    """Units from large to small, each once."""
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(parse_duration(text))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "10",
            "1.5h",
            "-5m",
            "+5m",
            "5 m",
            "m",
            "1m1h",
            "5m5m",
            "1w",
            "5M",
            "PT5M",
            "5min",
            "1h30",
            "00:05",
        ),
        *("٣m", "５m", "367d", "9999999999s", "1e3s", "5m\n6m", "approval"),
    ],
)
def test_what_is_no_duration(text: str) -> None:
    """Bare numbers, other units, signs, other digits and more than a year are refused with
    a sentence.
    """
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_duration(text)


def test_a_bare_number_is_told_its_unit() -> None:
    """The commonest slip is answered with what to write."""
    with pytest.raises(ValueError, match="for example 90s or 90m"):
        parse_duration("90")
    with pytest.raises(ValueError, match="for example 10s or 10m"):
        parse_duration("0")


@given(st.integers(0, 366 * 86_400_000))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    """Reading what was written gives the same duration, for every length there is."""
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(format_duration(duration.total_seconds())) == duration


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (3, Amount(number=3)),
        ("3", Amount(number=3)),
        (0, Amount(number=0)),
        ("10%", Amount(percent=10)),
        ("10 %", Amount(percent=10)),
        ("0.5%", Amount(percent=0.5)),
        ("100%", Amount(percent=100)),
        (MAX_NUMBER, Amount(number=MAX_NUMBER)),
    ],
)
def test_amounts_people_write(value: object, amount: Amount) -> None:
    """Numbers and percentages, as numbers or as text."""
    assert Amount.parse(value) == amount
    assert Amount.parse(str(amount)) == amount


@pytest.mark.parametrize(
    "value",
    [
        -1,
        True,
        None,
        1.5,
        "1.5",
        "-1",
        "101%",
        "100.1%",
        "%",
        "",
        "ten",
        "1,5%",
        "٣",
        "１%",
        "1e2%",
        MAX_NUMBER + 1,
        [],
    ],
)
def test_what_is_no_amount(value: object) -> None:
    """Negative numbers, fractions, truth values and more than everything are refused."""
    with pytest.raises(ValueError, match=r"\w"):
        Amount.parse(value)


def test_an_amount_is_a_number_or_a_percentage() -> None:
    """Never both, never neither."""
    with pytest.raises(ValueError, match="either"):
        Amount()
    with pytest.raises(ValueError, match="either"):
        Amount(number=1, percent=1)


@pytest.mark.parametrize(
    ("written", "of", "size", "budget"),
    [
        *[
            ("10%", 37, 3, 3),
            ("10%", 5, 1, 0),
            ("2%", 40, 1, 0),
            ("2%", 100, 2, 2),
            ("29%", 100, 29, 29),
        ],
        *[
            ("100%", 7, 7, 7),
            ("0.5%", 1000, 5, 5),
            ("0.5%", 199, 1, 0),
            ("3", 2, 2, 3),
            ("1", 0, 1, 1),
            ("0%", 9, 1, 0),
        ],
    ],
)
def test_sizes_round_down_to_at_least_one_and_budgets_to_none(
    written: str, of: int, size: int, budget: int
) -> None:
    """The worked examples: a size is never zero, a budget may be."""
    amount = Amount.parse(written)
    assert amount.as_size(of) == size
    assert amount.as_budget(of) == budget


@given(st.integers(0, 100_000_000), st.integers(0, 200_000))
def test_percentages_are_exact(millionths: int, of: int) -> None:
    """A percentage with up to six decimals is rounded down exactly, as in fractions, and is
    written as it was.
    """
    text = f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}%"
    amount = Amount.parse(text)
    assert amount.as_budget(of) == Fraction(millionths, 100_000_000) * of // 1
    assert Amount.parse(str(amount)) == amount
