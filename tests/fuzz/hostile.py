"""Inputs that mean harm: small as text and huge in memory, deep, quadratic, or endless.
Each for about a given size.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping

Make = Callable[[int], bytes]
"""(about how many bytes) -> the value."""


def _items(item: bytes) -> Make:
    return lambda size: b"[" + b",".join([item] * max(1, size // (len(item) + 1))) + b"]"


def _numbered(item: str, size: int) -> list[str]:
    return [item.format(n) for n in range(max(1, size // (len(item) + 4)))]


def _chains(size: int) -> bytes:
    """Objects of 50 levels with keys of their own."""
    count = max(1, size // (50 * 13))
    chains = (
        "".join(f'{{"{n:x}.{level}":' for level in range(50)) + "0" + "}" * 50 for n in range(count)
    )
    return ("[" + ",".join(chains) + "]").encode()


JSON: Mapping[str, Make] = {
    "lists, never closed": lambda size: b"[" * size,
    "lists, closed": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "objects, never closed": lambda size: b'{"a":' * (size // 5),
    "depth behind brackets in strings": lambda size: b'["]",' * (size // 5),
    "empty lists": _items(b"[]"),
    "empty objects": _items(b"{}"),
    "lists of one": _items(b"[1]"),
    "objects of one key": _items(b'{"a":0}'),
    "short texts": lambda size: json.dumps(_numbered("{:x}", size)).encode(),
    "numbers": _items(b"1.5"),
    "objects with keys of their own": lambda size: (
        "[" + ",".join(_numbered('{{"{:x}":0}}', size)) + "]"
    ).encode(),
    "one object of many keys": lambda size: (
        "{" + ",".join(_numbered('"{:x}":0', size)) + "}"
    ).encode(),
    "one key, many times": lambda size: b"{" + b",".join([b'"a":0'] * (size // 6)) + b"}",
    "chains of objects": _chains,
    "one long text": lambda size: b'"' + b"a" * size + b'"',
    "one long text with an emoji": lambda size: b'"' + b"a" * size + "\U0001f600".encode() + b'"',
    "one long text with an escaped emoji": lambda size: b'"' + b"a" * size + b'\\ud83d\\ude00"',
    "line breaks": lambda size: b'"' + b"\\n" * (size // 2) + b'"',
    "backslashes": lambda size: b'"' + b"\\" * (size // 2 * 2) + b'"',
    "quotes": lambda size: b'"' * size,
    "brackets in texts": _items(b'"["'),
    "blanks": lambda size: b" " * size + b"1",
    "one long number": lambda size: b"9" * size,
    "one long fraction": lambda size: b"0." + b"9" * size,
    "many long numbers": _items(b"9" * 4200),
    "text in UTF-16": lambda size: ('["' + "a" * (size // 2) + '"]').encode("utf-16"),
    "NUL": lambda size: b"\0" * size,
    "sub-jobs": _items(
        b'{"status":"FAIL","entities":{"server_id":"a","errorcode_message":"{\\"error\\":{\\"code\\":\\"x\\"}}"}}'
    ),
    "pages of HTML in texts": _items(
        b'{"entities":{"server_id":"a","errorcode_message":"' + b"<title" * 200 + b'"}}'
    ),
}


def _laughs(size: int) -> bytes:
    """Ten lists, each of ten times the one before."""
    lines = [b"a0: &a0 [x]"]
    lines += [
        b"a%d: &a%d [%s]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10))
        for n in range(1, min(10, size))
    ]
    return b"\n" + b"\n".join(b" " + line for line in lines)


def _cyclic(_size: int) -> bytes:
    return b"&a [*a]"


def _flow(item: bytes) -> Make:
    return lambda size: b"[" + b", ".join([item] * max(1, size // (len(item) + 2))) + b"]"


def _failing(size: int) -> bytes:
    """Groups made by a `for_each` over a thousand items, and a template that fails for each."""
    return b"[" + b", ".join(b"'i%d'" % n for n in range(1000)) + b"]" + b"\n#" * min(size, 10)


YAML: Mapping[str, Make] = {
    "flow lists, never closed": lambda size: b"[" * size,
    "flow lists, closed": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "block lists": lambda size: b"\n" + b"- " * (size // 2),
    "explicit keys": lambda size: b"\n" + b"? " * (size // 2),
    "empty lists": _flow(b"[]"),
    "numbers": _flow(b"1"),
    "long digits": _flow(b"9" * 4000),
    "empty mappings": _flow(b"{}"),
    "texts": _flow(b"'a'"),
    "keys": lambda size: ("{" + ", ".join(_numbered("k{}: 1", size)) + "}").encode(),
    "one key, many times": lambda size: b"{" + b"a: 1, " * (size // 6) + b"}",
    "aliases of aliases": _laughs,
    "an alias of itself": _cyclic,
    "anchors": _flow(b"&a b"),
    "tags": _flow(b"!a b"),
    "one long text": lambda size: b"a" * size,
    "one long quoted text": lambda size: b"'" + b"a" * size + b"'",
    "an emoji in a long text": lambda size: b"'" + b"a" * size + "\U0001f600'".encode(),
    "escapes": lambda size: b'"' + b"\\n" * (size // 2) + b'"',
    "line breaks": lambda size: b"\n" * size,
    "carriage returns": lambda size: b"\r" * size,
    "tabs": lambda size: b"\t" * size,
    "colons": lambda size: b":" * size,
    "unknown keys": lambda size: ("\n" + "\n".join(_numbered(" unknown_{}: 1", size))).encode(),
    "unknown keys of groups": _flow(b"{nmae: a}"),
    "templates": lambda size: (
        "[" + ", ".join(_numbered("'{{{{ vars.x{} }}}}'", size)) + "]"
    ).encode(),
    "one failing template": lambda size: (
        b"'{{ " + b"<".join([b"1"] * min(1900, size // 2)) + b" }}'"
    ),
    "failing templates": lambda size: (
        "[" + ", ".join(_numbered("'{{{{ " + "<".join("1" * 1800) + " {} }}}}'", size)) + "]"
    ).encode(),
    "costly templates": _flow(b'\'{{ vars.x | join(vars.x | join) | replace("a", "bb") }}\''),
    "documents": lambda size: b"\n" + b"--- a\n" * (size // 6),
    "directives": lambda size: b"\n" + b"%YAML 1.1\n" * (size // 10),
    "NUL": lambda size: b"\0" * size,
}

LINES: Mapping[str, Make] = {
    "blank lines": lambda size: b"\n" * size,
    "one long line": lambda size: b"a" * size,
    "comments": lambda size: b"#\n" * (size // 2),
    "short ids": lambda size: "\n".join(_numbered("{:x}", size)).encode(),
    "one id, many times": lambda size: b"a\n" * (size // 2),
    "sections": lambda size: "\n".join(_numbered("[{}]", size)).encode(),
    "options": lambda size: ("[basic]\n" + "\n".join(_numbered("a{}=b", size))).encode(),
    "continued lines": lambda size: b"[basic]\nak = a\n" + b" b\n" * (size // 3),
    "interpolation": lambda size: (
        b"[basic]\na0 = x\n"
        + b"".join(b"a%d = %s\n" % (n, b"%%(a%d)s" % (n - 1) * 9) for n in range(1, min(12, size)))
        + b"ak = %(a11)s\nsk = b\n"
    ),
    "begins": lambda size: b"BEGIN:VEVENT\r\n" * (size // 14),
    "events": lambda size: (
        b"BEGIN:VCALENDAR\r\n"
        + b"BEGIN:VEVENT\r\nDTSTART:20260101\r\nDTEND:20260102\r\nEND:VEVENT\r\n" * (size // 68)
        + b"END:VCALENDAR\r\n"
    ),
    "dates": lambda size: (
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260101\r\nRDATE:"
        + b",".join([b"20260101"] * (size // 9))
        + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ),
    "every second": lambda _: (
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:19700101T000000Z\r\nDURATION:PT1S\r\n"
        b"RRULE:FREQ=SECONDLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ),
    "folded lines": lambda size: b"BEGIN:VCALENDAR\r\nX:" + b"\r\n a" * (size // 4),
    "NUL": lambda size: b"\0" * size,
    "not UTF-8": lambda size: b"\xff" * size,
}


def _packed(names: int, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(names):
            archive.writestr(f"f{n}.json", data)
    return out.getvalue()


ZIP: Mapping[str, Make] = {
    "a bomb": lambda size: _packed(1, b"\0" * min(size * 10, 200_000_000)),
    "many bombs": lambda size: _packed(20, b"\0" * min(size, 20_000_000)),
    "many files": lambda size: _packed(min(20_000, size // 100), b""),
    "no zip": lambda size: b"PK\x05\x06" * (size // 4),
}

KINDS: Mapping[str, Mapping[str, Make]] = {"json": JSON, "yaml": YAML, "lines": LINES, "zip": ZIP}
