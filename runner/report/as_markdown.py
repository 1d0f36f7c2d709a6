"""Documents and sections as Markdown, for comments and summaries: cut visibly where space ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from runner.report.folding import wrapped
from runner.report.run_words import length
from runner.report.safe import markdown
from runner.report.sections import Document, Emphasis, Figure, Inline, Line, Section, Table


def document_markdown(document: Document, limit: int, cut_words: Callable[[int], str]) -> str:
    """The document in at most `limit` bytes of UTF-8 (and so of characters), if its head takes
    less than that.

    The sections fill what the head leaves, in their order. `cut_words` says how many lines
    were cut.
    """
    facts = " · ".join(
        f"{name} {said}" for name, value in document.facts.items() if (said := inline(value, 200))
    )
    head = [
        f"### {inline(document.title)}",
        f"**{markdown(document.total, 300)}**",
        *map(inline, document.notes),
        facts,
    ]
    text = "\n\n".join(head) + "\n\n"
    return text + sections_markdown(document.sections, limit - size(text), cut_words)


def sections_markdown(
    sections: Iterable[Section], room: int, cut_words: Callable[[int], str]
) -> str:
    """The sections in at most `room` bytes, if that is enough to say that something was cut."""
    out: list[str] = []
    unseen = 0
    reserve = size(cut_words(1_000_000))
    room -= reserve
    for section in sections:
        if isinstance(section.body, Figure) or section.in_full:
            continue
        opening, lines, closing = _pieces(section)
        left = int(room * section.share) - size(opening) - size(closing) - reserve
        fitting: list[str] = []
        cut = 0
        for line in lines:
            left -= size(line)
            if cut or left < 0:
                cut += 1
            else:
                fitting.append(line)
        if fitting:
            more = cut_words(cut) if cut else ""
            out.append("".join([opening, *fitting, closing, more]))
            room -= size(out[-1])
        else:
            unseen += cut
    return "".join([*out, cut_words(unseen) if unseen else ""])


def size(text: str) -> int:
    """Return the bytes of the text."""
    return len(text.encode())


def inline(piece: Inline, limit: int = 600) -> str:
    """Return one piece of text; other people's characters in it mean nothing."""
    match piece:
        case None:
            return ""
        case Emphasis(style="br"):
            return "<br>"
        case Emphasis(text, style, own):
            said = markdown(text, own or limit)
            return (
                {"b": f"**{said}**", "code": f"<code>{said}</code>"}.get(style, said)
                if said
                else ""
            )
        case datetime():
            return f"{piece:%H:%M:%S} UTC"
        case timedelta():
            return length(piece.total_seconds())
        case tuple():
            return "".join(inline(part, limit) for part in piece)
        case str():  # one blank at its ends joins it to its neighbours
            return (
                " " * piece[:1].isspace()
                + markdown(piece, limit)
                + " " * (len(piece) > 1 and piece[-1:].isspace())
            )
        case _:
            return str(piece)


def item(line: Line) -> Iterator[str]:
    """Yield the lines of one line of a list; its words begin each of them where its
    names are many.
    """
    head = "  " * line.level + f"- {inline(line.words, 4000)}"
    if not line.names:
        yield head + "\n"
    for names in wrapped(line.names, 200):
        yield f"{head}: {markdown(names, 10_000)}\n"


def _pieces(section: Section) -> tuple[str, Iterable[str], str]:
    """What stands before the lines of a section, the lines, and what stands after them."""
    title, body = markdown(section.title, 600), section.body
    about = f": {markdown(section.about, 600)}" if section.about else ""
    opening, closing = f"**{title}**{about}\n\n" if title else "", "\n"
    if not section.is_open:
        opening, closing = f"<details><summary>{title}</summary>\n\n", "\n</details>\n\n"
    if section.intro:
        opening += "".join(text for line in section.intro for text in item(line)) + "\n"
    match body:
        case Table() if not body.brief:
            shown = [n for n, name in enumerate(body.columns) if name not in body.extra]
            marks = "|".join("---:" if body.is_right(n) else "---" for n in shown)
            opening += f"| {' | '.join(body.columns[n] for n in shown)} |\n|{marks}|\n"
            return (
                opening,
                (f"| {' | '.join(inline(row[n]) for n in shown)} |\n" for row in body.rows),
                closing,
            )
        case Table():
            lines: Iterable[Line] = body.brief
        case Mapping():
            lines = [Line((Emphasis(name), ": ", value)) for name, value in body.items()]
        case Figure():
            lines = ()
        case _:
            lines = body
    return opening, (text for line in lines for text in item(line)), closing
