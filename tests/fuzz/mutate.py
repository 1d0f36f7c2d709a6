"""Valid inputs with pieces changed, cut, repeated or exchanged: only errors of ours may
come of it.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import HOLE, Reader

PIECES: st.SearchStrategy[bytes] = st.sampled_from(
    [
        *(
            b"[",
            b"]",
            b"{",
            b"}",
            b'"',
            b"'",
            b":",
            b",",
            b"\\",
            b"\n",
            b"\r",
            b"\t",
            b" ",
            b"\0",
            b"-",
            b"#",
            b"%",
        ),
        *(
            b"null",
            b"true",
            b"0",
            b"-1",
            b"1e999",
            b"9" * 30,
            b"9" * 5000,
            b"NaN",
            b"[]",
            b"{}",
            b'""',
            b"\xff",
        ),
        *("\u202e".encode(), "\U0001f600".encode(), "\ud800".encode("utf-8", "surrogatepass")),
        *(
            b"{{",
            b"}}",
            b"&a",
            b"*a",
            b"!!str",
            b"---",
            b"[" * 300,
            b'{"a":' * 300,
            b"\xef\xbb\xbf",
            b"\xfe\xff",
        ),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, reader: Reader) -> bytes:
    """An example, or a frame that is filled, with up to six changes."""
    data = draw(st.sampled_from([*reader.examples, *reader.frames])).replace(HOLE, draw(PIECES))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        piece = draw(PIECES | st.binary(max_size=4) | st.just(data[at:end] * 2))
        data = data[:at] + piece + data[end:]
    return data


def run(reader: Reader, seconds: float, examples: int = 100) -> tuple[int, str | None]:
    """Mutate for about so long. Returns how many inputs were read, and the first that did
    not end as it should.
    """
    read, until, count = reader.make(), time.monotonic() + seconds, 0
    quick = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "input.jsonl")

        @quick
        @given(mutated(reader))
        def one(data: bytes) -> None:
            nonlocal count
            count += 1
            path.write_bytes(data)
            with suppress(*reader.errors):
                read(path)

        try:
            one()
            while time.monotonic() < until:
                one()
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return count, f"{type(error).__name__}: {error} {getattr(error, '__notes__', '')}"
    return count, None
