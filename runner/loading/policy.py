"""`policy.yaml`: read like a plan, without templates; and where a plan lies, as the policy's paths see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.errors import InvalidInput
from runner.loading.config import WITHOUT_FILE, LoadedConfig, shown_path
from runner.loading.explain import check
from runner.loading.files import check_inside, git_root
from runner.loading.findings import Findings, did_you_mean
from runner.loading.hidden import check_words
from runner.loading.later import LATER_IN_POLICY, refuse_later
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, walk
from runner.loading.source import Source, Unreadable, decode, read_source
from runner.loading.yaml_reader import parse
from runner.model.config import Config
from runner.model.policy import Policy
from runner.model.problem import Location, Problem


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, or that there is none. With an error in `problems` there is one that cannot be used: nothing may run.

    `root` is the folder from which the policy's paths are written. None where the policy was read as a text.
    """

    policy: Policy | None
    path: Path | None
    problems: tuple[Problem, ...] = ()
    root: Path | None = None

    @property
    def is_valid(self) -> bool:
        return not any(p.severity == "error" for p in self.problems)

    def path_of(self, plan: Path) -> str:
        """A plan file as the rules see it. Raises InvalidInput where it lies outside the repository of the policy."""
        try:
            return path_in_repository(plan, self.root or Path())
        except Unreadable as error:
            said = f"the policy cannot judge the plan: the file {error.message}"
            raise InvalidInput([Problem(error.code, said, Location(plan.as_posix()), error.hint)]) from None


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
        source, problems = None, (Problem(error.code, f"the file {error.message}", Location(shown), error.hint),)
    if source is None:
        return LoadedPolicy(None, path, problems, root)
    policy, problems = _load(source, config.config)
    return LoadedPolicy(policy, path, problems, root)


def load_policy_text(
    text: str | bytes, name: str, config: Config | None = None, root: Path | None = None
) -> LoadedPolicy:
    """The same for a policy that is not on disk (another revision). Targets are looked up in `config`, if given."""
    source, problems = decode(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, name)
    if source is None:
        return LoadedPolicy(None, Path(name), problems, root)
    policy, problems = _load(source, config)
    return LoadedPolicy(policy, Path(name), problems, root)


def require_policy(loaded: LoadedPolicy) -> Policy | None:
    """The policy, or None where there is none. Raises InvalidInput where there is one that cannot be used."""
    if not loaded.is_valid:
        raise InvalidInput(loaded.problems)
    return loaded.policy


def path_in_repository(path: Path, root: Path) -> str:
    """Where a file lies, from the repository's root, with `/`; its links are resolved first.

    Raises Unreadable for a file outside, and for a path that is spelled otherwise than on disk: a file system that
    does not tell `Plans` from `plans` must not let a path slip past a rule.
    """
    base = root.resolve()
    real = check_inside(path, root)
    folder = base
    for part in real.relative_to(base).parts:
        try:
            listed = any(entry.name == part for entry in folder.iterdir())
        except OSError:
            listed = False
        if not listed:
            hint = "write the path as it is listed, with the same upper and lower case"
            raise Unreadable("Unreadable", "does not exist under exactly this name", hint)
        folder /= part
    return real.relative_to(base).as_posix()


def _load(source: Source, config: Config | None) -> tuple[Policy | None, tuple[Problem, ...]]:
    findings = Findings(source)
    root = parse(source, findings)
    if root is not None and not isinstance(root, MapNode):
        findings.add("WrongType", "a policy is a mapping (key: value)", root.span, hint="begin with version: 1")
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
        hint = "write a rule, for example max_wave: {servers: 50}; or remove policy: from the configuration"
        findings.add("MissingKey", "the policy has no rule, so it would allow everything", root.span, hint=hint)
    for node in walk(root):
        for key, value in node.entries if isinstance(node, MapNode) else ():
            if isinstance(value, MapNode) and not value.entries:
                message = f'"{key.text}" says nothing'
                findings.add("NoValue", message, value.span, hint="write what it is about, or remove the key")


def _check_targets(root: MapNode, config: Config, findings: Findings) -> None:
    """A warning for each target that the configuration does not have: such a rule allows less than it seems to."""
    known = {**WITHOUT_FILE.targets, **config.targets}
    hard, rules = root.get("hard"), root.get("targets")
    named: list[Node | None] = [hard.get("targets") if isinstance(hard, MapNode) else None]
    named += [r.get("allow") for r in (rules.items if isinstance(rules, ListNode) else ()) if isinstance(r, MapNode)]
    for node in (word for one in named if one is not None for word in walk(one)):
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value not in known:
            hint = did_you_mean(node.value, known) or "targets: " + ", ".join(sorted(known))
            message = f'the configuration has no target "{node.value[:63]}"'
            findings.add("UnknownTarget", message, node.span, hint=hint, severity="warning")
