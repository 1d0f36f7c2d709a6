"""What act runs is what GitHub runs, but for the keys that act does not know."""

from __future__ import annotations

import pytest
import yaml

from tests.workflows.copies import differences, for_act
from tests.workflows.files import REUSABLE, WORKFLOWS

ALLOWED = {"reboot-run.yml": ["jobs.run.concurrency.queue"]}
CALLER = (
    "jobs: {run: {uses: example/reboot-runner/.github/workflows/reboot-run.yml@%s, with: {a: 1}}}"
    % ("0" * 40)
)


@pytest.mark.parametrize("name", REUSABLE)
def test_only_what_act_does_not_know_differs(name: str) -> None:
    """A reusable workflow loses `concurrency.queue` for act, and not a word more."""
    text = (WORKFLOWS / name).read_text()
    assert list(differences(yaml.safe_load(text), yaml.safe_load(for_act(text)))) == ALLOWED.get(
        name, []
    )


def test_callers_name_the_copy() -> None:
    """A caller differs in where the called workflow is, and keeps what it is called with."""
    copied = yaml.safe_load(for_act(CALLER))
    assert list(differences(yaml.safe_load(CALLER), copied)) == ["jobs.run.uses"]
    assert copied["jobs"]["run"]["uses"] == "./.github/called/reboot-run.yml"


def test_differences_are_seen() -> None:
    """A key more, a key less, another value, a longer list: each is told by its path."""
    one = {"a": 1, "b": [1, {"c": 2}], "d": [1], "e": None}
    other = {"a": 2, "b": [1, {"c": 3}], "d": [1, 2], "f": None}
    assert list(differences(one, other)) == ["a", "b.1.c", "d", "e", "f"]
