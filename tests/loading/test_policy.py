"""The policy file: where it is looked for, what it may say, and how plans are seen by its paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import InvalidInput
from runner.loading.config import load_config, load_config_text
from runner.loading.policy import load_policy, load_policy_text
from runner.loading.policy_file import LoadedPolicy, path_in_repository, require_policy
from runner.loading.source import Unreadable
from runner.model.config import Config
from runner.model.policy import Policy
from runner.model.quantity import Amount
from tests.loading.test_hostile import BOUNDED, TREES, check

FULL = """\
version: 1
limits: {servers: 500, percent: 30}
max_wave: {servers: 50, percent: 25}
canary: {above: 10}
approval: {above: 100}
max_failures: 5%
hard: {paths: ["plans/lab/**"], targets: [lab]}
on_unknown: [hold]
forbidden: {tags: {reboot: never}, names: ["db-*"], server_groups: [etcd], ids: [5b919bd2-e315-41d0-850d-a15cb5a686a1]}
targets: [{paths: ["plans/prod/**"], allow: [prod-eu]}, {paths: ["plans/**"], allow: [staging, simulator]}]
"""  # noqa: E501


def said(text: str) -> list[tuple[str, int, int]]:
    loaded = load_policy_text(text, "policy.yaml")
    assert loaded.is_valid == (loaded.policy is not None)
    return [(p.code, p.location.line, p.location.column) for p in loaded.problems if p.location]


def test_everything_that_can_be_said() -> None:
    """A full policy is read field by field."""
    loaded = load_policy_text(FULL, "policy.yaml")
    assert loaded.problems == ()
    policy = require_policy(loaded)
    assert policy is not None
    assert policy.limits is not None
    assert (policy.limits.servers, policy.limits.percent) == (500, 30)
    assert policy.max_failures == Amount(percent=5)
    assert policy.forbidden is not None
    assert policy.forbidden.selector.keys == ("ids", "names", "tags", "server_groups")
    assert policy.targets is not None
    assert [rule.allow for rule in policy.targets] == [("prod-eu",), ("staging", "simulator")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("Empty", 1, 1)]),
        ("[]", [("WrongType", 1, 1)]),
        ("version: 1\n", [("MissingKey", 1, 1)]),
        ("max_wave: {servers: 1}\n", [("MissingKey", 1, 1)]),
        ("version: 2\ncanary: {above: 1}\n", [("BadValue", 1, 10)]),
        ("version: 1\nmax_wave: {}\n", [("NoValue", 2, 11)]),
        ("version: 1\nforbidden: {tags: {}}\n", [("NoValue", 2, 19)]),
        ("version: 1\nhard:\n", [("NoValue", 2, 6)]),
        ("version: 1\ntargets: []\n", [("BadValue", 2, 10)]),
        ("version: 1\nmaxwave: {servers: 3}\n", [("UnknownKey", 2, 1)]),
        ("version: 1\nmax_wave: {server: 3}\n", [("UnknownKey", 2, 12)]),
        ("version: 1\nforbidden: {all: true}\n", [("UnknownKey", 2, 13)]),
        ("version: 1\nforbidden: {ids_from: x.txt}\n", [("UnknownKey", 2, 13)]),
        ("version: 1\nforbidden: {tags: {a: true}}\n", [("QuoteIt", 2, 23)]),
        ("version: 1\nwindows: optional\n", [("BadValue", 2, 10)]),
        ("version: 1\nhard: {paths: [plans/lab]}\n", [("BadValue", 2, 16)]),
        ("version: 1\ncanary: {above: -1}\n", [("BadValue", 2, 17)]),
        ("version: 1\nmax_failures: 101%\n", [("BadValue", 2, 15)]),
        ("version: 1\nlimits: {percent: 10%}\n", [("WrongType", 2, 19)]),
        ("version: 1\ncanary: {above: 1}\ncanary: {above: 9}\n", [("DuplicateKey", 3, 1)]),
    ],
)
def test_mistakes_have_places(text: str, expected: list[tuple[str, int, int]]) -> None:
    """What is wrong is found at its place; a policy that says nothing is a mistake, never
    "everything is allowed".
    """
    assert said(text) == expected


def test_the_documented_policy_holds_every_rule() -> None:
    """The example of docs/policy.md is a policy as it stands, and its table has every rule
    of the format.
    """
    document = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text(
        encoding="utf-8"
    )
    example = re.findall(r"^```yaml\n(.*?)^```", document, re.MULTILINE | re.DOTALL)[1]
    policy = require_policy(load_policy_text(example, "policy.yaml"))
    rules = [name for name in Policy.model_fields if name != "version"]
    assert policy is not None
    assert all(getattr(policy, name) is not None for name in rules)
    assert re.findall(r"^\| `(\w+)` \|", document, re.MULTILINE) == rules


def test_targets_are_looked_up_in_the_configuration() -> None:
    """A target that the configuration does not have is worth a warning: the rule allows
    less than it seems to.
    """
    config = Config.model_validate(
        {"targets": {"prod-eu": {"cloud": "otc"}, "lab": {"cloud": "otc"}}}
    )
    loaded = load_policy_text(FULL, "policy.yaml", config)
    assert [(p.code, p.severity, p.message) for p in loaded.problems] == [
        ("UnknownTarget", "warning", 'the configuration has no target "staging"')
    ]
    assert loaded.policy is not None


def repository(root: Path, policy: str | None = "policy.yaml", text: str = FULL) -> LoadedPolicy:
    (root / ".git").mkdir(exist_ok=True)
    key = f"policy: {policy}\n" if policy else ""
    (root / "reboot-runner.yaml").write_text(f"version: 1\n{key}")
    (root / "policy.yaml").write_text(text)
    return load_policy(load_config(None, root, {}), root)


def test_the_configuration_names_it(tmp_path: Path) -> None:
    """Without the key there is no policy, whatever lies there; with it the file counts,
    seen from the configuration.
    """
    assert repository(tmp_path, None) == LoadedPolicy(None, None)
    loaded = repository(tmp_path)
    assert (loaded.policy is not None, loaded.path, loaded.root) == (
        True,
        tmp_path / "policy.yaml",
        tmp_path,
    )
    inner = tmp_path / "team"
    inner.mkdir()
    (inner / "reboot-runner.yaml").write_text("policy: ../policy.yaml\n")
    loaded = load_policy(load_config(None, inner, {}), inner)
    assert (loaded.policy is not None, loaded.root) == (True, tmp_path)


@pytest.mark.parametrize(
    "written", ["/etc/hostname", "../policy.yaml", "link.yaml", ".git/policy.yaml"]
)
def test_it_lies_in_the_repository(tmp_path: Path, written: str) -> None:
    """A policy outside the repository, absolute, behind a link or in .git is an error at
    the key, in every revision.
    """
    root = tmp_path / "repo"
    root.mkdir()
    (tmp_path / "policy.yaml").write_text(FULL)
    (root / "link.yaml").symlink_to(tmp_path / "policy.yaml")
    repository(root, written)
    config = load_config(None, root, {})
    assert [(p.code, p.location and p.location.line) for p in config.problems] == [
        ("OutsideRepository", 2)
    ]
    text = (root / "reboot-runner.yaml").read_text()
    assert load_config_text(text, (root / "reboot-runner.yaml").as_posix(), {}).problems


def test_a_policy_that_cannot_be_used_is_not_none(tmp_path: Path) -> None:
    """A missing or broken policy is an error, and whoever needs the policy is told: never
    as if there were none.
    """
    loaded = repository(tmp_path, "gone.yaml")
    assert [(p.code, p.location and p.location.file) for p in loaded.problems] == [
        ("Unreadable", "gone.yaml")
    ]
    for broken in (loaded, repository(tmp_path, text="version: 1\n")):
        assert not broken.is_valid
        with pytest.raises(InvalidInput):
            require_policy(broken)
    assert require_policy(LoadedPolicy(None, None)) is None


def test_paths_are_real_ones(tmp_path: Path) -> None:
    """Dots and links are resolved before a rule sees a path, from whatever folder it is written."""
    for folder in ("plans/prod", "plans/lab", "else"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "plans/lab/x.yaml").write_text("a")
    (tmp_path / "plans/prod/link.yaml").symlink_to("../lab/x.yaml")
    (tmp_path / "plans/prod/folder").symlink_to("../lab")
    (tmp_path / "root").symlink_to(tmp_path)
    for written in (
        "plans/lab/x.yaml",
        "plans/prod/../lab/x.yaml",
        "plans/prod/link.yaml",
        "plans/prod/folder/x.yaml",
    ):
        assert path_in_repository(tmp_path / written, tmp_path) == "plans/lab/x.yaml"
    assert (
        path_in_repository(tmp_path / "root/plans/lab/x.yaml", tmp_path / "root")
        == "plans/lab/x.yaml"
    )


def test_paths_outside_or_of_another_spelling_are_refused(tmp_path: Path) -> None:
    """A plan outside the repository, or one that is not listed under the name it is given,
    has no path for rules.
    """
    inner = tmp_path / "repo"
    inner.mkdir()
    (inner / "x.yaml").write_text("a")
    (tmp_path / "y.yaml").write_text("a")
    (inner / "out.yaml").symlink_to(tmp_path / "y.yaml")
    for written in (
        tmp_path / "y.yaml",
        inner / "out.yaml",
        inner / "X.yaml",
        inner / "no" / "x.yaml",
    ):
        with pytest.raises(Unreadable):
            path_in_repository(written, inner)
        with pytest.raises(InvalidInput) as refused:
            LoadedPolicy(None, None, root=inner).path_of(written)
        assert "the policy cannot judge the plan" in refused.value.problems[0].message


@BOUNDED
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Random bytes give problems, not exceptions."""
    check(load_policy_text(data, "policy.yaml").problems)


KEYS = (
    "version",
    "limits",
    "max_wave",
    "servers",
    "percent",
    "canary",
    "above",
    "hard",
    "paths",
    "targets",
    "forbidden",
)


@BOUNDED
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=6))
def test_any_tree(tree: object) -> None:
    """Any YAML of any shape gives problems with places, or a policy with at least one rule."""
    import json

    loaded = load_policy_text(json.dumps(tree), "policy.yaml")
    check(loaded.problems)
    if loaded.policy is not None:
        assert loaded.policy.model_dump(exclude={"version"}, exclude_none=True)
