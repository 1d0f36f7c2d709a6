"""Other revisions of real repositories: commits, files, differences, and what a clone lacks."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runner.errors import Exit
from runner.git import program
from runner.git.changes import Change
from runner.git.errors import GitError, MissingHistory, NoRepository, NotReadable, UnknownRevision
from runner.git.program import Program
from runner.git.ranges import Range, parse_range
from runner.git.repository import Repository
from tests.git.made import ENV, Made, plan

ODD = [
    " lead and trail ",
    "quo\"te's",
    "new\nline",
    "tab\there",
    "grün-名前",
    "-rf",
    "star*[a]",
    "back\\slash",
    ":(top)x",
]


def test_odd_names_are_read_exactly(made: Made) -> None:
    """Names with blanks, quotes, line breaks, UTF-8, dashes and pathspec characters:
    listed, differing and read.
    """
    base = made.commit({"keep": "1"})
    head = made.commit({f"{name}/{name}.yaml": name for name in ODD})
    repository = made.repository
    paths = sorted(f"{name}/{name}.yaml" for name in ODD)
    assert repository.changes(base, head) == [
        Change("added", path) for path in sorted(paths, key=os.fsencode)
    ]
    assert repository.files(head) == sorted(["keep", *paths])
    assert [repository.files(head, name) for name in ODD] == [
        [f"{name}/{name}.yaml"] for name in ODD
    ]
    assert [repository.read(head, f"{name}/{name}.yaml") for name in ODD] == [
        name.encode() for name in ODD
    ]


def test_names_that_are_not_utf8_survive(made: Made) -> None:
    """A name in another encoding comes out as the file system writes it, so it can be
    opened and read.
    """
    base = made.commit({"keep": "1"})
    name = os.fsdecode(b"caf\xe9.yaml")
    head = made.commit({name: "x"})
    assert made.repository.changes(base, head) == [Change("added", name)]
    assert made.repository.read(head, name) == b"x"


def test_each_kind_of_change_is_told(made: Made) -> None:
    """Added, modified, renamed (with its similarity), deleted; a copy is an addition,
    another type a modification.
    """
    text = plan("a") * 3
    base = made.commit(
        {"mod": "1", "gone": "1", "old": text, "edited": text + "b", "typed": "1", "same": text * 2}
    )
    (made.folder / "typed").unlink()
    (made.folder / "typed").symlink_to("same")
    made.git("mv", "old", "new")
    made.git("mv", "edited", "moved")
    made.git("config", "diff.renames", "copies")
    head = made.commit(
        {"mod": "2", "gone": None, "moved": text + "c", "more": "z", "copy": text * 2}
    )
    moved = next(c for c in made.repository.changes(base, head) if c.path == "moved")
    assert 80 <= (moved.similarity or 0) < 100
    assert set(made.repository.changes(base, head)) == {
        Change("modified", "mod"),
        Change("modified", "typed"),
        Change("deleted", "gone"),
        Change("added", "more"),
        Change("added", "copy"),
        Change("renamed", "new", "old", 100),
        Change("renamed", "moved", "edited", moved.similarity),
    }


def test_revisions_are_resolved_to_commits(made: Made) -> None:
    """Branches, tags and expressions give the full id of a commit."""
    first = made.commit({"a": "1"})
    made.git("tag", "--annotate", "--message=x", "v1")
    second = made.commit({"a": "2"})
    repository = made.repository
    assert [repository.resolve(r) for r in ("v1", "HEAD~1", "main", second[:10])] == [
        first,
        first,
        second,
        second,
    ]


@pytest.mark.parametrize(
    "revision",
    [
        "--output=pwned",
        "-h",
        "nope",
        "",
        "HEAD:a",
        "HEAD^{tree}",
        "main..HEAD",
        "a\nb",
        "HEAD\0",
        "0" * 40,
    ],
)
def test_what_is_no_commit_is_refused(still: Made, revision: str) -> None:
    """A revision that begins like an option, does not exist or is no single commit: usage
    error, nothing is run.
    """
    with pytest.raises(UnknownRevision) as caught:
        still.repository.resolve(revision)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint
    assert not (still.folder / "pwned").exists()


def test_only_regular_files_of_a_reasonable_size_are_read(made: Made, tmp_path: Path) -> None:
    """Links, folders, submodules and large files are refused by name; a file that is not
    there is None.
    """
    Made.new(tmp_path / "other").commit({"x": "1"})
    made.git("submodule", "--quiet", "add", f"file://{tmp_path / 'other'}", "sub")
    made.write("folder/big", "x" * 2048)
    (made.folder / "link").symlink_to("/etc/passwd")
    head = made.commit()
    read = made.repository.read
    assert read(head, "folder/none") is None
    assert read(head, "folder/big", limit=2048) == b"x" * 2048
    for path, said in {
        "link": "symbolic link",
        "sub": "submodule",
        "folder": "folder",
        "folder/big": "larger",
    }.items():
        with pytest.raises(NotReadable, match=said):
            read(head, path, limit=2047)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "..", ".", "", "a//b", "a\0b"]
)
def test_paths_that_lead_out_are_refused(still: Made, path: str) -> None:
    """A path that is not plainly inside the repository is refused before Git is asked."""
    with pytest.raises(NotReadable, match="no path inside"):
        still.repository.read("HEAD", path)


def test_the_repository_is_found_from_below_and_through_links(made: Made, tmp_path: Path) -> None:
    """Any folder inside finds the root; paths on disk get their names in it; links at the
    end of a path stay.
    """
    made.commit({"plans/a.yaml": "1", "real.yaml": "1"})
    (tmp_path / "way").symlink_to(made.folder / "plans")
    (made.folder / "plans" / "l.yaml").symlink_to("../real.yaml")
    repository = Repository.find(tmp_path / "way", ENV)
    assert repository == made.repository
    assert repository.path_of(tmp_path / "way" / "a.yaml") == "plans/a.yaml"
    assert repository.path_of(made.folder / "plans" / ".." / "plans" / "l.yaml") == "plans/l.yaml"
    assert repository.path_of(tmp_path / "elsewhere") is None


def test_without_a_repository_or_without_git_there_is_a_way_out(tmp_path: Path) -> None:
    """No repository, no folder, no program: each is an error that says how to mend it."""
    for start, environ, said in (
        (tmp_path, {**ENV, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}, "no Git repository"),
        (tmp_path / "none", ENV, "no Git repository"),
        (tmp_path, {**ENV, "PATH": ""}, "not on PATH"),
        (tmp_path, {**ENV, "PATH": str(tmp_path)}, "not on PATH"),
    ):
        with pytest.raises(NoRepository, match=said) as caught:
            Repository.find(start, environ)
        assert caught.value.hint


def test_a_program_of_the_checkout_is_never_run(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file `git` in the folder we are in is not taken for Git, though `PATH` has an empty
    or relative part.
    """
    made.write("git", "#!/bin/sh\ntouch sprung\n").chmod(0o755)
    monkeypatch.chdir(made.folder)
    for path in (":", ".", f".:{ENV['PATH']}"):
        try:
            Repository.find(made.folder, {**ENV, "PATH": path})
        except NoRepository:
            assert path in (":", ".")
    assert not (made.folder / "sprung").exists()


def test_an_empty_repository_has_no_head(made: Made) -> None:
    """Before the first commit HEAD is no commit."""
    with pytest.raises(UnknownRevision):
        made.repository.resolve("HEAD")


def test_a_surrounding_git_command_does_not_redirect_us(made: Made, tmp_path: Path) -> None:
    """Variables that a hook is called with (GIT_DIR, GIT_INDEX_FILE, an external diff) do
    not reach our calls.
    """
    base = made.commit({"a": "1"})
    head = made.commit({"a": "2"})
    other = Made.new(tmp_path / "other")
    hook = {
        "GIT_DIR": str(other.folder / ".git"),
        "GIT_INDEX_FILE": "/none",
        "GIT_EXTERNAL_DIFF": "false",
    }
    repository = Repository.find(made.folder, {**ENV, **hook})
    assert repository.root == made.folder
    assert repository.resolve("HEAD") == head
    assert repository.changes(base, head) == [Change("modified", "a")]
    assert repository.uncommitted() == set()


def test_nothing_of_the_repository_is_executed(made: Made, tmp_path: Path) -> None:
    """Hooks, textconv, external diffs and file monitors of a repository's settings are not
    started by our questions.
    """
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0" >> {tmp_path / "sprung"}\nexit 1\n')
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    base = made.commit({"a": "1", ".gitattributes": "* diff=trap\n"})
    head = made.commit({"a": "2"})
    for name in (
        "core.fsmonitor",
        "diff.trap.textconv",
        "diff.trap.command",
        "diff.external",
        "core.pager",
    ):
        made.git("config", name, str(trap))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction"):
        (hooks / name).symlink_to(trap)
    made.git("config", "core.hooksPath", str(hooks))
    (tmp_path / "sprung").unlink(missing_ok=True)
    made.write("a", "3")
    repository = made.repository
    assert repository.changes(base, head) == [Change("modified", "a")]
    assert repository.uncommitted() == {"a"}
    assert repository.read(base, "a") == b"1"
    assert not (tmp_path / "sprung").exists()


def test_what_is_not_committed_is_told(made: Made) -> None:
    """Modified, staged, removed and new files are uncommitted; ignored ones are not."""
    made.commit({"a": "1", "b": "1", "c": "1", "d": "1", ".gitignore": "*.tmp\n"})
    made.write("a", "2")
    made.write("b", "2")
    made.git("add", "b")
    (made.folder / "c").unlink()
    made.write("new folder/e", "1")
    made.write("f.tmp", "1")
    assert made.repository.uncommitted() == {"a", "b", "c", "new folder/e"}


def test_a_missing_commit_is_fetched_alone(made: Made, tmp_path: Path) -> None:
    """A shallow clone gets one commit by its id from its remote, and knows its parents
    before it has them.
    """
    first = made.commit({"a": "1"})
    second = made.commit({"a": "2"})
    made.git("config", "uploadpack.allowReachableSHA1InWant", "true")
    repository = made.clone(tmp_path / "clone", "--depth=1").repository
    assert not repository.has(first)
    assert repository.parents("HEAD") == (first,)
    assert repository.ensure(first) == first
    assert repository.has(first)
    assert repository.read(first, "a") == b"1"
    assert repository.changes(first, second) == [Change("modified", "a")]


def test_a_complete_clone_stays_complete(made: Made, tmp_path: Path) -> None:
    """A commit that only the remote has is fetched with its history, so ancestors can be found."""
    first = made.commit({"a": "1"})
    clone = made.clone(tmp_path / "clone")
    made.commit({"a": "2"})
    third = made.commit({"a": "3"})
    made.commit({"a": "4"})
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone.repository.ensure(third)
    assert clone.repository.merge_base(third, "HEAD") == first
    assert clone.git("rev-parse", "--is-shallow-repository") == "false"


def test_a_server_that_refuses_is_a_clear_error(made: Made, tmp_path: Path) -> None:
    """A commit that the remote does not give: which, from where, and how to check out with
    all history.
    """
    first = made.commit({"a": "1"})
    made.commit({"a": "2"})
    clone = made.clone(tmp_path / "clone", "--depth=1")
    clone.git("config", "protocol.version", "0")
    made.git("config", "uploadpack.allowAnySHA1InWant", "false")
    with pytest.raises(
        MissingHistory, match=f"{first[:12]} is not in this clone, and origin does not give"
    ) as caught:
        clone.repository.ensure(first)
    assert "fetch-depth: 0" in (caught.value.hint or "")
    made.git("checkout", "--quiet", "--orphan", "alone")
    alone = made.commit()
    with pytest.raises(MissingHistory, match="no common ancestor"):
        made.repository.merge_base(alone, first)


def test_without_a_remote_nothing_can_be_fetched(made: Made) -> None:
    """A clone without a remote says so; what is no full id never reaches a remote."""
    made.commit({"a": "1"})
    with pytest.raises(MissingHistory, match="no remote"):
        made.repository.ensure("1" * 40)
    with pytest.raises(UnknownRevision):
        made.repository.fetch("--upload-pack=false")


def test_the_branchs_own_remote_is_asked(made: Made, tmp_path: Path) -> None:
    """A branch that follows another remote than origin is fetched from there."""
    first = made.commit({"a": "1"})
    made.commit({"a": "2"})
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = made.clone(tmp_path / "clone", "--depth=1", "--origin=upstream")
    clone.repository.fetch(first)
    assert clone.repository.has(first)


def test_credentials_of_a_url_are_not_told(made: Made) -> None:
    """What Git says of a remote is shown without the user and password of its address."""
    made.commit({"a": "1"})
    made.git("remote", "add", "origin", "http://user:sesame@127.0.0.1:1/x.git")
    with pytest.raises(MissingHistory) as caught:
        made.repository.fetch("1" * 40)
    assert "127.0.0.1" in caught.value.message
    assert "sesame" not in caught.value.message


def test_git_that_hangs_is_ended_with_its_children(made: Made, tmp_path: Path) -> None:
    """A call that takes too long is an error, and nothing of it goes on."""
    made.commit({"a": "1"})
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\n(sleep 30; touch late) &\nsleep 30\n")
    slow.chmod(0o755)
    program = type(made.repository.program)(str(slow), dict(ENV))
    with pytest.raises(GitError, match=r"git status gave no answer within 0 s"):
        program.run(made.folder, "status", timeout_s=0.1)


def test_ranges_as_people_write_them(made: Made) -> None:
    """`A..B` from A, `A...B` from where B left A; an empty side is what is checked out;
    full ids work, too.
    """
    first, second, third = (made.commit({"a": str(n)}) for n in range(3))
    made.git("checkout", "--quiet", "-b", "side", first)
    side = made.commit({"b": "1"})
    made.git("checkout", "--quiet", "main")
    bases = {
        "HEAD~1..HEAD": second,
        "main~1..": second,
        "side..main": side,
        "side...main": first,
        "side...": first,
    }
    bases[f"{second}..{third}"] = second
    assert {written: parse_range(written, made.repository) for written in bases} == {
        written: Range(base, third) for written, base in bases.items()
    }


@pytest.mark.parametrize(
    "written", ["main", "plans/", "..", "...", "a..b..c", "plans/../x", "../plans", "a....b"]
)
def test_what_is_no_range_says_where_plans_go(still: Made, written: str) -> None:
    """A plan that stands where the range belongs is not taken for one: usage error with the
    way to write it.
    """
    with pytest.raises(Exception, match="is no range of commits") as caught:
        parse_range(written, still.repository)
    assert getattr(caught.value, "exit_code", None) == Exit.USAGE


@pytest.mark.parametrize("written", ["-x..HEAD", "HEAD..--all", "none..HEAD"])
def test_bad_ends_of_a_range_are_refused(still: Made, written: str) -> None:
    """Both ends are revisions, never options."""
    with pytest.raises(UnknownRevision):
        parse_range(written, still.repository)


def test_an_answer_without_end_is_cut_off(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is ended when it gives more than is read of any answer."""
    monkeypatch.setattr(program, "MOST_OUT", 10)
    with pytest.raises(GitError, match="git version gave more than"):
        Program.find(os.environ).run(Path.cwd(), "version")
