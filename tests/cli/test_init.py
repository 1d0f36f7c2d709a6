"""`init`: what it writes is checked by the program itself, by editors' schemas and by the
linters of workflows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from runner import REPOSITORY, __version__
from runner.errors import RunnerError, UsageProblem
from runner.loading.config import load_config_text
from runner.report.schemas import schema_of
from runner.starter import request
from runner.starter.files import (
    ALWAYS,
    CODEOWNERS,
    DEPENDABOT,
    RUN_WORKFLOW,
    WORKFLOWS,
    StarterFile,
    starter_files,
)
from runner.starter.request import StarterRequest
from runner.starter.writing import survey, write
from tests.cli.lab import Lab, bare_environment
from tests.cli.test_help import in_text, parse
from tests.git.made import Made
from tests.workflows.files import (
    ACTION,
    called,
    documented_callers,
    documented_quick,
    load,
    reusable,
    steps,
)
from tests.workflows.linters import lint

ROOT = Path(__file__).resolve().parents[2]
SOURCE = f"example-org/reboot-runner@{'c0ffee42' * 5}"
SAID = (
    *("--target", "lab-1", "--region", "eu-west-0", "--owners", "@example-org/sre,@alice"),
    *("--hardened", "--workflows", SOURCE),
)
"""Everything that can be said."""

PLACEHOLDER = re.compile(r"@@|FILL|CHANGE|TODO|<[A-Z_]+>|\b0{40}\b|\b0{64}\b")
QUICK_FINDINGS = {
    "excessive-permissions",
    "unpinned-uses",
    "undocumented-permissions",
    "anonymous-definition",
}
"""What makes the quick form quick; zizmor, at its strictest, would have it otherwise."""


@pytest.fixture
def empty(lab: Lab, tmp_path: Path) -> Lab:
    """A folder with nothing in it, outside any repository."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    return Lab(folder, lab.forker, bare_environment(tmp_path / "home"))


def texts(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its path; those of Git left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in files}
    return {path: text for path, text in found.items() if not path.startswith(".git/")}


def said(lab: Lab, *argv: str) -> dict[str, Any]:
    """What `init -o json` says."""
    done = lab.run("init", "-o", "json", *argv)
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def test_everything_said_leaves_nothing_open(empty: Lab) -> None:
    """With every value given no placeholder is left, and what is listed is what was written."""
    done = empty.run("init", *SAID)
    assert (done.code, done.err) == (0, ""), done.err
    made = texts(empty.folder)
    listed = re.findall(r"^wrote +(\S+)$", done.out, re.MULTILINE)
    assert sorted(listed) == sorted(made)
    assert set(made) == {*ALWAYS, *WORKFLOWS, DEPENDABOT, CODEOWNERS} | {
        f"schemas/{n}.schema.json" for n in ("plan", "config", "policy")
    }
    assert "fill in" not in done.out
    assert not [path for path, text in made.items() if PLACEHOLDER.search(text)]
    assert made[".github/CODEOWNERS"].count("@example-org/sre @alice\n") == 4
    assert done.out.rstrip().splitlines()[-3].split() == [
        "next",
        "reboot-runner",
        "validate",
        "plans/",
    ]


@pytest.mark.parametrize(
    "argv", [(), SAID[:2], SAID[2:4], SAID[4:6], SAID[6:]], ids=lambda a: a[0] if a else "none"
)
def test_every_file_works_as_it_is_texts_of(empty: Lab, argv: tuple[str, ...]) -> None:
    """No file has a placeholder, whatever was said; only a region that was assumed is told."""
    told = said(empty, *argv)["fill_in"]
    assert not [path for path, text in texts(empty.folder).items() if PLACEHOLDER.search(text)]
    expected = (
        [] if "--region" in argv else ["`region` of target prod: eu-west-101 is only assumed"]
    )
    if "--target" in argv:
        expected = [expected[0].replace("prod", "lab-1")]
    assert [one["what"] for one in told] == expected
    assert (empty.folder / CODEOWNERS).exists() == ("--owners" in argv)


def test_the_quick_form_in_numbers(empty: Lab) -> None:
    """To its first comment a repository needs two workflows of at most 25 lines, two values
    and no hash to look up.
    """
    assert empty.run("init", "--target", "prod-eu", "--region", "eu-west-101").code == 0
    made = texts(empty.folder)
    workflows = {path: text for path, text in made.items() if path.startswith(".github/workflows/")}
    assert set(workflows) == set(WORKFLOWS)
    for path, text in workflows.items():
        assert len(text.splitlines()) <= 25, path
        assert max(map(len, text.splitlines())) <= 120
        assert not re.search(r"[0-9a-f]{40}", text), path
        assert set(re.findall(r"uses: \S+@(\S+)", text)) == {"v7", f"v{__version__}"}
        assert set(re.findall(r"secrets\.(\w+)", text)) == {
            "HUAWEICLOUD_SDK_AK",
            "HUAWEICLOUD_SDK_SK",
        }
        assert not re.search(r"^ +token:|vars\.", text, re.MULTILINE), (
            "the job's own token does it all"
        )
    other = texts_of(StarterRequest(target="other", region="eu-de"))
    ours = texts_of(StarterRequest(target="prod-eu", region="eu-west-101"))
    differing = {path for path in ours if ours[path] != other[path]}
    assert differing == {"reboot-runner.yaml", "policy.yaml", "plans/example.yaml", "README.md"}
    assert said(empty, "--force", "--target", "prod-eu", "--region", "eu-west-101")["fill_in"] == []


def test_the_document_shows_the_quick_form() -> None:
    """docs/github.md shows both workflows of the quick form, word for word."""
    ours = texts_of(StarterRequest())
    assert documented_quick() == {path: ours[path] for path in WORKFLOWS}


@pytest.mark.parametrize(
    ("branch", "pushed"), [("trunk", ["trunk"]), ("main", ["main", "master"]), ("on", ["on"])]
)
def test_the_default_branch_of_the_repository(
    tmp_path: Path, lab: Lab, branch: str, pushed: list[str]
) -> None:
    """The run starts on pushes to the branch that the repository begins with, whatever it
    is called.
    """
    made = Made(tmp_path / "fleet")
    made.folder.mkdir()
    made.git("init", "--quiet", f"--initial-branch={branch}")
    assert Lab(made.folder, lab.forker, bare_environment(tmp_path / "home")).run("init").code == 0
    for text in (
        texts(made.folder)[RUN_WORKFLOW],
        texts_of(StarterRequest(hardened=True, branch=branch))[RUN_WORKFLOW],
    ):
        assert yaml.safe_load(text)[True]["push"]["branches"] == pushed


def test_hardened_pins_every_action(empty: Lab) -> None:
    """The hardened form names every action by its full commit, with its version beside ours
    of this release.
    """
    assert (
        empty.run("init", "--hardened", "--workflows", f"{REPOSITORY}@{'c0ffee42' * 5}").code == 0
    )
    for path in WORKFLOWS:
        used = re.findall(r"uses: (\S+)(.*)", (empty.folder / path).read_text())
        assert all(re.search(r"@[0-9a-f]{40}$", action) for action, _ in used), used
        assert all(re.fullmatch(r" # v[\d.]+", version) for _, version in used), used


@pytest.mark.parametrize(
    "argv", [(), ("--workflows", "sre/reboot-runner"), ("--workflows", "sre/reboot-runner@v0.1.0")]
)
def test_hardened_needs_a_commit(empty: Lab, argv: tuple[str, ...]) -> None:
    """Without a full commit nothing is written, and the hint has the command that prints
    the commit.
    """
    done = empty.run("init", "--hardened", *argv)
    assert done.code == 64
    repository = "sre/reboot-runner" if argv else REPOSITORY
    assert f"git ls-remote https://github.com/{repository} 'refs/tags/v0.1.0*'" in done.err
    assert texts(empty.folder) == {}


def test_a_copy_of_the_project(empty: Lab) -> None:
    """The action and the hook come from the repository and the tag that are named."""
    assert empty.run("init", "--workflows", "sre/reboots@v9.8").code == 0
    made = texts(empty.folder)
    for path in WORKFLOWS:
        assert "uses: sre/reboots/.github/actions/reboot-runner@v9.8\n" in made[path]
    assert (
        "repo: https://github.com/sre/reboots\n    rev: v9.8\n" in made[".pre-commit-config.yaml"]
    )


def test_json_is_as_published(empty: Lab) -> None:
    """The JSON of a first and of a second call fits its schema, which is not stale."""
    assert json.loads((ROOT / "schemas" / "init.schema.json").read_text()) == schema_of("init")
    validator = jsonschema.Draft7Validator(schema_of("init"))
    first, second = said(empty), said(empty)
    for document in (first, second):
        validator.validate(document)
    assert {f["result"] for f in first["files"]} == {"wrote"}
    assert {f["result"] for f in second["files"]} == {"unchanged"}
    assert second["fill_in"] == []
    assert not validator.is_valid({**first, "more": 1})


@pytest.mark.parametrize("argv", [(), SAID], ids=["quick", "hardened"])
def test_what_is_written_passes_every_check(empty: Lab, argv: tuple[str, ...]) -> None:
    """Our own validation, with the policy, and the linters of workflows find nothing; the
    plan runs at once.
    """
    assert empty.run("init", *argv).code == 0
    checked = empty.run("validate", "plans/")
    assert (checked.code, "no problems" in checked.err) == (0, True), checked.out + checked.err
    found = lint(empty.folder)
    if argv:
        assert found == []
    assert {finding.split(": ")[2] for finding in found} <= QUICK_FINDINGS
    shown = empty.run("diff", "plans/")
    assert shown.code == 0, shown.err
    assert "(canary)" in shown.out


def test_the_policy_is_in_force(empty: Lab) -> None:
    """A plan that breaks the written policy is refused: it is not only there to be read."""
    assert empty.run("init", "--target", "prod-eu").code == 0
    plan = (empty.folder / "plans" / "example.yaml").read_text()
    for name, change in (
        ("hard", ("groups:", "reboot: {type: HARD}\ngroups:")),
        ("target", ("target: simulator", "target: prod-eu")),
        ("retry", ("groups:", "on_unknown: retry\ngroups:")),
        ("canary", ("waves: [1, 10%, 25%]", "waves: [5, 10%]")),
    ):
        assert change[0] in plan
        (empty.folder / "plans" / "example.yaml").write_text(plan.replace(*change))
        done = empty.run("validate", "plans/")
        if name == "canary" and done.code == 0:  # how many servers there are is seen by `diff` only
            done = empty.run("diff", "plans/")
        assert (name, done.code) == (name, 3)
        assert "PolicyViolated" in done.out + done.err


def test_a_second_plan_may_use_the_target(empty: Lab) -> None:
    """A plan beside the example may name the real target, and the simulated cloud."""
    assert empty.run("init", "--target", "prod-eu").code == 0
    plan = (
        (empty.folder / "plans" / "example.yaml")
        .read_text()
        .replace("name: example", "name: second")
    )
    for target in ("prod-eu", "simulator"):
        (empty.folder / "plans" / "web.yaml").write_text(
            plan.replace("target: simulator", f"target: {target}")
        )
        done = empty.run("validate", "plans/")
        assert done.code == 0, done.out + done.err


def test_editors_find_their_schema(empty: Lab) -> None:
    """The schema that each file names is there, is ours, and accepts the file."""
    assert empty.run("init").code == 0
    seen = 0
    for path, text in texts(empty.folder).items():
        found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        if found:
            schema = json.loads(((empty.folder / path).parent / found[1]).read_text())
            assert schema == json.loads((ROOT / "schemas" / Path(found[1]).name).read_text())
            jsonschema.validate(yaml.safe_load(text), schema)
            seen += 1
    assert seen == 3


def test_what_is_there_is_kept(empty: Lab) -> None:
    """Files with another content are kept and named; `--force` overwrites them; the rest is
    written either way.
    """
    empty.write("README.md", "mine\n")
    empty.write(".gitignore", "*.log\n")
    done = empty.run("init")
    assert done.code == 0
    assert re.findall(r"^kept +(\S+)$", done.out, re.MULTILINE) == ["README.md", ".gitignore"]
    assert "kept as they were: README.md, .gitignore. --force" in done.err
    assert "add the line .reboot-runner/ to .gitignore" in done.err
    made = texts(empty.folder)
    assert (made["README.md"], made[".gitignore"]) == ("mine\n", "*.log\n")
    assert "plans/example.yaml" in made
    forced = empty.run("init", "--force")
    assert forced.code == 0
    assert "kept" not in forced.err
    assert "example/reboot-runner, a placeholder until the project is published" in " ".join(
        forced.err.split()
    )
    assert re.findall(r"^overwrote +(\S+)$", forced.out, re.MULTILINE) == [
        "README.md",
        ".gitignore",
    ]
    assert texts(empty.folder)["README.md"] != "mine\n"


def test_what_kept_files_lack_is_not_told(empty: Lab) -> None:
    """What to fill in is said of files that were written, not of a person's own."""
    empty.write("reboot-runner.yaml", "version: 1\n")
    assert said(empty)["fill_in"] == []


def test_without_github(empty: Lab) -> None:
    """`--no-github` writes nothing that only GitHub reads, and asks for none of its values."""
    told = said(empty, "--no-github", "--region", "eu-west-0")
    assert not (empty.folder / ".github").exists()
    assert told["fill_in"] == []


def test_a_folder_is_made(empty: Lab) -> None:
    """FOLDER is made with those above it, and the next command goes there, quoted for a shell."""
    done = empty.run("init", "a b/fleet")
    assert done.code == 0, done.err
    assert "cd 'a b/fleet' && reboot-runner validate plans/" in done.out
    assert (empty.folder / "a b" / "fleet" / "plans" / "example.yaml").is_file()


def test_where_a_repository_begins(lab: Lab) -> None:
    """In the root of a repository it works, below it only when the folder is said, with a
    word about .github.
    """
    below = Lab(lab.folder / "below", lab.forker, lab.env)
    below.folder.mkdir()
    refused = below.run("init")
    assert refused.code == 64
    assert f"inside the repository {lab.folder}" in refused.err
    assert "init ." in refused.err
    assert texts(below.folder) == {}
    named = below.run("init", ".")
    assert named.code == 0
    assert "GitHub reads .github/ only in the root" in named.err
    assert lab.run("init").code == 0
    assert (lab.folder / "policy.yaml").is_file()


@pytest.mark.parametrize(
    "argv",
    [
        ("--target", "a: {b"),
        ("--target", "simulator"),
        ("--region", "eu-west-101.evil.example"),
        ("--cloud", "aws"),
        ("--workflows", "example-org/reboot-runner@main"),
        ("--owners", "@sre\n* @mallory #"),
    ],
)
def test_values_that_are_none(empty: Lab, argv: tuple[str, str]) -> None:
    """A value that is not of its form is a usage error that names the option, and nothing
    is written.
    """
    done = empty.run("init", *argv)
    assert done.code == 64
    assert argv[0] in done.err
    assert texts(empty.folder) == {}


@pytest.mark.parametrize(
    ("parser", "bad"),
    [
        (request.name, ["", "Prod", "-", "a/b", "a\n", "x" * 64]),
        (
            request.source,
            [
                f"example-org/reboot-runner@{'0' * 40}",
                f"example-org/../evil@{'a' * 40}",
                SOURCE + "\n",
                "a/b@v1\nx: y",
            ],
        ),
        (
            request.source,
            [
                f"example-org/..@{'a' * 40}",
                f"-x/${{{{github}}}}@{'a' * 40}",
                "reboot-runner",
                SOURCE.upper(),
            ],
        ),
        (request.owners, ["", " , ", "sre", "@a/b/c", "@a *", "@", "# @a", "@a/"]),
    ],
)
def test_forms(parser: Callable[[str], object], bad: list[str]) -> None:
    """What could change another line, another place or another meaning of a file is no value."""
    for text in bad:
        with pytest.raises(ValueError, match=r"write|for example"):
            parser(text)


@pytest.mark.parametrize("name", ["on", "123", "null", "1-2", "0x1f", "1e3"])
def test_names_that_yaml_reads_otherwise(tmp_path: Path, name: str) -> None:
    """A target or region whose name is a number or a truth value elsewhere is still that name."""
    text = texts_of(StarterRequest(target=name, region=name))["reboot-runner.yaml"]
    assert yaml.safe_load(text)["targets"] == {name: {"cloud": "huaweicloud", "region": name}}
    (tmp_path / "policy.yaml").write_text("")
    loaded = load_config_text(text, str(tmp_path / "reboot-runner.yaml"), {})
    assert not loaded.problems
    assert loaded.config.targets[name].region == name


@pytest.mark.parametrize("cloud", ["otc", "simulator"])
def test_other_clouds(empty: Lab, cloud: str) -> None:
    """The target is of the cloud that was said, and the configuration is valid."""
    assert empty.run("init", "--cloud", cloud, "--target", "lab").code == 0
    done = empty.run("validate", "plans/")
    assert done.code == 0, done.out
    assert (
        yaml.safe_load((empty.folder / "reboot-runner.yaml").read_text())["targets"]["lab"]["cloud"]
        == cloud
    )


def test_nothing_through_links_or_below_files(empty: Lab, tmp_path: Path) -> None:
    """Where a folder is a link or a file, or a file is a folder, nothing at all is written."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for case in ("folder is a link", "file is a link", "folder is a file", "file is a folder"):
        folder = tmp_path / case
        folder.mkdir()
        if case == "folder is a link":
            (folder / "plans").symlink_to(elsewhere)
        elif case == "file is a link":
            (folder / "policy.yaml").symlink_to(elsewhere / "policy.yaml")
        elif case == "folder is a file":
            (folder / ".github").write_text("a file")
        else:
            (folder / "README.md").mkdir()
        done = empty.run("init", "--force", str(folder))
        assert done.code == 64, done.err
        assert len(list(folder.iterdir())) == 1
        assert list(elsewhere.iterdir()) == []


def test_all_or_nothing(tmp_path: Path) -> None:
    """When a file cannot take its place at the last moment, all is as it was before,
    folders too.
    """
    folder = tmp_path / "new" / "fleet"
    files = [StarterFile(path, "new\n") for path in ("a", "b/c/one", "two", "b/last")]
    write(folder, survey(folder, files[2:3], force=False))
    (folder / "two").write_text("old\n")
    steps = survey(folder, files, force=True)
    assert [step.action for step in steps] == ["write", "write", "overwrite", "write"]
    (folder / "b" / "last").mkdir(parents=True)
    with pytest.raises(RunnerError, match="nothing was written"):
        write(folder, steps)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {
        "two",
        "b",
        "b/last",
    }
    assert (folder / "two").read_text() == "old\n"


def test_a_new_folder_goes_too(tmp_path: Path) -> None:
    """A folder that was made for a call that failed is gone afterwards."""
    folder = tmp_path / "new" / "fleet"
    steps = survey(folder, [StarterFile("a", "a"), StarterFile("x" * 300, "b")], force=False)
    with pytest.raises(RunnerError, match="File name too long"):
        write(folder, steps)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A FOLDER that is a file is refused."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageProblem, match="is not a folder"):
        survey(tmp_path / "file", (), force=False)


def test_the_hook_is_one_of_ours() -> None:
    """The hook of the written pre-commit configuration is one that this project declares."""
    declared = {
        hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    }
    (repo,) = yaml.safe_load(texts_of()[".pre-commit-config.yaml"])["repos"]
    assert {hook["id"] for hook in repo["hooks"]} <= declared


def texts_of(wanted: StarterRequest | None = None) -> dict[str, str]:
    return {file.path: file.text for file in starter_files(wanted or StarterRequest(), {})}


@pytest.mark.parametrize("path", WORKFLOWS)
def test_documented_callers_fit_those_they_call(path: str) -> None:
    """Inputs and secrets are declared by the called workflow, required ones are given,
    permissions are enough.
    """
    caller = yaml.safe_load(documented_callers()[path])
    assert caller["permissions"] == {}
    for job in caller["jobs"].values():
        name = job["uses"].partition("@")[0].rpartition("/")[2]
        declared = called(name)
        for kind, given in (("inputs", "with"), ("secrets", "secrets")):
            names = declared.get(kind) or {}
            required = {name for name, about in names.items() if about.get("required")}
            assert required <= set(job.get(given, {})) <= set(names)
        assert allows(job["permissions"], reusable(name)["jobs"].values())


@pytest.mark.parametrize("hardened", [False, True])
def test_steps_fit_the_action(hardened: bool) -> None:
    """What the written workflows give to the action are inputs that it has, the required
    one among them.
    """
    inputs = load(ACTION)["inputs"]
    files = texts_of(StarterRequest(hardened=hardened))
    given = [
        step.get("with", {}) for path in WORKFLOWS for step in steps(yaml.safe_load(files[path]))
    ]
    ours = [one for one in given if "command" in one]
    assert len(ours) == (3 if hardened else 2)
    assert all(set(one) <= set(inputs) for one in ours)


def allows(granted: dict[str, str], jobs: Any) -> bool:
    """Whether a caller's permissions cover those that the called jobs ask for, and hold
    nothing beyond them.
    """
    rank = {"none": 0, "read": 1, "write": 2}
    asked: dict[str, int] = {}
    for job in jobs:
        for name, level in job.get("permissions", {}).items():
            asked[name] = max(asked.get(name, 0), rank[level])
    return {name: rank[level] for name, level in granted.items()} == asked


@pytest.mark.parametrize("github", [True, False])
def test_what_the_readme_says_to_type(github: bool) -> None:
    """Command lines in the written README and in the comments of the other files are ones
    that the program accepts.
    """
    lines = [
        line for text in texts_of(StarterRequest(github=github)).values() for line in in_text(text)
    ]
    assert len(lines) >= (7 if github else 9)
    for line in lines:
        parse(line)
