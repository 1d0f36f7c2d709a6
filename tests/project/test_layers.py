"""The arrows between the parts: who may import whom, read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "runner"

MAY_IMPORT = {
    "model": set(),
    "pins": set(),
    "inputs": set(),
    "errors": {"model"},
    "ports": {"model", "errors"},
    "planning": {"model", "errors", "ports"},
    "execution": {"model", "errors", "ports", "planning"},
    "net": {"errors", "inputs"},
    "git": {"errors"},
    "loading": {"model", "errors", "inputs", "net", "ports"},
    "report": {"model", "errors", "inputs", "planning"},
    "cloud": {"model", "errors", "inputs", "ports", "net"},
    "checks": {"model", "errors", "inputs", "ports", "net"},
    "store": {"model", "errors", "inputs", "ports", "net", "git"},
    "simulator": {"model", "inputs"},
    "starter": {"model", "errors"},
    "temporal": {"errors"},
    "github": {"model", "errors", "inputs", "net", "git", "report"},
}
MAY_IMPORT["app"] = {*MAY_IMPORT}
MAY_IMPORT["cli"] = {"app", "errors", "model", "report", "starter", "temporal"}
MAY_IMPORT["__main__"] = {"cli"}
"""Part -> the parts of ours that it may import. `app` joins them; `cli` parses, calls
`app`, and shows.
"""

ONLY_IN = {
    "httpx": {"runner/net/transport.py"},
    "jinja2": {"runner/loading/", "runner/report/run_html.py"},
    "yaml": {"runner/inputs/", "runner/loading/", "runner/simulator/"},
    "rich": {"runner/cli/"},
    "click": {"runner/cli/"},
    "sqlite3": {"runner/store/", "runner/simulator/"},
    "psycopg": {"runner/store/"},
    "temporalio": {"runner/temporal/"},
    "starlette": {"runner/simulator/"},
    "uvicorn": {"runner/simulator/"},
    "pydantic": {
        "runner/model/",
        "runner/loading/",
        "runner/report/",
        "runner/simulator/",
        "runner/store/event_json.py",
    },
}
"""Package of somebody else -> where it may be imported."""

PURE = (
    *("runner/model/", "runner/planning/", "runner/report/"),
    *(
        f"runner/execution/{name}.py"
        for name in (
            *("machine", "fold", "evidence", "verdicts", "effects", "openings", "gating", "baking"),
            *("brakes", "budgets", "deadlines", "failing", "following", "savepoint"),
        )
    ),
)
WORLD = {
    *(
        "asyncio",
        "http",
        "multiprocessing",
        "os",
        "random",
        "secrets",
        "selectors",
        "shutil",
        "signal",
    ),
    *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
}
"""Standard modules through which the world comes in: time, chance, files, processes, the network.
"""


OPTIONS = (
    "a command imports its use case when its options are right: help, completion and "
    "mistakes stay quick"
)
HELP = "`--help` and the names of the commands need nothing but click"
VALIDATE = "`validate` starts without what its plans do not use; test_startup.py counts it"
EXTRA = "an optional extra, or only on some systems"

LATE = (
    ("runner/cli/*", "runner.app", OPTIONS),
    ("runner/cli/*", "runner.starter", OPTIONS),
    ("runner/cli/worker.py", "runner.temporal", EXTRA),
    ("runner/cli/main.py", "runner.cli", HELP),
    ("runner/cli/main.py", "difflib", HELP),
    (
        "runner/cli/common.py",
        "runner.cli",
        "only what follows a run draws; on a terminal with rich",
    ),
    ("runner/app/app.py", "runner.loading.config", HELP),
    ("runner/app/plan_files.py", "runner.app.changed_plans", VALIDATE),
    ("runner/app/policy.py", "runner.app.rules", VALIDATE),
    ("runner/app/policy.py", "runner.loading.policy", VALIDATE),
    ("runner/app/policy.py", "runner.planning.policy", VALIDATE),
    ("runner/cloud/huawei/provider.py", "runner.cloud.huawei", VALIDATE),
    ("runner/cloud/huawei/provider.py", "runner.net.transport", VALIDATE),
    ("runner/loading/config.py", "runner.ports.provider", VALIDATE),
    ("runner/loading/plan.py", "runner.loading.calendars", VALIDATE),
    ("runner/loading/rendering.py", "runner.loading.templates", VALIDATE),
    ("runner/loading/calendar_zones.py", "icalendar", EXTRA),
    ("runner/net/trust.py", "certifi", EXTRA),
    ("runner/store/open.py", "runner.store.postgres", EXTRA),
)
"""Files, what they may import inside a function (that module and what is in it), and why
not at their top.
"""


@dataclass(frozen=True)
class Import:
    """One import: the file it stands in, its line, and the full name of what is imported."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def from_part(self) -> str:
        return part_of(self.file.removesuffix(".py").replace("/", "."))

    @property
    def part(self) -> str:
        return part_of(self.name)


def part_of(module: str) -> str:
    """`runner.cloud.huawei.auth.exchange` -> `cloud`; `runner` itself -> ``."""
    return module.partition(".")[2].partition(".")[0]


def sources(root: Path = PACKAGE) -> list[Path]:
    return sorted(root.rglob("*.py"))


def imports_of(path: Path, root: Path = ROOT) -> Iterator[Import]:
    """All imports of a file, those inside functions and under TYPE_CHECKING too."""
    file = path.relative_to(root).as_posix()
    for node in ast.walk(ast.parse(path.read_text(), filename=file)):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, root, node)
            yield from (Import(file, node.lineno, f"{base}.{alias.name}") for alias in node.names)


def absolute(path: Path, root: Path, node: ast.ImportFrom) -> str:
    """The full name of the module of a `from` import, relative ones resolved."""
    if not node.level:
        return node.module or ""
    here = path.relative_to(root).parent.parts
    above = here[: len(here) - (node.level - 1)]
    return ".".join([*above, *([node.module] if node.module else [])])


@cache
def late_imports() -> list[Import]:
    """The imports inside functions."""
    late = set()
    for path in sources():
        tree, file = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
        functions = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        late |= {
            (file, n.lineno)
            for f in functions
            for n in ast.walk(f)
            if isinstance(n, ast.Import | ast.ImportFrom)
        }
    return [found for found in all_imports() if (found.file, found.line) in late]


@cache
def all_imports() -> list[Import]:
    return [found for path in sources() for found in imports_of(path)]


def upward(imports: Iterable[Import]) -> list[Import]:
    """The imports of ours that no arrow allows."""
    ours = [
        i
        for i in imports
        if i.top == "runner" and i.from_part in MAY_IMPORT and i.part in KNOWN_PARTS
    ]
    return [i for i in ours if i.part != i.from_part and i.part not in MAY_IMPORT[i.from_part]]


KNOWN_PARTS = MAY_IMPORT.keys()


def listed(imports: Iterable[Import]) -> str:
    return "\n".join(map(str, imports))


def test_arrows_point_downward() -> None:
    """No part imports another that the structure does not let it import."""
    assert not upward(all_imports()), listed(upward(all_imports()))


def test_every_part_has_its_arrows() -> None:
    """A new folder or module directly under `runner/` must be given its place before it can
    be imported.
    """
    found = {
        part_of(path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", "."))
        for path in sources()
    }
    assert found - {"__init__"} <= KNOWN_PARTS


@pytest.mark.parametrize("package", ONLY_IN)
def test_packages_of_others_stay_where_they_belong(package: str) -> None:
    """Each library is imported only by the part that is built on it, so that it can be
    exchanged there.
    """
    places = tuple(ONLY_IN[package])
    stray = [i for i in all_imports() if i.top == package and not i.file.startswith(places)]
    assert not stray, listed(stray)


def test_nothing_is_typed_on_a_concrete_store() -> None:
    """Outside of its room a store is the port `Store`; `runner.store.open` gives one by its URL."""
    names = (
        "runner.store.sql",
        "runner.store.sqlite",
        "runner.store.postgres",
        "runner.store.gitref",
    )
    stray = [i for i in all_imports() if i.name.startswith(names) and i.from_part != "store"]
    assert not stray, listed(stray)


def test_simulated_cloud_is_reached_only_by_use_cases() -> None:
    """Nothing that runs against a real cloud knows the simulated one; only use cases start it."""
    stray = [
        i
        for i in all_imports()
        if i.part == "simulator" and i.from_part not in {"simulator", "app"}
    ]
    assert not stray, listed(stray)


def test_pure_parts_do_not_touch_the_world() -> None:
    """Planning, reports and the state machine import neither time nor chance, files,
    processes or network.
    """
    stray = [i for i in all_imports() if i.file.startswith(PURE) and i.top in WORLD]
    assert not stray, listed(stray)


def test_pure_parts_do_not_ask_for_the_time() -> None:
    """The present moment is an argument of the pure parts: none of them calls `now()`,
    `today()` or `utcnow()`.
    """
    asked = []
    for path in sources():
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(PURE):
            calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
            asked += [
                f"{file}:{call.lineno}"
                for call in calls
                if isinstance(call.func, ast.Attribute)
                and call.func.attr in {"now", "today", "utcnow"}
            ]
    assert not asked


def allows(row: tuple[str, str, str], found: Import) -> bool:
    files, module, _ = row
    return fnmatch(found.file, files) and f"{found.name}.".startswith(
        f"{module}." if module else ""
    )


def test_imports_stand_at_the_top() -> None:
    """An import inside a function has a reason in LATE, no reason outlives its imports, and
    they stay few.
    """
    late = late_imports()
    lines = sum(len(path.read_text().splitlines()) for path in sources())
    assert len({(found.file, found.line) for found in late}) < 2 * lines / 1000
    stray = [found for found in late if not any(allows(row, found) for row in LATE)]
    assert not stray, listed(stray)
    assert [row for row in LATE if not any(allows(row, found) for found in late)] == []


def test_no_command_imports_another() -> None:
    """What commands share is in `options` and `common`, or a use case of `app`: each
    command can change by itself.
    """
    shared = {"common", "crash", "main", "options", "progress", "progress_live", "screen"}
    commands = {path.stem for path in sources(PACKAGE / "cli")} - shared
    stray = [i for i in all_imports() if i.part == "cli" and i.name.split(".")[2] in commands]
    assert len(commands) > 10
    assert not stray, listed(stray)


def test_every_module_says_what_it_is_for() -> None:
    """Each module of the package, the tests and the scripts begins with a docstring; empty
    files need none.
    """
    folders = ("runner", "tests", "scripts", "benchmarks")
    files = [f for folder in folders for f in sources(ROOT / folder) if f.stat().st_size]
    silent = [
        f.relative_to(ROOT).as_posix()
        for f in files
        if not ast.get_docstring(ast.parse(f.read_text()))
    ]
    assert len(files) > 20
    assert not silent


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("import runner.cloud.huawei.client", "runner.cloud.huawei.client"),
        ("from runner.cloud.huawei import client", "runner.cloud.huawei.client"),
        ("from runner import cloud", "runner.cloud"),
        ("from ..cloud.huawei import client", "runner.cloud.huawei.client"),
        ("def f():\n    from .. import cloud", "runner.cloud"),
    ],
)
def test_no_way_of_importing_is_overlooked(tmp_path: Path, line: str, seen: str) -> None:
    """Absolute, relative and late imports are all read as what they import."""
    path = tmp_path / "runner" / "planning" / "select.py"
    path.parent.mkdir(parents=True)
    path.write_text(line)
    found = list(imports_of(path, tmp_path))
    assert [i.name for i in found] == [seen]
    assert upward(found) == found
