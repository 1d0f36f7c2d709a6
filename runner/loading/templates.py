"""Templates in values: Jinja expressions from an allow-list, on plain data, with bounded cost.
Imported only if used.

Three fences, each enough for most attacks. The syntax tree may hold only nodes of a list
(no calls, loops, blocks, `*`, `%`, slices, names with `_`). What remains runs in Jinja's
sandbox with an undefined that is an error, and looks things up only as keys and indices,
never as attributes. And every evaluation is charged beforehand with its number of nodes
times the size of the variables it names, so neither output nor time can explode.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.loading.filters import FILTERS, MAX_TEXT, TESTS, Unfit, as_text
from runner.loading.findings import did_you_mean
from runner.loading.scalars import MAX_DIGITS

MAX_TEMPLATE = 4_000
MAX_PARTS = 250
MAX_DIFFERENT = 1_000
MAX_PARSED = 100_000
"""Characters of all different templates of a plan: parsing takes some ten microseconds for each."""
MAX_DEPTH = 64
MAX_COST = 10_000_000
MAX_TOTAL_COST = 120_000_000

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Add,
    nodes.And,
    nodes.Compare,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Const,
    nodes.Dict,
    nodes.Filter,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Keyword,
    nodes.List,
    nodes.Name,
    nodes.Neg,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Pair,
    nodes.Pos,
    nodes.Sub,
    nodes.TemplateData,
    nodes.Test,
)

_DASHED = re.compile(r"\bvars\.([A-Za-z_]\w*(?:-\w+)+)")

_PLAIN_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "calls",
    nodes.For: "loops",
    nodes.If: "{% if %} (write {{ a if b else c }})",
    nodes.Assign: "{% set %}",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
    nodes.Slice: "slices",
    nodes.Tuple: "tuples (write a list)",
    nodes.Macro: "macros",
}


class TemplateProblem(Exception):
    """A template is wrong or cannot be computed. Becomes a problem at once; never leaves
    this package.
    """

    def __init__(
        self, code: str, message: str, hint: str | None = None, *, is_final: bool = False
    ) -> None:
        """`is_final`: nothing more of this plan may be rendered."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.is_final = is_final


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without globals, with our filters, and with look-up by key or index only."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, optimized=False, cache_size=0)
        self.globals.clear()
        self.filters = dict(FILTERS)
        self.tests = {name: test for name, test in self.tests.items() if name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, StrictUndefined):
            obj._fail_with_undefined_error()
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A checked template: literal texts and expressions in turn. `names` are the context
    names it uses.
    """

    parts: tuple[str | TemplateExpression, ...]
    names: frozenset[str]
    keys: frozenset[tuple[str, str]]
    cost: int

    @property
    def is_native(self) -> bool:
        """Whether it is exactly one `{{ }}`, so that its value keeps its type."""
        return len(self.parts) == 1 and not isinstance(self.parts[0], str)


class Templates:
    """Renders the templates of one plan. Compiled templates are kept; the whole cost is bounded."""

    def __init__(self) -> None:
        self._environment = _Environment()
        self._compiled: dict[str, _Compiled | TemplateProblem] = {}
        self._undefined: dict[tuple[str, str], TemplateProblem] = {}
        self._parsed = 0
        self._spent = 0
        self.used: set[tuple[str, str]] = set()

    def render(self, text: str, context: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
        """The value of a template: native for exactly one `{{ }}`, text otherwise.

        `context` maps `vars`, `env`, `item` to plain data; `sizes` gives the size of each
        (`size_of`). Raises TemplateProblem.
        """
        try:
            return self._render(text, context, sizes)
        except TemplateProblem as problem:
            is_of_values = problem.code in ("TemplateUndefined", "TemplateFailed")
            dashed = _dashed_key(text, context) if is_of_values else None
            if dashed is None:
                raise
            message = f'"-" is a minus in templates, so vars.{dashed} is a subtraction'
            raise TemplateProblem(problem.code, message, f"write vars['{dashed}']") from None

    def _render(self, text: str, context: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
        compiled = self._compile(text)
        self.used |= compiled.keys
        for name in sorted(compiled.names - set(context)):
            raise _unknown_name(name, context)
        self._charge(compiled.cost * (10 + sum(sizes[name] for name in compiled.names)))
        try:
            if compiled.is_native:
                return self._value(compiled.parts[0], context)
            return _bounded("".join(self._texts(compiled, context)))
        except UndefinedError as error:
            raise self._explained(text, error, compiled, context) from None
        except SecurityError:
            raise TemplateProblem("TemplateNotAllowed", "the template is not allowed") from None
        except Unfit as error:
            raise TemplateProblem(
                "TemplateFailed", f"the template cannot be computed: {error.message}"
            ) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            message = (
                "the template cannot be computed: its values do not fit what is done with them"
            )
            raise TemplateProblem("TemplateFailed", message) from None

    def _explained(
        self, text: str, error: UndefinedError, compiled: _Compiled, context: Mapping[str, Any]
    ) -> TemplateProblem:
        """The problem of a hole, made once: the search for a similar name is slow, and a
        group has 1,000 items.
        """
        key = (text, str(error.message))
        if key not in self._undefined:
            self._undefined[key] = _undefined(error, compiled, context)
        return self._undefined[key]

    def _texts(self, compiled: _Compiled, context: Mapping[str, Any]) -> Iterator[str]:
        for part in compiled.parts:
            yield part if isinstance(part, str) else as_text(self._value(part, context))

    def _value(self, part: str | TemplateExpression, context: Mapping[str, Any]) -> Any:
        if isinstance(part, str):
            return part
        value = part(**context)
        if isinstance(value, Undefined):
            str(value)  # raises: our undefined is the strict one
        if isinstance(value, list | dict):
            _check_whole(value)
        return _bounded(value) if isinstance(value, str) else value

    def _charge(self, cost: int) -> None:
        self._spent += cost
        if cost > MAX_COST:
            raise TemplateProblem(
                "TemplateTooLarge", "the template costs too much to compute", "make vars smaller"
            )
        if self._spent > MAX_TOTAL_COST:
            message = "the templates of the plan cost too much to compute"
            raise TemplateProblem("TemplateTooLarge", message, "make vars smaller", is_final=True)

    def _compile(self, text: str) -> _Compiled:
        compiled = self._compiled.get(text)
        if compiled is None:
            compiled = self._compiled[text] = self._tried(text)
        if isinstance(compiled, TemplateProblem):
            raise compiled
        return compiled

    def _tried(self, text: str) -> _Compiled | TemplateProblem:
        """A new template, or what is wrong with it. Raises TemplateProblem where no further
        one may be parsed.
        """
        if len(self._compiled) >= MAX_DIFFERENT:
            message = f"more than {MAX_DIFFERENT:,} different templates"
            raise TemplateProblem("TemplateTooLarge", message, is_final=True)
        if len(text) > MAX_TEMPLATE:
            return TemplateProblem(
                "TemplateTooLarge", f"a template may have {MAX_TEMPLATE} characters at most"
            )
        self._parsed += len(text)
        if self._parsed > MAX_PARSED:
            message = f"the different templates have more than {MAX_PARSED:,} characters"
            raise TemplateProblem(
                "TemplateTooLarge", message, "use fewer or shorter ones", is_final=True
            )
        try:
            return self._compile_new(text)
        except TemplateProblem as problem:
            return problem.with_traceback(None)

    def _compile_new(self, text: str) -> _Compiled:
        """Parsed, checked and compiled: about a millisecond."""
        try:
            tree = self._environment.parse(text)
            expressions = list(_expressions(tree))
            found = [node for expression in expressions for node in _all_nodes(expression)]
            for node in found:
                _check(node)
                _write_as_yaml(node)
            if len(found) > MAX_PARTS:
                raise TemplateProblem(
                    "TemplateTooLarge", f"a template may have {MAX_PARTS} parts at most"
                )
            parts = tuple(self._part(expression) for expression in expressions)
        except TemplateSyntaxError as error:
            raise _syntax(error) from None
        except (RecursionError, MemoryError, SyntaxError):
            raise TemplateProblem("TemplateTooLarge", "the template is nested too deeply") from None
        names = frozenset(n.name for n in found if isinstance(n, nodes.Name))
        return _Compiled(parts, names, frozenset(_keys(found)), len(found))

    def _part(self, node: nodes.Expr) -> str | TemplateExpression:
        """An expression as a function of the context, by Jinja's own way
        (`Environment.compile_expression`).
        """
        if isinstance(node, nodes.TemplateData):
            return str(node.data)
        result = nodes.Assign(nodes.Name("result", "store", lineno=1), node, lineno=1)
        template = self._environment.from_string(nodes.Template([result], lineno=1))
        return TemplateExpression(template, undefined_to_none=False)


def size_of(value: Any) -> int:
    """The size of plain data: characters of text and number of values."""
    total, stack = 0, [value]
    while stack:
        one = stack.pop()
        total += 1
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, Mapping):
            total += sum(len(str(key)) for key in one)
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return total


def _check_whole(value: Any) -> None:
    """Raises UndefinedError for a hole inside a list or mapping, TemplateProblem when it is
    nested too deeply.
    """
    stack = [(value, 0)]
    while stack:
        one, depth = stack.pop()
        if isinstance(one, Undefined):
            str(one)  # raises: our undefined is the strict one
        if depth > MAX_DEPTH:
            raise TemplateProblem("TemplateTooLarge", "the value is nested too deeply")
        if isinstance(one, list | dict):
            stack.extend(
                (child, depth + 1) for child in (one if isinstance(one, list) else one.values())
            )


def _expressions(tree: nodes.Template) -> Iterator[nodes.Expr]:
    """The parts of a template in order. Raises TemplateProblem for statements (`{% … %}`)."""
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            raise _not_allowed(node)
        yield from node.nodes


def _all_nodes(root: nodes.Node) -> Iterator[nodes.Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def _check(node: nodes.Node) -> None:
    """Raises TemplateProblem for a node that is not on the list, or that uses a name
    that is not.
    """
    if not isinstance(node, _ALLOWED):
        raise _not_allowed(node)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        raise TemplateProblem(
            "TemplateNotAllowed", "names that begin with _ are not allowed in templates"
        )
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise TemplateProblem(
            "TemplateNotAllowed", f'there is no filter "{node.name}"', _one_of(node.name, FILTERS)
        )
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise TemplateProblem(
            "TemplateNotAllowed", f'there is no test "{node.name}"', _one_of(node.name, TESTS)
        )
    if isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        raise TemplateProblem("TemplateNotAllowed", "* and ** are not allowed in templates")
    _check_operands(node)


def _check_operands(node: nodes.Node) -> None:
    """Raises TemplateProblem for numbers out of range and for a conditional without else."""
    if isinstance(node, nodes.Const):
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise TemplateProblem("BadNumber", "the number in the template is too large")
        if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            raise TemplateProblem("BadNumber", "the number in the template has too many digits")
    if isinstance(node, nodes.CondExpr) and node.expr2 is None:
        raise TemplateProblem(
            "TemplateNotAllowed", "a condition needs an else", "write {{ a if b else c }}"
        )


def _write_as_yaml(node: nodes.Node) -> None:
    """`~` writes its operands as texts do: `true`, not Python's `True`; and no list or mapping."""
    if isinstance(node, nodes.Concat):
        node.nodes = [
            nodes.Filter(n, "string", [], [], None, None, lineno=n.lineno) for n in node.nodes
        ]


def _keys(found: list[nodes.Node]) -> Iterator[tuple[str, str]]:
    """Which keys of which names are read, as far as the text says (`vars.x`, `vars["x"]`)."""
    for node in found:
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            yield node.node.name, node.attr
        if isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Name):
            yield node.node.name, str(node.arg.value) if isinstance(node.arg, nodes.Const) else "*"


def _not_allowed(node: nodes.Node) -> TemplateProblem:
    word = _PLAIN_WORDS.get(type(node), type(node).__name__.lower())
    return TemplateProblem(
        "TemplateNotAllowed",
        f"templates cannot use {word}",
        "allowed are look-ups, comparisons, and/or/not, a if b else c, + - ~, lists, and filters",
    )


def _syntax(error: TemplateSyntaxError) -> TemplateProblem:
    message = error.message or "not well-formed"
    if message.startswith(("No filter named", "No test named")):
        return TemplateProblem("TemplateNotAllowed", message[0].lower() + message[1:].rstrip("."))
    return TemplateProblem(
        "TemplateSyntax", f"the template is not well-formed: {message.rstrip('.')}"
    )


def _unknown_name(name: str, context: Mapping[str, Any]) -> TemplateProblem:
    if name == "item":
        return TemplateProblem(
            "TemplateUndefined", "item has a value only in a group with for_each"
        )
    if name == "env":
        return TemplateProblem(
            "TemplateUndefined", "env cannot be used here", "the identity of a plan is in its file"
        )
    known = vars_ if isinstance(vars_ := context.get("vars"), Mapping) else {}
    hint = (
        f"write vars.{name}" if name in known else did_you_mean(name, context) or "write vars.NAME"
    )
    return TemplateProblem("TemplateUndefined", f'"{name}" has no value', hint)


def _dashed_key(text: str, context: Mapping[str, Any]) -> str | None:
    """Return the key with dashes that `vars.my-role` means: one of vars, or one whose first
    part is none of them.
    """
    known = vars_ if isinstance(vars_ := context.get("vars"), Mapping) else {}
    for found in _DASHED.finditer(text):
        if found[1] in known or found[1].partition("-")[0] not in known:
            return found[1]
    return None


def _undefined(
    error: UndefinedError, compiled: _Compiled, context: Mapping[str, Any]
) -> TemplateProblem:
    """Jinja's sentence without Python's type names, and how to mend it."""
    said = str(error.message or "")
    if "has no element" in said:
        return TemplateProblem(
            "TemplateUndefined", "the list" + said[said.index(" has no element") :]
        )
    name = said.rsplit("'", 2)[1] if said.count("'") >= 2 else said
    if ("env", name) in compiled.keys:
        hint = "set it, and allow it in the configuration: template_env"
        return TemplateProblem(
            "TemplateUndefined", f'the environment variable "{name}" cannot be read', hint
        )
    known = [str(key) for data in context.values() if isinstance(data, Mapping) for key in data]
    hint = did_you_mean(name, known) or "give it in vars, with --var or with --vars-file"
    return TemplateProblem("TemplateUndefined", f'"{name}" has no value', hint)


def _one_of(word: str, known: Any) -> str:
    return did_you_mean(word, known) or "one of: " + ", ".join(sorted(known))


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TemplateProblem(
            "TemplateTooLarge", f"the template makes more than {MAX_TEXT:,} characters"
        )
    return text
