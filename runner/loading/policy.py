"""`policy.yaml`: read like a plan, without templates."""

from __future__ import annotations

from pathlib import Path

from runner.loading.config import WITHOUT_FILE, LoadedConfig, shown_path
from runner.loading.explain import check
from runner.loading.files import check_inside, git_root
from runner.loading.findings import Findings, did_you_mean
from runner.loading.hidden import check_words
from runner.loading.later import LATER_IN_POLICY, refuse_later
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, walk
from runner.loading.policy_file import LoadedPolicy
from runner.loading.source import Source, Unreadable, decode, read_source
from runner.loading.yaml_reader import parse
from runner.model.config import Config
from runner.model.policy import Policy
from runner.model.problem import Location, Problem


def load_policy(config: LoadedConfig, cwd: Path) -> LoadedPolicy:
    """The policy that the configuration names. `cwd` is where messages count paths from.

    Never raises for what is in the file, or because it cannot be read: those are problems.
    """
    name = config.config.policy
    if name is None or config.path is None:
        return LoadedPolicy(None, None)
    folder = config.path.absolute().parent
    root = git_root(folder) or folder
    path = folder / name
    shown = shown_path(path, cwd)
    try:
        source, problems = read_source(check_inside(path, root), shown)
    except Unreadable as error:
        source, problems = (
            None,
            (Problem(error.code, f"the file {error.message}", Location(shown), error.hint),),
        )
    if source is None:
        return LoadedPolicy(None, path, problems, root)
    policy, problems = _load(source, config.config)
    return LoadedPolicy(policy, path, problems, root)


def load_policy_text(
    text: str | bytes, name: str, config: Config | None = None, root: Path | None = None
) -> LoadedPolicy:
    """The same for a policy that is not on disk (another revision). Targets are looked up
    in `config`, if given.
    """
    source, problems = decode(
        text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, name
    )
    if source is None:
        return LoadedPolicy(None, Path(name), problems, root)
    policy, problems = _load(source, config)
    return LoadedPolicy(policy, Path(name), problems, root)


def _load(source: Source, config: Config | None) -> tuple[Policy | None, tuple[Problem, ...]]:
    findings = Findings(source)
    root = parse(source, findings)
    if root is not None and not isinstance(root, MapNode):
        findings.add(
            "WrongType",
            "a policy is a mapping (key: value)",
            root.span,
            hint="begin with version: 1",
        )
    if not isinstance(root, MapNode):
        return None, findings.problems()
    tree = refuse_later(root, LATER_IN_POLICY, findings)
    _refuse_empty(tree, findings)
    check_words(tree, findings)
    policy = check(Policy, tree, findings)
    if config is not None:
        _check_targets(tree, config, findings)
    return (policy if findings.is_clean else None), findings.problems()


def _refuse_empty(root: MapNode, findings: Findings) -> None:
    """Nothing that is empty means that everything is allowed."""
    if not root.without(["version"]).entries and findings.is_clean:
        hint = (
            "write a rule, for example max_wave: {servers: 50}; or remove policy: from the "
            "configuration"
        )
        findings.add(
            "MissingKey",
            "the policy has no rule, so it would allow everything",
            root.span,
            hint=hint,
        )
    for node in walk(root):
        for key, value in node.entries if isinstance(node, MapNode) else ():
            if isinstance(value, MapNode) and not value.entries:
                message = f'"{key.text}" says nothing'
                findings.add(
                    "NoValue", message, value.span, hint="write what it is about, or remove the key"
                )


def _check_targets(root: MapNode, config: Config, findings: Findings) -> None:
    """A warning for each target that the configuration does not have: such a rule allows
    less than it seems to.
    """
    known = {**WITHOUT_FILE.targets, **config.targets}
    hard, rules = root.get("hard"), root.get("targets")
    named: list[Node | None] = [hard.get("targets") if isinstance(hard, MapNode) else None]
    named += [
        r.get("allow")
        for r in (rules.items if isinstance(rules, ListNode) else ())
        if isinstance(r, MapNode)
    ]
    for node in (word for one in named if one is not None for word in walk(one)):
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value not in known:
            hint = did_you_mean(node.value, known) or "targets: " + ", ".join(sorted(known))
            message = f'the configuration has no target "{node.value[:63]}"'
            findings.add("UnknownTarget", message, node.span, hint=hint, severity="warning")
