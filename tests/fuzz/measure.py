"""A process that reads hostile files for `python -m tests.fuzz`: each in a fork of its own,
whose time and peak count.

Names of files come in on stdin, a line each; a line of JSON for each goes out.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from tests.fuzz.readers import Reader, readers

CPU_S = 20
MEMORY = 4_000_000_000


def main(name: str) -> None:
    reader = readers()[name]
    reader.make()
    for line in sys.stdin:
        print(json.dumps(_measured(reader, Path(line.rstrip("\n")))), flush=True)


def _measured(reader: Reader, path: Path) -> dict[str, object]:
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.write(into, _outcome(reader, path).encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as file:
        said = file.read().decode("utf-8", "replace")
    _, status, used = os.wait4(child, 0)
    if status:
        said = f"!! killed by {os.waitstatus_to_exitcode(status)}"
    return {"seconds": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1000, "said": said}


def _outcome(reader: Reader, path: Path) -> str:
    """What came of it; `!!` before what is no error of ours."""
    try:
        found = reader.make()(path)
    except reader.errors as error:
        problems = getattr(error, "problems", None)
        return f"{type(error).__name__}: {problems[0].message if problems else error}"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        return f"!! {type(error).__name__}: {error}"
    problems = getattr(found, "problems", None)
    return f"{len(problems)} problems: {problems[0].message}" if problems else "read"


if __name__ == "__main__":
    main(sys.argv[1])
