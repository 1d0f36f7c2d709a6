"""Plans and configurations of another revision, with real Git: the same rules as on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from runner.loading.plan import LoadOptions, load_plan, plan_digest, require
from runner.loading.revision import find_at, load_config_at, load_plan_at
from runner.loading.source import MAX_BYTES
from tests.git.made import Made, plan

CONFIG = "version: 1\ntargets:\n  {name}: {{cloud: simulator}}\n"


def reading(made: Made, revision: str = "HEAD") -> Callable[[str], bytes | None]:
    return partial(made.repository.read, made.repository.resolve(revision))


def codes(made: Made, path: str) -> list[str]:
    return [p.code for p in load_plan_at(reading(made), path).problems]


def test_a_plan_is_as_it_was(made: Made) -> None:
    """The plan of an older commit, with the ids of that commit, has the digest that it had
    on disk then.
    """
    text = plan("{{ vars.name }}", "ids_from: ../lists/web.txt").replace(
        "groups:", "vars: {name: web}\ngroups:"
    )
    text = text.replace("name: {{ vars.name }}", 'name: "{{ vars.name }}"')
    made.commit({"plans/web.yaml": text, "lists/web.txt": "5b919bd2-e315-41d0-850d-a15cb5a686a1\n"})
    then = plan_digest(require(load_plan(made.folder / "plans/web.yaml")))
    made.commit({"plans/web.yaml": plan("other"), "lists/web.txt": "id-2\n"})
    old = require(load_plan_at(reading(made, "HEAD~1"), "plans/web.yaml"))
    assert (old.name, plan_digest(old)) == ("web", then)
    renamed = load_plan_at(
        reading(made, "HEAD~1"), "plans/web.yaml", LoadOptions(vars={"name": "api"})
    )
    assert require(renamed).name == "api"


def test_messages_name_the_file_as_the_caller_likes(made: Made) -> None:
    """Problems have their place; the file is called by its path, or as the caller says."""
    made.commit({"web.yaml": "version: 1\nnme: x\n"})
    found = load_plan_at(reading(made), "web.yaml", name="web.yaml at main").problems
    assert {
        (p.location.file, p.location.line) for p in found if p.location and p.code == "UnknownKey"
    } == {("web.yaml at main", 2)}


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("/etc/passwd", "OutsideRepository"),
        ("../../etc/passwd", "OutsideRepository"),
        ("../.git/config", "OutsideRepository"),
        ("../lists/.git/x", "OutsideRepository"),
        ("none.txt", "Unreadable"),
        ("link.txt", "Unreadable"),
        ("../lists", "Unreadable"),
        ("../lists/words.txt", "BadIdList"),
    ],
)
def test_files_that_a_plan_names_keep_to_the_rules(linked: Made, named: str, code: str) -> None:
    """Relative, inside the repository, not in .git, a regular file of ids: as on disk, and
    links are refused.
    """
    read = reading(linked)

    def with_plan(path: str) -> bytes | None:
        return (
            plan("web", f"ids_from: {named}").encode() if path == "plans/web.yaml" else read(path)
        )

    loaded = load_plan_at(with_plan, "plans/web.yaml")
    assert [p.code for p in loaded.problems] == [code]
    assert "root:" not in str(loaded.problems)


@pytest.fixture(scope="session")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A commit with a link, a folder, and a list of words that are no ids. Nobody changes it."""
    made = Made.new(tmp_path_factory.mktemp("linked") / "made")
    (made.folder / "plans").mkdir()
    (made.folder / "plans" / "link.txt").symlink_to("/etc/passwd")
    (made.folder / "plans" / "link.yaml").symlink_to("/etc/passwd")
    made.commit({"lists/words.txt": "two words\n", "plans/big.yaml": "#" * (MAX_BYTES + 1)})
    return made


def test_a_plan_that_cannot_be_read_is_a_problem(linked: Made) -> None:
    """Missing, a link, a folder, too large: a problem with its code, never an exception."""
    assert codes(linked, "plans/none.yaml") == ["Unreadable"]
    assert codes(linked, "plans/link.yaml") == ["Unreadable"]
    assert codes(linked, "plans") == ["Unreadable"]
    assert codes(linked, "../x.yaml") == ["Unreadable"]
    assert codes(linked, "plans/big.yaml") == ["TooLarge"]


def test_the_configuration_is_that_of_the_revision(made: Made) -> None:
    """The nearest from a folder upwards in the revision, whatever the working tree holds;
    its place is on disk.
    """
    made.commit(
        {
            "reboot-runner.yaml": CONFIG.format(name="top"),
            "team/reboot-runner.yaml": CONFIG.format(name="in"),
        }
    )
    made.commit({"reboot-runner.yaml": CONFIG.format(name="evil"), "team/reboot-runner.yaml": None})
    read = reading(made, "HEAD~1")
    for start, name, file in (
        ("", "top", "reboot-runner.yaml"),
        ("team/a/b", "in", "team/reboot-runner.yaml"),
    ):
        found = load_config_at(read, {}, root=made.folder, start=start)
        assert (list(found.config.targets), found.path, found.problems) == (
            [name],
            made.folder / file,
            (),
        )
    named = load_config_at(read, {}, root=made.folder, start="team", path="reboot-runner.yaml")
    assert list(named.config.targets) == ["top"]
    assert list(
        load_config_at(reading(made), {}, root=made.folder, start="team").config.targets
    ) == ["evil"]


def test_without_a_configuration_the_defaults_hold(made: Made) -> None:
    """A revision without one has the simulator only, and the store of the environment, even
    if one is on disk now.
    """
    made.commit({"a": "1"})
    made.write("reboot-runner.yaml", CONFIG.format(name="evil"))
    found = load_config_at(
        reading(made), {"REBOOT_RUNNER_STORE": "sqlite:///x.db"}, root=made.folder, start="b/c"
    )
    assert (list(found.config.targets), found.config.store, found.path) == (
        ["simulator"],
        "sqlite:///x.db",
        None,
    )


def test_a_configuration_that_cannot_be_used_is_a_problem(made: Made) -> None:
    """Broken, a link, or named and missing: never silently another one."""
    (made.folder / "reboot-runner.yaml").symlink_to("other.yaml")
    made.commit(
        {"bad/reboot-runner.yaml": "version: 1\nnope: 1\n", "other.yaml": CONFIG.format(name="x")}
    )
    for start, path, code in (
        ("", None, "Unreadable"),
        ("bad", None, "UnknownKey"),
        ("", "none.yaml", "Unreadable"),
    ):
        found = load_config_at(reading(made), {}, root=made.folder, start=start, path=path)
        assert [p.code for p in found.problems] == [code]
        assert not found.is_valid


def test_a_plan_is_found_where_it_was(made: Made) -> None:
    """At the same path, else where it was renamed from, else beside under its name, else
    nowhere: it is new.
    """
    templated = plan("web").replace(
        "name: web\ngroups", 'name: "{{ vars.n }}"\nvars: {n: told}\ngroups'
    )
    made.commit(
        {
            "plans/a.yaml": plan("a"),
            "plans/b.yaml": plan("b") + "broken: [}\n",
            "plans/c.yml": plan("c") + "nope: 1\n",
            "plans/t.yaml": templated,
            "plans/c.txt": plan("txt"),
            "other/d.yaml": plan("d"),
        }
    )
    read, files = reading(made), made.repository.files("HEAD")
    renamed = {
        "plans/new.yaml": "other/d.yaml",
        "plans/a.yaml": "other/d.yaml",
        "plans/gone.yaml": "plans/none.yaml",
    }
    find = partial(find_at, read, files, renamed=renamed)
    assert find("plans/a.yaml", "b") == "plans/a.yaml"
    assert find("plans/new.yaml", "a") == "other/d.yaml"
    assert find("plans/moved.yaml", "a") == "plans/a.yaml"
    assert find("plans/moved.yaml", "c") == "plans/c.yml"
    assert find("plans/moved.yaml", "told") == "plans/t.yaml"
    assert find("plans/gone.yaml", "a") == "plans/a.yaml"
    for path, name in (
        ("plans/x.yaml", "d"),
        ("plans/x.yaml", "txt"),
        ("plans/x.yaml", None),
        ("x.yaml", "a"),
    ):
        assert find(path, name) is None
