"""The calendars of a plan as they are at this moment: read again before each wave of a run
that is on its way.

Only the plan's `freeze` is read: variables that were given to the run are not known here,
and nothing else of the plan may change under a run.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from runner.loading.calendars import freezes_of
from runner.loading.files import check_inside, git_root, reader_beside
from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar
from runner.loading.source import Unreadable, read_source
from runner.loading.yaml_reader import parse
from runner.model.window import HORIZON, MAX_FREEZES, CurrentFreezes, join


def current_freezes(
    plan_file: str, plan_name: str, zone: str, folder: Path, now: datetime
) -> CurrentFreezes | None:
    """What the calendars close that the plan names now, from a moment on; `zone`: of days and
    times without one.

    None where that cannot be known here: `plan_file` (relative to `folder`) is no file of
    the checkout that `folder` lies in, it holds another plan, or the names of its calendars
    are templates. A plan or a calendar that is here and cannot be used is a problem, in
    words that quote nothing of it. Never raises.
    """
    root = git_root(folder)
    if not plan_file or "\0" in plan_file:
        return None
    path = folder / plan_file
    try:
        if not path.is_file() or not check_inside(path, root or folder):
            return None
    except (Unreadable, OSError):
        return None
    source, _ = read_source(path, plan_file)
    if source is None:
        return CurrentFreezes(problem="the plan's file cannot be read")
    findings = Findings(source)
    tree = parse(source, findings)
    if not isinstance(tree, MapNode) or not findings.is_clean:
        return CurrentFreezes(problem="the plan's file is no plan any more")
    name = tree.get("name")
    if not isinstance(name, Scalar) or (name.value != plan_name and not _is_template(name)):
        return None
    names = _names(tree.get("freeze"))
    if any(_is_template(n) for n in names):
        return None
    if len(names) > MAX_FREEZES or not all(
        isinstance(n, Scalar) and isinstance(n.value, str) and n.value for n in names
    ):
        return CurrentFreezes(problem="freeze does not name calendars")
    read = freezes_of(tree, reader_beside(path.parent, root), findings)
    problem = next((p.message for p in findings.problems() if p.severity == "error"), None)
    if problem is not None:
        return CurrentFreezes(problem=problem)
    try:
        closed = [
            f
            for file in read
            if file.calendar
            for f in file.calendar.closed(now, now + HORIZON, zone)
        ]
    except Exception:  # noqa: BLE001 - whatever the library says quotes the file
        return CurrentFreezes(problem="a calendar holds an event that cannot be understood")
    return CurrentFreezes(join(closed))


def _names(node: Node | None) -> tuple[Node, ...]:
    if node is None:
        return ()
    return node.items if isinstance(node, ListNode) else (node,)


def _is_template(node: Node) -> bool:
    return (
        isinstance(node, Scalar)
        and isinstance(node.value, str)
        and ("{{" in node.value or "{%" in node.value)
    )
