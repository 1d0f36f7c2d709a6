"""`--changed` with real Git: which plans are looked at, which are only mentioned, and when
nothing may be concluded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runner.app.changed_plans import Selection, select
from runner.cli.main import cli
from runner.cli.options import changed_option
from runner.errors import Exit, UsageProblem
from runner.git.errors import NoRange
from tests.git.made import ENV, Made, plan

IDS = "ids_from: web.txt"
LAST = "HEAD~1..HEAD"


def chosen(
    made: Made,
    *paths: str,
    written: str = LAST,
    environ: Mapping[str, str] = ENV,
    cwd: str = "",
    shared: str = "",
) -> Selection:
    return select(
        [Path(p) for p in paths],
        written,
        environ,
        made.folder / cwd,
        shared=[Path(shared)] if shared else [],
    )


def names(selection: Selection) -> list[str]:
    return [path.as_posix() for path in selection.files]


def test_every_kind_of_change_has_its_place(made: Made) -> None:
    """Added, edited and renamed plans are selected, deleted ones listed, others counted,
    other files passed over.
    """
    texts = {n: plan(n) for n in ("mod", "gone", "old", "edit", "same", "off")}
    base = made.commit({f"plans/{n}.yaml": text for n, text in texts.items()})
    made.git("mv", "plans/old.yaml", "plans/sub-new.yaml")
    made.git("mv", "plans/edit.yaml", "plans/moved.yml")
    made.git("mv", "plans/off.yaml", "plans/off.yaml.txt")
    made.commit(
        {
            "plans/mod.yaml": texts["mod"] + "# more\n",
            "plans/gone.yaml": None,
            "plans/moved.yml": texts["edit"] + "# more\n",
            "plans/a/b/added.yaml": plan("added"),
            "plans/.hidden/x.yaml": plan("x"),
            "plans/reboot-runner.yaml": "version: 1\n",
            "plans/notes.txt": "x",
            "elsewhere/y.yaml": plan("y"),
        }
    )
    assert chosen(made) == Selection(
        files=[
            *(Path("plans/a/b/added.yaml"), Path("plans/mod.yaml")),
            *(Path("plans/moved.yml"), Path("plans/sub-new.yaml")),
        ],
        deleted=["plans/gone.yaml", "plans/off.yaml"],
        renamed={"plans/moved.yml": "plans/edit.yaml", "plans/sub-new.yaml": "plans/old.yaml"},
        unchanged=[Path("plans/same.yaml")],
        base=base,
        head=made.head,
        dirty=[],
        outside=["elsewhere/y.yaml"],
    )


def test_odd_names_are_selected(made: Made) -> None:
    """Blanks, quotes, line breaks, UTF-8 and dashes in names: each plan is found, and can
    be opened.
    """
    made.commit({"plans/keep.yaml": plan("keep")})
    odd = sorted([" a ", "q'\"", "new\nline", "grün", "-rf", "*", ":(top)", "a\\b"])
    made.commit({f"plans/{name}.yaml": plan("x", f"ids: [{i}]") for i, name in enumerate(odd)})
    found = chosen(made)
    assert names(found) == [f"plans/{name}.yaml" for name in odd]
    assert all((made.folder / path).is_file() for path in found.files)


def test_paths_come_out_as_they_were_written(made: Made) -> None:
    """From a subfolder, as a file, a folder or an absolute path: results are spelled like
    the argument.
    """
    made.commit(
        {"team/plans/a.yaml": plan("a"), "team/plans/b.yaml": plan("b"), "other/c.yaml": plan("c")}
    )
    made.commit(
        {
            "team/plans/a.yaml": plan("a") + "#\n",
            "team/plans/b.yaml": None,
            "other/c.yaml": plan("c") + "#\n",
        }
    )
    assert chosen(made, cwd="team").outside == ["../other/c.yaml"]
    assert names(chosen(made, cwd="team")) == ["plans/a.yaml"]
    assert names(chosen(made, "plans/a.yaml", "../other", cwd="team")) == [
        "../other/c.yaml",
        "plans/a.yaml",
    ]
    assert chosen(made, "team").outside == ["other/c.yaml"]
    assert chosen(made, "team/plans/a.yaml").outside == []
    assert names(chosen(made, ".")) == ["other/c.yaml", "team/plans/a.yaml"]
    assert names(chosen(made, str(made.folder / "other"))) == [str(made.folder / "other/c.yaml")]
    assert chosen(made, "plans/b.yaml", cwd="team").deleted == ["plans/b.yaml"]
    assert names(chosen(made, "team/plans/a.yaml", "team")) == ["team/plans/a.yaml"]


def test_nothing_changed_is_nothing(made: Made) -> None:
    """An empty result is empty, never everything; where no folder of plans is left,
    that is told.
    """
    made.commit({"plans/a.yaml": plan("a"), "README": "1"})
    made.commit({"README": "2"})
    assert (chosen(made).files, chosen(made).unchanged) == ([], [Path("plans/a.yaml")])
    made.commit({"plans/a.yaml": None})
    assert (chosen(made).files, chosen(made).deleted) == ([], ["plans/a.yaml"])
    made.commit({"README": "3"})
    with pytest.raises(UsageProblem, match="has no folder plans"):
        chosen(made)


def test_the_folder_is_that_of_the_repositorys_root(made: Made) -> None:
    """Wherever the command is started, and paths are written from there."""
    made.commit({"plans/a.yaml": plan("a"), "src/x": "1"})
    made.commit({"plans/a.yaml": plan("a") + "#\n"})
    assert names(chosen(made, cwd="src")) == ["../plans/a.yaml"]
    assert names(chosen(made, cwd="plans")) == ["a.yaml"]


@pytest.mark.parametrize("folder", ["reboots", "team/plans", "."])
def test_a_plan_that_changed_elsewhere_is_never_nothing(made: Made, folder: str) -> None:
    """Without the folder, and beside it: a usage error that names the file; by its own
    folder it is found.
    """
    made.commit({"README": "1"})
    text = plan("a", "names: ['\u00fc']")
    made.commit({f"{folder}/a.yaml": text, "compose.yaml": "version: 1\nservices: {groups: x}\n"})
    with pytest.raises(UsageProblem, match="has no folder plans"):
        chosen(made)
    made.commit({"plans/b.yaml": plan("b")})
    made.commit({f"{folder}/a.yaml": text + "#\n"})
    with pytest.raises(UsageProblem, match=r"a\.yaml changed, which looks like a plan") as caught:
        chosen(made)
    assert caught.value.exit_code == Exit.USAGE
    assert [path.name for path in chosen(made, folder).files] == ["a.yaml"]
    assert chosen(made, "plans").files == []


def test_a_copied_plan_keeps_no_name(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """`validate`, `diff` and `run` with `--changed` warn of the name of a plan that did not
    change, at the copy.
    """
    made.commit({"plans/b.yaml": plan("web")})
    made.commit({"plans/a.yaml": plan("web") + "# copied\n"})
    monkeypatch.chdir(made.folder)
    done = CliRunner().invoke(cli, ["validate", "--changed", LAST, "-o", "json"])
    problems = [
        (p["code"], p["file"])
        for p in json.loads(done.stdout)["problems"]
        if p["code"] == "SamePlanName"
    ]
    assert (done.exit_code, problems) == (0, [("SamePlanName", "plans/a.yaml")])
    done = CliRunner().invoke(cli, ["diff", "--changed", LAST, "-o", "json"])
    (shown,) = json.loads(done.stdout)["plans"]
    assert [p["file"] for p in shown["problems"] if p["code"] == "SamePlanName"] == ["plans/a.yaml"]
    done = CliRunner().invoke(cli, ["run", "--changed", LAST, "--yes"])
    assert 'warning: plans/a.yaml: the name "web" is also that of plans/b.yaml' in " ".join(
        done.stderr.split()
    )


def test_a_file_that_a_plan_names_changes_the_plan(made: Made) -> None:
    """Lists of ids count: in the folder, above it, through links, deleted; plans that name
    others are not concerned.
    """
    made.write("lists/real.txt", "id-1\n")
    (made.folder / "plans").mkdir()
    (made.folder / "plans" / "link.txt").symlink_to("../lists/real.txt")
    made.commit(
        {
            "plans/web.txt": "id-1\n",
            "plans/a.yaml": plan("a", IDS),
            "plans/b.yaml": plan("b", "ids_from: other.txt"),
            "plans/c.yaml": plan("c", "ids_from: ./../lists/./up.txt"),
            "plans/d.yaml": plan("d", "ids_from: link.txt"),
            "lists/up.txt": "id-1\n",
        }
    )
    made.commit({"plans/web.txt": "id-2\n"})
    assert names(chosen(made)) == ["plans/a.yaml"]
    made.commit({"plans/web.txt": None, "lists/up.txt": "id-2\n"})
    assert names(chosen(made)) == ["plans/a.yaml", "plans/c.yaml"]
    made.commit({"lists/real.txt": "id-2\n"})
    assert names(chosen(made)) == ["plans/d.yaml"]
    (made.folder / "plans" / "link.txt").unlink()
    (made.folder / "plans" / "link.txt").symlink_to("../lists/up.txt")
    made.commit()
    assert names(chosen(made)) == ["plans/d.yaml"]


def test_a_linked_folder_on_the_way_to_a_named_file_counts(made: Made) -> None:
    """When a link to a folder is bent, plans that name files through it have changed; so
    when the file there did.
    """
    link = made.folder / "current"
    link.symlink_to("one")
    named = plan("a", "ids_from: ../current/web.txt")
    made.commit(
        {"plans/a.yaml": named, "plans/b.yaml": plan("b"), "one/web.txt": "1", "two/web.txt": "2"}
    )
    link.unlink()
    link.symlink_to("two")
    made.commit()
    assert names(chosen(made)) == ["plans/a.yaml"]
    made.commit({"one/web.txt": "3"})
    assert names(chosen(made)) == []
    made.commit({"two/web.txt": "3"})
    assert names(chosen(made)) == ["plans/a.yaml"]


@pytest.mark.parametrize(
    "servers",
    [
        'ids_from: "{{ item }}.txt"',
        'ids_from: "lists/{{ vars.which }}"',
    ],
)
def test_templates_that_name_files_make_any_file_count(made: Made, servers: str) -> None:
    """What a template names is not known here, so any changed file that is no plan selects
    the plan; plans do not.
    """
    made.commit({"plans/a.yaml": plan("a", servers), "plans/b.yaml": plan("b"), "x/y.txt": "1"})
    made.commit({"plans/b.yaml": plan("b") + "#\n"})
    assert names(chosen(made)) == ["plans/b.yaml"]
    made.commit({"x/y.txt": "2"})
    assert names(chosen(made)) == ["plans/a.yaml"]


def test_templates_that_are_selectors_count_too(made: Made) -> None:
    """A selector, or a group, that is itself a template can name any file; other templates
    name none.
    """
    group = "  - name: g\n    waves: [1]\n    servers: "
    texts = {
        "selector": group + '"{{ vars.chosen }}"\n',
        "group": '  - "{{ vars.group }}"\n',
        "tag": group + '{tags: {env: "{{ vars.env }}"}}\n',
    }
    made.commit(
        {f"plans/{n}.yaml": f"version: 1\nname: {n}\ngroups:\n{text}" for n, text in texts.items()}
    )
    made.commit({"README": "2"})
    assert names(chosen(made)) == ["plans/group.yaml", "plans/selector.yaml"]


def test_variables_of_all_plans_change_all_plans(made: Made) -> None:
    """A file given with --vars-file belongs to every plan."""
    made.commit({"plans/a.yaml": plan("a"), "plans/b.yaml": plan("b"), "vars.yaml": "x: 1\n"})
    made.commit({"vars.yaml": "x: 2\n"})
    assert names(chosen(made)) == []
    assert names(chosen(made, shared="vars.yaml")) == ["plans/a.yaml", "plans/b.yaml"]


def test_a_linked_plan_changes_with_what_it_leads_to(made: Made) -> None:
    """A plan that is a link has changed when the link did or its target; names are
    beside the link.
    """
    (made.folder / "plans").mkdir()
    (made.folder / "plans" / "web.yaml").symlink_to("../shared/web.yaml")
    made.commit(
        {
            "shared/web.yaml": plan("web", IDS),
            "shared/two.yaml": plan("two"),
            "plans/web.txt": "id-1\n",
        }
    )
    made.commit({"shared/web.yaml": plan("web", IDS) + "#\n"})
    assert names(chosen(made)) == ["plans/web.yaml"]
    made.commit({"plans/web.txt": "id-2\n"})
    assert names(chosen(made)) == ["plans/web.yaml"]
    (made.folder / "plans" / "web.yaml").unlink()
    (made.folder / "plans" / "web.yaml").symlink_to("../shared/two.yaml")
    made.commit()
    assert names(chosen(made)) == ["plans/web.yaml"]
    made.commit({"shared/web.yaml": plan("web")})
    assert names(chosen(made, "plans")) == []


def test_the_ranges_end_must_be_checked_out(made: Made) -> None:
    """A range that ends elsewhere is fine while its plans are the same here, else a usage
    error: others would run.
    """
    made.commit({"plans/a.yaml": plan("a", IDS), "plans/b.yaml": plan("b"), "plans/web.txt": "1"})
    made.commit({"plans/a.yaml": plan("a", IDS) + "# 1\n"})
    made.commit({"plans/b.yaml": plan("b") + "# 1\n"})
    assert names(chosen(made, written="HEAD~2..HEAD~1")) == ["plans/a.yaml"]
    made.commit({"plans/web.txt": "2"})
    with pytest.raises(
        UsageProblem, match=r"plans/a\.yaml or a file it names is different"
    ) as caught:
        chosen(made, written="HEAD~3..HEAD~2")
    assert "check out" in (caught.value.hint or "")
    assert names(chosen(made, written="HEAD~2..HEAD~1")) == ["plans/b.yaml"]
    made.commit({"plans/b.yaml": None})
    with pytest.raises(UsageProblem, match=r"plans/b\.yaml"):
        chosen(made, written="HEAD~3..HEAD~2")


def test_what_a_plan_named_at_the_ranges_end_counts(made: Made) -> None:
    """A plan that names another file by now is judged by what it named then, too."""
    made.commit({"plans/a.yaml": plan("a", IDS), "plans/web.txt": "1"})
    made.commit({"plans/web.txt": "2"})
    made.write("plans/a.yaml", plan("a"))
    assert names(chosen(made)) == ["plans/a.yaml"]
    made.commit()
    with pytest.raises(UsageProblem, match="is different"):
        chosen(made, written="HEAD~2..HEAD~1")


def test_uncommitted_work_is_reported(made: Made) -> None:
    """Plans and their files that differ from what is committed are told; a plan nobody
    committed is not selected.
    """
    made.commit(
        {
            "plans/a.yaml": plan("a", "ids_from: ../web.txt"),
            "plans/b.yaml": plan("b"),
            "web.txt": "1",
        }
    )
    made.commit({"plans/a.yaml": plan("a", "ids_from: ../web.txt") + "#\n"})
    made.write("plans/b.yaml", "dirty")
    made.write("plans/new.yaml", plan("new", "ids_from: ../web.txt"))
    made.write("web.txt", "2")
    made.write("notes.txt", "2")
    found = chosen(made)
    assert (names(found), found.unchanged) == (["plans/a.yaml"], [Path("plans/b.yaml")])
    assert found.dirty == ["plans/b.yaml", "plans/new.yaml", "web.txt"]


@pytest.mark.parametrize(
    ("path", "said"), [("none.yaml", "no file or folder"), ("../x.yaml", "not in the repository")]
)
def test_paths_that_mean_nothing_are_refused(still: Made, path: str, said: str) -> None:
    """A mistyped path is a usage error, not an empty result."""
    with pytest.raises(UsageProblem, match=said) as caught:
        chosen(still, path, written="HEAD..HEAD")
    assert caught.value.exit_code == Exit.USAGE


def test_the_event_gives_the_range(made: Made, tmp_path: Path) -> None:
    """In Actions `--changed` alone is the event's range; a forced push and a missing event
    are usage errors.
    """
    before = made.commit({"plans/a.yaml": plan("a"), "plans/b.yaml": plan("b")})
    after = made.commit({"plans/b.yaml": plan("b") + "#\n"})
    event = tmp_path / "event.json"
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
    }
    event.write_text(json.dumps({"before": before, "after": after, "forced": False}))
    found = chosen(made, written="", environ=ENV | actions)
    assert (names(found), found.base, found.head) == (["plans/b.yaml"], before, after)
    event.write_text(json.dumps({"before": before, "after": after, "forced": True}))
    with pytest.raises(NoRange, match="forced"):
        chosen(made, written="", environ=ENV | actions)
    with pytest.raises(UsageProblem, match="there is none"):
        chosen(made, written="")


def test_a_broken_plan_is_selected_by_its_own_change(made: Made) -> None:
    """Plans that are not YAML, not text or endless do not stop the selection of the others."""
    made.commit(
        {"plans/a.yaml": plan("a", IDS), "plans/bad.yaml": "[", "plans/deep.yaml": "[" * 9999}
    )
    (made.folder / "plans" / "latin.yaml").write_bytes(b"name: \xe9\n")
    (made.folder / "plans" / "out.yaml").symlink_to("/dev/zero")
    made.commit({"plans/web.txt": "1"})
    assert names(chosen(made)) == ["plans/a.yaml", "plans/latin.yaml", "plans/out.yaml"]


@pytest.mark.parametrize(
    ("line", "changed", "plans"),
    [
        ("plans", None, ("plans",)),
        ("plans --changed", "", ("plans",)),
        ("--changed a..b plans", "a..b", ("plans",)),
        ("--changed=a..b plans", "a..b", ("plans",)),
        ("--changed= plans", "", ("plans",)),
        ("--changed -- plans", "", ("plans",)),
        ("--changed --yes plans", "", ("plans",)),
        ("--changed plans", "plans", ()),
    ],
)
def test_the_option_stands_alone_or_with_a_range(
    line: str, changed: str | None, plans: tuple[str, ...]
) -> None:
    """Not given, given alone, given with a range: three things that the command can tell apart."""
    seen: list[object] = []

    @click.command()
    @click.argument("plans", nargs=-1)
    @click.option("--yes", is_flag=True)
    @changed_option
    def command(plans: tuple[str, ...], yes: bool, changed: str | None) -> None:
        seen.extend([changed, plans])

    done = CliRunner().invoke(command, line.split())
    assert done.exit_code == 0, done.output
    assert seen == [changed, plans]
