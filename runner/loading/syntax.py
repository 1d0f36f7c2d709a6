"""What is wrong with a file that is no YAML: the parser's words as sentences for people, at
the line that is to blame.

The parser notices a mistake where it can go on no longer, often a line later. So the lines
it was busy with are looked at for what people mistype: a blank that is none, a colon that
is none, a missing space, an unquoted pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from runner.loading.findings import Findings
from runner.loading.hidden import said_of_hidden
from runner.loading.nodes import Span
from runner.loading.source import Source
from runner.model.hidden import described, hidden_in

QUOTE_IT = 'quote the template: "{{ … }}"'
UNQUOTED_SAID = "YAML reads an unquoted {{ as a mapping in a mapping"

_UNQUOTED = re.compile(r"""(?:^|[\s:\[,{-])(\{\{)""")
_CONFLICT = re.compile(r"^(<{7,}|\|{7,}|>{7,}|={7,}(?=\r?$))(?= |\r?$)", re.MULTILINE)
_COLONS = "\uff1a\ufe55\u2236\ua789\u02d0\ufe13"
_ODD_COLON = re.compile(rf"^\s*(?:- +)*[A-Za-z_][\w-]*\s*([{_COLONS}])")
_ODD_DASH = re.compile(r"^\s*([\u2010-\u2015\u2022\u2212])(?=\s|\w)")
_NO_SPACE_IN_LIST = re.compile(r"^\s*-(?=[^\s-])")
_NO_SPACE = re.compile(r"(?:^\s*(?:- +)*|[{,]\s*)([A-Za-z_][\w-]*):(?=[^\s/:])")
_NO_COLON = re.compile(r"^\s*(?:- +)*([A-Za-z_][\w-]*)(?:\s*[=;]|\s)\s*\S")
_AROUND = frozenset(" \t,{}\"'")

Slip = tuple[int, str, str, str]
"""A column (from 0), code, sentence and hint."""


def note_conflict(source: Source, findings: Findings) -> bool:
    """Note the first marker of an unfinished merge. Return True if there is one."""
    found = _CONFLICT.search(source.text)
    if found is None:
        return False
    line = source.text.count("\n", 0, found.start()) + 1
    span = Span(line, 1, line, len(found[1]) + 1)
    message = f"a merge conflict marker ({found[1][:7]}): the merge of this file was not finished"
    findings.add(
        "MergeConflict",
        message,
        span,
        hint="keep one side, and remove the lines <<<<<<<, ======= and >>>>>>>",
    )
    return True


def pattern_at(source: Source, line: int, column: int) -> str:
    """Return the unquoted word that stands at a place (both from 1), for `quote it:
    "*-legacy"`; empty if none.
    """
    text = source.lines[line - 1] if line <= len(source.lines) else ""
    start = end = min(column - 1, len(text))
    while start > 0 and text[start - 1] not in _AROUND:
        start -= 1
    while end < len(text) and text[end] not in _AROUND:
        end += 1
    return _balanced(text[start:end])


def _balanced(word: str) -> str:
    """The word without the brackets of the list that it stands in: `[web-[0-9]*]` is
    `web-[0-9]*`.
    """
    word = word.lstrip("[")
    while word.endswith("]") and word.count("]") > word.count("["):
        word = word[:-1]
    return word


def quote(word: str) -> str:
    return f'quote it: "{word}"' if word and len(word) <= 80 else "quote it"


_SENTENCES: tuple[tuple[str, str, str | None], ...] = (
    (
        "mapping values are not allowed",
        '":" is not expected here',
        'quote a value that holds ": ", or correct the indentation',
    ),
    ("quoted scalar.*end of stream", "the quote that begins here is never closed", None),
    (
        "quoted scalar.*unknown escape",
        "unknown escape after \\",
        "use single quotes, or write the backslash twice",
    ),
    ("quoted scalar.*document", "the quote that begins here is never closed", None),
    (
        "flow sequence",
        'the list that begins here with "[" is not closed, or a comma is missing',
        None,
    ),
    (
        "flow mapping",
        'the mapping that begins here with "{" is not closed, or a comma is missing',
        None,
    ),
    ("cannot start any token|tab character|indentation.*tab", "", None),
    ("simple key|expected ':'", 'a key without ":" after it', "write key: value"),
    ("flow node|block node", "a value is missing here", None),
    (
        "block collection|block sequence",
        'a list item must begin with "- " at the same column as the others',
        None,
    ),
    (
        "block mapping",
        "this does not belong here: the indentation is wrong, or a quote is missing",
        None,
    ),
    ("document start", "text after the end of the document: correct the indentation", None),
    ("incompatible YAML|directive", "directives (%…) are not allowed", "remove the line"),
)
"""Pattern over the parser's context and problem (its C and its Python form word them
differently) -> sentence, hint.
"""

_AT_CONTEXT = (
    "flow sequence",
    "flow mapping",
    "quoted scalar.*end of stream",
    "quoted scalar.*document",
)


def note_syntax(
    error: yaml.YAMLError, source: Source, findings: Findings, bracket: Span | None
) -> None:
    """Note why the parser stopped. `bracket`: where the innermost `[` or `{` stands that is
    still open.
    """
    problem_mark = getattr(error, "problem_mark", None)
    context_mark = getattr(error, "context_mark", None)
    span, context = _at(problem_mark or context_mark), _at(context_mark or problem_mark)
    said = f"{getattr(error, 'context', '') or ''}: {getattr(error, 'problem', '') or ''}"
    if findings.has("ControlCharacter"):
        return  # what the parser read in its place is no other mistake
    unquoted = _unquoted_template(source, span)
    if unquoted:
        findings.add("UnquotedTemplate", UNQUOTED_SAID, unquoted, hint=QUOTE_IT)
    elif "scanning an alias" in said or "scanning a tag" in said or "scanning an anchor" in said:
        what = "a value cannot begin with * or & or !, which have a meaning of their own in YAML"
        findings.add(
            "YamlSyntax",
            what,
            context,
            hint=quote(pattern_at(source, context.line, context.column)),
        )
    elif not _note_slip(said, context.line, span.line, source, findings):
        _note_sentence(said, context, span, source, findings, bracket)


def _note_sentence(
    said: str, context: Span, span: Span, source: Source, findings: Findings, bracket: Span | None
) -> None:
    if (
        bracket
        and span.line >= len(source.lines)
        and not source.lines[-1][span.column - 1 :].strip()
    ):
        findings.add("YamlSyntax", "the bracket that begins here is never closed", bracket)
        return
    for pattern, sentence, hint in _SENTENCES:
        if re.search(pattern, said):
            place = context if pattern in _AT_CONTEXT or pattern.startswith("simple key") else span
            sentence, hint = (sentence, hint) if sentence else _bad_start(source, span)
            findings.add("YamlSyntax", sentence, place, hint=hint)
            return
    findings.add("YamlSyntax", said.strip(": ") or "not valid YAML", span)


def _note_slip(said: str, context: int, line: int, source: Source, findings: Findings) -> bool:
    """Note what is mistyped in the lines that the parser was busy with. Return False if
    nothing is found.
    """
    if "quoted scalar" in said:
        return False
    of_key = "simple key" in said or "expected ':'" in said or "mapping values" in said
    for number in _suspects(context, line, source):
        slip = slip_in(source.lines[number - 1], of_key=of_key and number != line)
        if slip is not None:
            column, code, sentence, hint = slip
            findings.add(code, sentence, Span(number, column + 1, number, column + 2), hint=hint)
            return True
    return False


def _suspects(context: int, line: int, source: Source) -> Iterator[int]:
    """The line that the parser had begun with, the last one before the error that says
    something, the error's own.
    """
    before = next(
        (n for n in range(line - 1, max(0, line - 50), -1) if _says_something(source, n)), line
    )
    yield from dict.fromkeys(n for n in (context, before, line) if n <= len(source.lines))


def _says_something(source: Source, number: int) -> bool:
    text = source.lines[number - 1].strip() if number <= len(source.lines) else ""
    return bool(text) and not text.startswith("#")


def slip_in(text: str, *, of_key: bool) -> Slip | None:
    """Return what is mistyped in one line. `of_key`: the parser missed a ":" there."""
    bare = text.partition(" #")[0]
    char = hidden_in(bare)
    if char is not None:
        return (bare.index(char), "ControlCharacter", *said_of_hidden(char))
    if found := _ODD_COLON.search(bare):
        return (
            found.start(1),
            "YamlSyntax",
            f'{described(found[1])} is not the ":" of the keyboard',
            'write ":"',
        )
    if found := _ODD_DASH.search(bare):
        return (
            found.start(1),
            "YamlSyntax",
            f'{described(found[1])} is not the "-" of the keyboard',
            'write "- "',
        )
    if of_key and (found := _NO_SPACE_IN_LIST.search(bare)):
        return (
            found.end(),
            "YamlSyntax",
            'a space is missing after "-"',
            "begin each item with a dash and a space",
        )
    if found := _NO_SPACE.search(bare):
        return (
            found.end(),
            "YamlSyntax",
            f'a space is missing after "{found[1]}:"',
            f"write {found[1]}: value",
        )
    if of_key and (found := _NO_COLON.search(bare)):
        return (
            found.end(1),
            "YamlSyntax",
            f'a ":" is missing after "{found[1]}"',
            f"write {found[1]}: value",
        )
    return None


def _bad_start(source: Source, span: Span) -> tuple[str, str | None]:
    """A character that cannot begin a value: mostly a tab, or a word that needs quotes."""
    line = source.lines[span.line - 1] if span.line <= len(source.lines) else ""
    if "\t" in line[: span.column]:
        return "a tab cannot be used here", "indent with spaces"
    return "a value cannot begin with this character", "quote the value"


def _unquoted_template(source: Source, span: Span) -> Span | None:
    """The place of an unquoted `{{` before `span` on its line, the usual reason of an
    error there.
    """
    if span.line > len(source.lines):
        return None
    before = source.lines[span.line - 1][: span.column]
    for match in _UNQUOTED.finditer(before):
        head = before[: match.start(1)]
        if head.count('"') % 2 == 0 and head.count("'") % 2 == 0:
            column = match.start(1) + 1
            return Span(span.line, column, span.line, column + 2)
    return None


def _at(mark: object) -> Span:
    line, column = getattr(mark, "line", 0) + 1, getattr(mark, "column", 0) + 1
    return Span(line, column, line, column)
