"""A plan file becomes a `Plan`, or problems: it is read, parsed, rendered and checked, all
problems in one pass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.errors import InvalidInput
from runner.loading.explain import check
from runner.loading.files import FileReader, check_inside, git_root, reader_beside
from runner.loading.findings import WHOLE_FILE, Findings, did_you_mean
from runner.loading.hidden import check_words, note_hidden
from runner.loading.id_lists import IdLists
from runner.loading.later import LATER_IN_PLANS, refuse_later
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, Span, locate
from runner.loading.rendering import Renderer
from runner.loading.source import Source, Unreadable, decode, read_source
from runner.loading.variables import merged, plan_vars, read_vars_file
from runner.loading.yaml_reader import parse
from runner.model.hidden import hidden_in
from runner.model.plan import FreezeFile, Plan
from runner.model.problem import Location, Problem


@dataclass(frozen=True)
class LoadOptions:
    """What besides the file decides a plan.

    `vars` are texts (`--var`), `env` holds only the variables that configuration allows.
    `root` is the Git root; None looks for it upwards from the file. `files` reads what a
    plan names (`ids_from`, `freeze`); None reads from disk, another revision of the
    repository gives its own.
    """

    vars: Mapping[str, str] = field(default_factory=dict)
    vars_files: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    files: FileReader | None = None


NO_OPTIONS = LoadOptions()


@dataclass(frozen=True)
class Loaded:
    """What came of a file. `plan` is None exactly when `problems` holds an error."""

    name: str
    plan: Plan | None
    problems: tuple[Problem, ...]
    source: Source | None = None
    tree: Node | None = None

    def place(self, problem: Problem) -> Problem:
        """A problem found later, with its `path` looked up in the file: for messages that
        show the line.
        """
        if (
            self.tree is None
            or self.source is None
            or problem.location is not None
            or not problem.path
        ):
            return problem
        place = locate(self.tree, problem.path)
        span = place.node.span
        message = f"{problem.message} (for item {place.item})" if place.item else problem.message
        where = Location(self.name, *span)
        return replace(
            problem, message=message, location=where, excerpt=self.source.excerpt(span.line)
        )


def load_plan(path: Path, options: LoadOptions = NO_OPTIONS) -> Loaded:
    """Read a plan file. Never raises for what is in it, or because it cannot be read: those
    are problems.
    """
    name = path.as_posix()
    root = options.root or git_root(path.parent)
    if root is not None:
        try:
            if path.absolute().is_relative_to(root.absolute()):
                check_inside(path, root)
        except Unreadable as error:
            return Loaded(
                name,
                None,
                (Problem(error.code, f"the file {error.message}", Location(name), error.hint),),
            )
    source, problems = read_source(path, name)
    if source is None:
        return Loaded(name, None, problems)
    return _load(source, options, options.files or reader_beside(path.parent, root))


def load_text(text: str | bytes, name: str, options: LoadOptions = NO_OPTIONS) -> Loaded:
    """The same for a plan that is not on disk. `name` is what messages call it; files it
    names are beside that path.
    """
    source, problems = decode(
        text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, name
    )
    if source is None:
        return Loaded(name, None, problems)
    folder = Path(name).parent
    return _load(
        source, options, options.files or reader_beside(folder, options.root or git_root(folder))
    )


def require(loaded: Loaded) -> Plan:
    """The plan. Raises InvalidInput with all problems when there is none."""
    if loaded.plan is None:
        raise InvalidInput(loaded.problems)
    return loaded.plan


def plan_digest(plan: Plan) -> str:
    """`sha256:…` over what the plan does: canonical JSON of its fields without `description`,
    `labels` and `vars`.

    Calendars count by what their files hold, as ids of a file do. The name of the file,
    comments, order of keys, and defaults that are written out make no difference.
    """
    content = plan.model_dump(
        mode="json", by_alias=True, exclude={"description", "labels", "vars"}, exclude_defaults=True
    )
    content["cycle"] = plan.campaign
    if plan.freeze:
        content["freeze"] = [f.digest for f in plan.freeze]
    canonical = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _load(source: Source, options: LoadOptions, files: FileReader) -> Loaded:
    findings = Findings(source)
    root = parse(source, findings)
    if root is not None and not isinstance(root, MapNode):
        findings.add(
            "WrongType", "a plan is a mapping (key: value)", root.span, hint="begin with version: 1"
        )
    if not isinstance(root, MapNode):
        return Loaded(source.name, None, findings.problems(), source)
    variables, elsewhere = _variables(root, options, findings)
    renderer = Renderer(findings, variables, options.env)
    rendered = renderer.render(root)
    plan: Plan | None = None
    freezes: tuple[FreezeFile, ...] = ()
    if rendered is not None:
        _note_unused(options, root, renderer, findings)
        _refuse_hidden(options, renderer, findings)
        tree = refuse_later(rendered, LATER_IN_PLANS, findings)
        check_words(tree, findings)
        _check_names(tree, findings)
        if tree.get("freeze") is not None:
            from runner.loading.calendars import freezes_of

            freezes = freezes_of(tree, files, findings)
        plan = check(Plan, IdLists(files, findings).resolve(tree), findings)
    problems = (*findings.problems(), *elsewhere)
    if plan is None or any(p.severity == "error" for p in problems):
        return Loaded(source.name, None, problems, source, rendered)
    known: dict[str, object] = {"vars": variables}
    if freezes:
        known["freeze"] = freezes
    return Loaded(source.name, plan.model_copy(update=known), problems, source, rendered)


def _variables(
    root: MapNode, options: LoadOptions, findings: Findings
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    layers: list[Mapping[str, object]] = [plan_vars(root, findings)]
    problems: list[Problem] = []
    for path in options.vars_files:
        values, found = read_vars_file(path)
        layers.append(values)
        problems.extend(found)
    return merged([*layers, options.vars]), tuple(problems)


def _note_unused(
    options: LoadOptions, root: MapNode, renderer: Renderer, findings: Findings
) -> None:
    """A mistyped --var would silently leave the default in force."""
    declared = root.get("vars")
    known = [key.text for key, _ in declared.entries] if isinstance(declared, MapNode) else []
    used = {name for root_name, name in renderer.used if root_name == "vars"}
    if "*" in used:
        return
    for name in options.vars:
        if name not in used and name not in known:
            hint = did_you_mean(name, [*known, *used])
            findings.add(
                "UnusedVariable",
                f'no template uses "{name}"',
                WHOLE_FILE,
                hint=hint,
                severity="warning",
            )


def _refuse_hidden(options: LoadOptions, renderer: Renderer, findings: Findings) -> None:
    """Values from outside the file: what cannot be seen in them can decide a comparison
    without being printed.
    """
    given = [(f"--var {name}: ", value) for name, value in options.vars.items()]
    read = {name for root_name, name in renderer.used if root_name == "env"}
    given += [(f"env.{name}: ", value) for name, value in options.env.items() if read & {name, "*"}]
    for what, value in given:
        if char := hidden_in(value):
            note_hidden(char, WHOLE_FILE, findings, what=what)


def _check_names(tree: MapNode, findings: Findings) -> None:
    groups = tree.get("groups")
    seen: dict[str, Span] = {}
    for group in groups.items if isinstance(groups, ListNode) else ():
        name = group.get("name") if isinstance(group, MapNode) else None
        if not isinstance(name, Scalar) or name.broken or not isinstance(name.value, str):
            continue
        if name.value in seen:
            item = group.item if isinstance(group, MapNode) else None
            again = seen[name.value] == name.span
            message = f'group name "{name.value[:63]}" is used twice'
            message += (
                " by this for_each" if again else f"; the first is in line {seen[name.value].line}"
            )
            hint = (
                'make the name depend on the item, for example "web-{{ item }}"'
                if again
                else "names are unique"
            )
            findings.add("DuplicateName", message, name.span, hint=hint, item=item)
        seen.setdefault(name.value, name.span)
