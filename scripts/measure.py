"""Print how the source of `runner/` measures: sizes in characters, long lines, helpers,
imports, names.

    python3 scripts/measure.py

A character counts if it stands in a line that is not empty, without the blanks at both ends
of the line. So dense lines gain nothing. Sizes include the templates, styles and scripts of
pages; the other measures are of Python alone.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "runner"
PAGES = {".html", ".css", ".js", ".sql"}
LONG = 100
LONGEST_MODULES = 10


def main() -> None:
    """Print the measures of the package, room by room and as a whole."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    lines = [line for text in texts.values() for line in lines_of(text)]
    pages = {
        path: path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in PAGES
    }
    print(f"{'room':12} {'modules':>7} {'lines':>7} {'characters':>10}")
    for room in sorted({room_of(path) for path in texts}):
        mine = [text for path, text in (texts | pages).items() if room_of(path) == room]
        size = [line for text in mine for line in lines_of(text)]
        print(f"{room:12} {len(mine):7} {len(size):7} {sum(map(len, size)):10}")
    trees = {path: ast.parse(text) for path, text in texts.items()}
    thousands = len(lines) / 1000
    whole = "\n".join(texts.values())
    words = Counter(re.findall(r"\w+", whole))
    helpers = [name for tree in trees.values() for name in private_functions(tree)]
    once = [name for name in helpers if words[name] == 2]
    late = sum(late_imports(tree) for tree in trees.values())
    classes = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    doubled = sorted(name for name, number in classes.items() if number > 1)
    long = sum(
        len(line) > LONG for text in texts.values() for line in text.splitlines() if line.strip()
    )
    print()
    whole_size = sum(len(line) for text in (texts | pages).values() for line in lines_of(text))
    print(f"characters                           {whole_size:,}")
    print(f"characters a line                    {sum(map(len, lines)) / len(lines):.1f}")
    print(f"lines over {LONG} characters            {long / len(lines):.1%}")
    print(
        f"private functions a 1,000 lines      {len(helpers) / thousands:.1f}, {len(once)} of "
        f"{len(helpers)} used once"
    )
    print(f"imports in functions a 1,000 lines   {late / thousands:.1f}")
    print(f"class names used more than once      {len(doubled)}: {', '.join(doubled)}")
    print("longest modules")
    sizes = {path: sum(map(len, lines_of(text))) for path, text in texts.items()}
    for path in sorted(sizes, key=lambda p: -sizes[p])[:LONGEST_MODULES]:
        print(f"  {sizes[path]:7,}  {path.relative_to(PACKAGE.parent)}")


def lines_of(text: str) -> list[str]:
    """Return the lines that are not empty, without blanks at their ends."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def room_of(path: Path) -> str:
    """Return the folder directly under `runner/` that holds a module; of the package's own
    modules `.`.
    """
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "."


def private_functions(tree: ast.Module) -> Iterator[str]:
    """Yield the names of functions and methods that begin with one underscore."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    yield from (f.name for f in functions if re.match("_[^_]", f.name))


def late_imports(tree: ast.Module) -> int:
    """Return how many import statements stand in functions."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {
        id(n) for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)
    }
    return len(found)


if __name__ == "__main__":
    main()
