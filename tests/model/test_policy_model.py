"""Globs over the paths of plans: anchored, folder by folder, and never slow."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.model.policy import Policy, matches_path


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("plans/**", "plans/a.yaml", True),
        ("plans/**", "plans/x/y/a.yaml", True),
        ("plans/**", "plans", False),
        ("plans/**", "old/plans/a.yaml", False),
        ("plans/**", "plansX/a.yaml", False),
        ("plans/*.yaml", "plans/a.yaml", True),
        ("plans/*.yaml", "plans/x/a.yaml", False),
        ("plans/*/a.yaml", "plans/x/a.yaml", True),
        ("plans/*/a.yaml", "plans/a.yaml", False),
        ("plans/**/a.yaml", "plans/a.yaml", True),
        ("plans/**/a.yaml", "plans/x/y/a.yaml", True),
        ("**/lab/*.yaml", "lab/a.yaml", True),
        ("**", "a.yaml", True),
        ("**", "x/.hidden/a.yaml", True),
        ("**/**", "a.yaml", True),
        ("Plans/**", "plans/a.yaml", False),
        ("plans/we?.yaml", "plans/web.yaml", True),
        ("plans/[!a-m]*.yaml", "plans/web.yaml", True),
        ("plans/[!a-m]*.yaml", "plans/api.yaml", False),
        ("plans/a.yaml", "plans/a.yaml\n", False),
        ("plans/a+b (1).yaml", "plans/a+b (1).yaml", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    """A glob is anchored at the root; only `**` crosses folders; case counts."""
    assert matches_path([glob], path) is matches


PIECES = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "**", "[ab]"])
NAMES = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=5)


@given(st.lists(PIECES, min_size=1, max_size=5), NAMES)
def test_globs_are_what_the_plain_definition_says(glob: list[str], parts: list[str]) -> None:
    """For any glob the answer is that of the definition by recursion."""

    def plain(pieces: list[str], rest: list[str]) -> bool:
        if not pieces:
            return not rest
        if pieces[0] == "**" and len(pieces) == 1:
            return bool(rest)
        if pieces[0] == "**":
            return any(plain(pieces[1:], rest[n:]) for n in range(len(rest) + 1))
        return (
            bool(rest) and PurePosixPath(rest[0]).match(pieces[0]) and plain(pieces[1:], rest[1:])
        )

    assert matches_path(["/".join(glob)], "/".join(parts)) is plain(glob, parts)


def test_globs_take_no_exponential_time() -> None:
    """A glob made to be slow is answered at once."""
    assert not matches_path(["/".join(["**", "a*a*a*a*a*a*b"] * 40)], "/".join(["a" * 200] * 60))


@pytest.mark.parametrize(
    "glob", ["/plans/**", "plans//**", "../x/**", "a/../b.yaml", "./a.yaml", "a**/b.yaml", "a\\b.*"]
)
def test_globs_that_could_never_match_are_refused(glob: str) -> None:
    """A glob that is not from the repository's root, or holds `**` inside a name, is a mistake."""
    with pytest.raises(ValidationError):
        Policy.model_validate({"version": 1, "hard": {"paths": [glob]}})
