"""Loading plans: digests, id lists, places in the file, and files that lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.errors import InvalidInput
from runner.loading.plan import Loaded, LoadOptions, load_plan, load_text, plan_digest, require
from runner.model.plan import MAX_IDS, Plan
from runner.model.problem import Problem

PLAN = """\
version: 1
name: web
groups:
  - name: a
    servers: {tags: {role: web}}
    waves: [1, 10%]
"""
A1, B2 = "5b919bd2-e315-41d0-850d-a15cb5a686a1", "5b919bd2-e315-41d0-850d-a15cb5a686b2"
FROM_FILE = "version: 1\nname: p\ngroups: [{name: a, servers: {ids_from: ids.txt}, waves: 1}]\n"


def load(text: str) -> Plan:
    return require(load_text(text, "plan.yaml"))


def repository(folder: Path) -> Path:
    (folder / ".git").mkdir()
    (folder / "plans").mkdir()
    return folder / "plans"


def codes(loaded: Loaded) -> list[str]:
    return [p.code for p in loaded.problems]


# digests


@pytest.mark.parametrize(
    "same",
    [
        "# another comment\n" + PLAN,
        PLAN.replace("version: 1\nname: web\n", "name: 'web'\nversion: 1\n"),
        PLAN + "    pause: 0s\n    on_failure: stop\n",
        PLAN.replace("{role: web}", "{role: [web]}"),
        PLAN + "description: for people\nlabels: {a: b}\nvars: {x: y}\ncycle: web\n",
        PLAN.replace("role: web", 'role: "{{ vars.r }}"') + "vars: {r: web}\n",
    ],
)
def test_digest_ignores_how_a_plan_is_written(same: str) -> None:
    """Comments, order of keys, quotes, written defaults, free text and templates do not
    change the digest.
    """
    assert plan_digest(load(same)) == plan_digest(load(PLAN))


@pytest.mark.parametrize(
    "other",
    [
        PLAN.replace("10%", "11%"),
        PLAN.replace("role: web", "role: api"),
        PLAN.replace("name: a", "name: b"),
        PLAN.replace("name: web", "name: web2"),
        PLAN + "cycle: again\n",
        PLAN + "reboot: {type: HARD}\n",
        PLAN + "target: other\n",
        PLAN + "    bake: 1ms\n",
        PLAN.replace("[1, 10%]", "[10%, 1]"),
    ],
)
def test_digest_changes_with_what_a_plan_does(other: str) -> None:
    """Whatever changes which servers go down, or when, changes the digest."""
    assert plan_digest(load(other)) != plan_digest(load(PLAN))


def test_digest_is_stable() -> None:
    """The digest of a plan is the same on every machine and in every later version that
    means the same.
    """
    assert (
        plan_digest(load(PLAN))
        == "sha256:5253a797dc88d7cfb55dc87e1111ee6d68507f09aebf92d4b057a7569aa04dc0"
    )


def test_digest_does_not_depend_on_the_file_name(tmp_path: Path) -> None:
    """A renamed file is the same plan; `source` tells its bytes apart."""
    (tmp_path / "a.yaml").write_text(PLAN)
    (tmp_path / "b.yml").write_text(PLAN + "# changed\n")
    one, two = load_plan(tmp_path / "a.yaml"), load_plan(tmp_path / "b.yml")
    assert plan_digest(require(one)) == plan_digest(require(two))
    assert one.source is not None
    assert two.source is not None
    assert one.source.digest != two.source.digest


# ids_from


def test_ids_of_a_file_become_ids(tmp_path: Path) -> None:
    """Ids are read one a line, each once and in order; the digest covers them and not the
    file's name.
    """
    folder = repository(tmp_path)
    (folder / "ids.txt").write_text(
        f"\ufeff# servers\r\n{B2}\r\n\r\n  {A1.upper()}  # first\r\n{B2}\r\n"
    )
    (folder / "p.yaml").write_text(FROM_FILE)
    plan = require(load_plan(folder / "p.yaml"))
    assert plan.groups[0].servers.ids == (B2, A1)
    assert plan.groups[0].servers.ids_from is None
    written = load(FROM_FILE.replace("ids_from: ids.txt", f"ids: [{B2}, {A1}]"))
    assert plan_digest(plan) == plan_digest(written)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            f"{A1}\nhunter2 is no id\n".encode(),
            "BadIdList",
            "line 2 of the file is not a server id",
        ),
        (b"", "BadIdList", "no id"),
        (b"# nothing\n\n", "BadIdList", "no id"),
        (b"a\n\xe9\n", "BadIdList", "UTF-8 text in line 2"),
        (b"a\x00b\n", "BadIdList", "line 1"),
        (b"x" * 65, "BadIdList", "line 1"),
        (b"".join(b"%032x\n" % n for n in range(MAX_IDS + 1)), "BadIdList", "more than"),
        (b"#" * (17 << 20), "TooLarge", "16 MiB"),
    ],
    ids=range(8),
)
def test_bad_id_files_are_told_without_their_content(
    tmp_path: Path, content: bytes, code: str, message: str
) -> None:
    """What is wrong with a file of ids is said at the plan's line, and nothing of the file
    is quoted.
    """
    folder = repository(tmp_path)
    (folder / "ids.txt").write_bytes(content)
    (folder / "p.yaml").write_text(FROM_FILE)
    (problem,) = load_plan(folder / "p.yaml").problems
    assert problem.code == code
    assert message in problem.message
    assert problem.location is not None
    assert problem.location.line == 3
    assert "hunter2" not in repr(problem)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/etc/passwd", "OutsideRepository"),
        ("../../outside.txt", "OutsideRepository"),
        ("link-outside.txt", "OutsideRepository"),
        ("../.git/config", "OutsideRepository"),
        ("link-git.txt", "OutsideRepository"),
        ("folder", "Unreadable"),
        ("pipe", "Unreadable"),
        ("loop", "Unreadable"),
        ("missing.txt", "Unreadable"),
        ("../../no-such-file-out-there", "OutsideRepository"),
        ("x" * 5000, "Unreadable"),
    ],
)
def test_named_files_stay_in_the_repository(tmp_path: Path, name: str, code: str) -> None:
    """Absolute paths, ways out, links out, `.git`, pipes and folders are refused, and
    nothing hangs.
    """
    (tmp_path / "outside.txt").write_text(f"{A1}\n")
    (tmp_path / "repo").mkdir()
    folder = repository(tmp_path / "repo")
    (folder.parent / ".git" / "config").write_text(f"{A1}\n")
    (folder / "link-outside.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "link-git.txt").symlink_to("../.git/config")
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    loaded = load_text(FROM_FILE.replace("ids.txt", name), str(folder / "p.yaml"))
    assert codes(loaded) == [code]


def test_links_inside_the_repository_are_followed(tmp_path: Path) -> None:
    """A link to another file of the repository is a file like any other."""
    folder = repository(tmp_path)
    (tmp_path / "all.txt").write_text(f"{A1}\n")
    (folder / "ids.txt").symlink_to("../all.txt")
    (folder / "p.yaml").write_text(FROM_FILE)
    assert require(load_plan(folder / "p.yaml")).groups[0].servers.ids == (A1,)


def test_without_a_repository_the_folder_is_the_border(tmp_path: Path) -> None:
    """Where there is no repository, files beside the plan are read and others are not."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "ids.txt").write_text(f"{A1}\n")
    (tmp_path / "ids.txt").write_text(f"{A1}\n")
    assert codes(load_text(FROM_FILE, str(inside / "p.yaml"))) == []
    above = FROM_FILE.replace("ids.txt", "../ids.txt")
    assert codes(load_text(above, str(inside / "p.yaml"))) == ["OutsideRepository"]


def test_another_revision_gives_its_own_files() -> None:
    """A plan of another revision reads the lists of that revision."""
    options = LoadOptions(files={"ids.txt": f"{A1}\n".encode()}.__getitem__)
    assert require(load_text(FROM_FILE, "p.yaml", options)).groups[0].servers.ids == (A1,)


def test_id_lists_are_not_multiplied_without_end(tmp_path: Path) -> None:
    """A long list in a thousand groups is refused, and its file is read once."""
    reads: list[str] = []

    def files(name: str) -> bytes:
        reads.append(name)
        return b"".join(b"%032x\n" % n for n in range(100_000))

    text = FROM_FILE.replace("name: a", f"name: 'a{{{{ item }}}}', for_each: {list(range(900))}")
    assert codes(load_text(text, "p.yaml", LoadOptions(files=files))) == ["TooLarge"]
    assert reads == ["ids.txt"]


# the plan's own file


def test_unreadable_plans_are_problems(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, a file that is too large: each is one problem, none
    an exception.
    """
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    expected = {
        "none.yaml": "Unreadable",
        ".": "Unreadable",
        "pipe.yaml": "Unreadable",
        "large.yaml": "TooLarge",
    }
    for name, code in expected.items():
        assert codes(load_plan(tmp_path / name)) == [code]


def test_a_plan_that_is_a_link_out_of_the_repository_is_not_shown(tmp_path: Path) -> None:
    """A pull request cannot make us print files of the machine by committing links to them."""
    (tmp_path / "secret").write_text("password hunter2\n")
    (tmp_path / "repo").mkdir()
    folder = repository(tmp_path / "repo")
    (folder.parent / ".git" / "config").write_text("token = hunter2\n")
    (folder / "out.yaml").symlink_to(tmp_path / "secret")
    (folder / "git.yaml").symlink_to("../.git/config")
    for name in ("out.yaml", "git.yaml"):
        loaded = load_plan(folder / name)
        assert codes(loaded) == ["OutsideRepository"]
        assert "hunter2" not in repr(loaded)


def test_lines_that_may_hold_a_credential_are_not_shown() -> None:
    """An excerpt never repeats a line with what looks like a password."""
    loaded = load_text(
        PLAN + "password: hunter2\nlabel: postgres://me:hunter2@host/x\n", "plan.yaml"
    )
    assert codes(loaded) == ["UnknownKey", "UnknownKey"]
    assert not any("hunter2" in p.excerpt + p.message + str(p.hint) for p in loaded.problems)


# afterwards


def test_later_problems_find_their_place() -> None:
    """A problem with only a path is given line, excerpt and item, also in groups that
    for_each made.
    """
    text = PLAN.replace("name: a\n", "name: '{{ item }}'\n    for_each: [x, y]\n")
    loaded = load_text(text, "plan.yaml")
    placed = loaded.place(Problem("Overlap", "overlaps", path=("groups", 1, "servers", "tags")))
    assert placed.location is not None
    assert (placed.location.file, placed.location.line, placed.location.column) == (
        "plan.yaml",
        6,
        21,
    )
    assert placed.message == 'overlaps (for item "y")'
    assert placed.excerpt.strip() == "servers: {tags: {role: web}}"
    nearest = loaded.place(Problem("X", "x", path=("groups", 0, "pause", 3)))
    assert nearest.location is not None
    assert nearest.location.line == 4


def test_require_raises_with_every_problem() -> None:
    """Whoever needs a plan gets it, or one error that holds all problems in order."""
    with pytest.raises(InvalidInput) as caught:
        load(PLAN.replace("10%", "0%") + "nope: 1\n")
    assert [p.code for p in caught.value.problems] == ["BadValue", "UnknownKey"]
    assert caught.value.exit_code == 3
