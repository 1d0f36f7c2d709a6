"""The dry-run as Markdown for a pull-request comment: the summary first, cut visibly where
space ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.errors import EXIT_WORDS, Exit
from runner.report.as_markdown import inline, sections_markdown, size
from runner.report.diff import PlanDiff, Selected, exit_code, summary
from runner.report.diff_sections import about_words, diff_sections, is_runnable
from runner.report.diff_since import SHORT, lift_words, lifts_words
from runner.report.run_words import count
from runner.report.sections import Emphasis

MAX_CHARACTERS = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""

_MORE_BELTS = "> - …"
"""How the alert's last line begins where it had to be cut: then nothing else is shown. No
escaped text begins so.
"""

_ROOM = 200
"""Kept free for saying how many plans are not shown."""


def _cut_words(left: int) -> str:
    return (
        f"\n_{count(left, 'more line')} cut here. The whole text is what <code>diff -o "
        f"text</code> prints._\n\n"
    )


_CUT = size(_cut_words(1_000_000))


def diff_markdown(
    diffs: Sequence[PlanDiff],
    limit: int = MAX_CHARACTERS,
    *,
    in_pull_request: bool = False,
    blocked: str = "",
    selected: Selected | None = None,
) -> str:
    """All plans in at most `limit` bytes of UTF-8 (2,000 or more).

    Each plan's heading and totals come first and are never cut while those of all plans
    fit; lifted belts, tables, exclusions and servers fill what is left in that order, plan
    by plan, and say where they were cut.

    `in_pull_request`: for a comment there. The totals are the first line, and the last ones
    say what applies the plans, what discards them and what plans again. `selected`: what a
    range of commits selected beside `diffs`. `blocked`: what must happen before a merge
    applies them.
    """
    tail = _selected(selected, bool(diffs), limit // 4)
    tail += _actions(diffs, inline(blocked, 1000)) if in_pull_request and diffs else ""
    spare = limit - _ROOM - size(tail)
    heads = []
    for diff in diffs:
        head = _head(diff, 0, in_pull_request)
        if size(head) + _CUT > spare:
            break
        spare -= size(head) + _CUT
        heads.append(head)
    out: list[str] = []
    for n, (diff, short) in enumerate(zip(diffs, heads, strict=False)):
        head = _head(diff, spare // (len(heads) - n), in_pull_request)
        spare -= size(head) - size(short)
        room = 0 if _MORE_BELTS in head else spare // (len(heads) - n)
        body = sections_markdown(
            diff_sections(diff, (*diff.errors, *diff.warnings)), room + _CUT, _cut_words
        )
        spare -= max(0, size(body) - _CUT)
        out += [head, body]
    if missing := diffs[len(heads) :]:
        code = exit_code(d.code for d in missing)
        more = count(len(missing), "more plan")
        out.append(
            f"… and {more}, not shown for lack of space (the gravest result: {EXIT_WORDS[code]}).\n"
        )
    return "".join([*out, tail])


def _head(diff: PlanDiff, room: int, in_pull_request: bool) -> str:
    """Heading, totals, how many belts are lifted, and the digest: what must never be cut.

    `room`: bytes for saying which belts.
    """
    schedule = diff.schedule
    file, totals = inline(diff.file, 200), inline(summary(diff), 500)
    name = inline(schedule.plan_name, 63) if schedule else file
    if in_pull_request:
        lines = [f"**{name}: {totals}**", ""]
    else:
        lines = [f"### {name} ({file})" if schedule else f"### {name}", "", f"**{totals}**", ""]
    lines += _caution(diff, room)
    if diff.failure is not None:
        lines += [inline(diff.failure, 1000), ""]
        lines += [f"Hint: {inline(diff.failure_hint, 500)}", ""] if diff.failure_hint else []
    if schedule:
        digest = inline(Emphasis(schedule.digest, "code"))
        lines += [f"{inline(about_words(diff, schedule), 1000)}<br>digest {digest}", ""]
    if is_runnable(diff) and not in_pull_request:
        lines += [f"To run exactly this: {inline(Emphasis(diff.command, 'code', 2000))}", ""]
    return "\n".join(lines) + "\n"


def _caution(diff: PlanDiff, room: int) -> Iterator[str]:
    """The lifted belts as an alert: how many always, which as far as there is room."""
    since = diff.since_base
    if since is None or not since.lifts:
        return
    yield "> [!CAUTION]"
    yield f"> **{inline(lifts_words(since), 100)}**"
    for n, lift in enumerate(since.lifts):
        line = f"> - {inline(lift_words(lift), 300)}"
        room -= size(line) + 1
        if room < 0:
            yield (
                f"{_MORE_BELTS} and {len(since.lifts) - n} more"
                if n
                else f"{_MORE_BELTS} (no room to say which)"
            )
            break
        yield line
    yield ""


def _selected(selected: Selected | None, has_plans: bool, room: int) -> str:
    """Plans of a range of commits that are not shown, or that had other names, in about
    `room` bytes.
    """
    if selected is None:
        return ""
    span = f"{inline(selected.base[:SHORT])} and {inline(selected.head[:SHORT])}"
    lines = [] if has_plans else [f"No plan changed between {span}, so nothing will run.\n"]
    told = [
        f"- {inline(path, 200)} was deleted: nothing of it will run.\n" for path in selected.deleted
    ]
    renamed = sorted(selected.renamed.items())
    told += [f"- {inline(new, 200)} was {inline(old, 200)} before.\n" for new, old in renamed]
    for n, line in enumerate(told):
        room -= size(line)
        if room < 0:
            lines.append(f"- … and {count(len(told) - n, 'more plan')} deleted or renamed\n")
            break
        lines.append(line)
    return "\n" + "".join(lines) if lines else ""


def _actions(diffs: Sequence[PlanDiff], blocked: str) -> str:
    """What applies the plans, what discards them, what plans again. `blocked`: what to do
    first, if there is any.
    """
    codes = {d.code for d in diffs}
    if blocked:
        applies = blocked
    elif codes <= {Exit.DONE}:
        applies = "merging restarts nothing."
    elif codes <= {Exit.DONE, Exit.CHANGES}:
        applies = "merge this pull request. What is shown here is then run, exactly so and once."
    else:
        applies = "mend what is wrong first; merged as it is, it is refused."
    return (
        f"\n---\n\n- **To apply:** {applies}\n- **To discard:** close this pull request.\n"
        "- **To plan again:** push a commit, or run this job again.\n"
    )
