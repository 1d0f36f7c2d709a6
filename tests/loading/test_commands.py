"""`validate`, `render` and `schema` as people call them: output, streams, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from runner.cli.main import invoke
from runner.cli.schema import NAMES
from runner.report.schemas import schema_of

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"

PLAN = """\
version: 1
name: web
vars: {env: prod}
groups:
  - name: '{{ vars.env }}'
    servers: {all: true}
    waves: [1, 10%]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a good plan, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "REBOOT_RUNNER_CONFIG",
        "REBOOT_RUNNER_STORE",
        "REBOOT_RUNNER_ALLOWED_HOSTS",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".git").mkdir()
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "web.yaml").write_text(PLAN)
    return tmp_path


def test_validate_says_nothing_on_stdout_when_all_is_well(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Good plans: exit 0, an empty stdout, and one line of summary on stderr."""
    assert invoke(["validate", "plans"]) == 0
    assert capsys.readouterr() == ("", "1 plan checked: no problems\n")


def test_validate_shows_all_problems_of_all_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad plans: exit 3, every problem of every file in order on stdout, the count on stderr."""
    (folder / "plans" / "a.yml").write_text("version: 1\nnme: a\n")
    (folder / "plans" / "b.yaml").write_text("version: [\n")
    (folder / "plans" / ".hidden.yaml").write_text("version: [\n")
    (folder / "plans" / "notes.txt").write_text("version: [\n")
    assert invoke(["validate", "plans", "gone.yaml"]) == 3
    out, err = capsys.readouterr()
    heads = [line for line in out.splitlines() if ": error" in line]
    assert [head.split(": ")[0] for head in heads] == [
        *(
            "gone.yaml:1:1",
            "plans/a.yml:1:1",
            "plans/a.yml:1:1",
            "plans/a.yml:2:1",
            "plans/b.yaml:1:10",
        )
    ]
    assert "did you mean name?" in out
    assert err == "4 plans checked: 5 errors\n"


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_validate_has_the_same_exit_code_in_every_form(
    folder: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The form changes what is printed, not how it ends."""
    assert invoke(["validate", "-o", form, "plans"]) == 0
    capsys.readouterr()
    (folder / "plans" / "web.yaml").write_text(PLAN + "nope: 1\n")
    assert invoke(["validate", "-o", form, "plans/web.yaml"]) == 3
    out = capsys.readouterr().out
    assert "UnknownKey" in out
    if form in ("json", "sarif"):
        json.loads(out)


def test_validate_misses_a_canary_where_it_can_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of more than ten ids that begins with several at once is a warning at its
    waves, and exit 0.
    """
    ids = ", ".join(f"a{n:031x}" for n in range(11))
    plan = PLAN.replace("{all: true}", f"{{ids: [{ids}]}}").replace("[1, 10%]", "[20%]")
    (folder / "plans" / "web.yaml").write_text(plan)
    assert invoke(["validate", "plans"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "plans/web.yaml:7:12: warning[FirstWaveNotCanary]: group prod begins with 2 of its 11 "
        "servers"
    )
    assert "0 errors, 1 warning" in err
    (folder / "plans" / "web.yaml").write_text(plan.replace(f", a{10:031x}", ""))
    assert invoke(["validate", "plans"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("waves", "said"),
    [
        ("[1, 10%]", ""),
        ("1", ""),
        ("[5]", "5 servers at once"),
        ("20%", "20% of its servers at once"),
    ],
)
def test_validate_warns_where_it_cannot_count(
    folder: Path, waves: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A group that may have any number of servers should begin with one."""
    (folder / "plans" / "web.yaml").write_text(PLAN.replace("[1, 10%]", waves))
    assert invoke(["validate", "plans"]) == 0
    out = capsys.readouterr().out
    assert ("warning[FirstWaveNotCanary]" in out) == bool(said)
    assert said in out


def test_validate_gives_variables_to_templates(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--var and --vars-file reach the templates; a malformed --var is a usage error."""
    (folder / "vars.yaml").write_text("env: '010'\n")
    assert invoke(["validate", "plans", "--vars-file", "vars.yaml"]) == 0
    assert invoke(["validate", "plans", "--var", "env=Not-A-Name"]) == 3
    assert 'the template made "Not-A-Name"' in capsys.readouterr().out
    assert invoke(["validate", "plans", "--var", "env"]) == 64
    assert invoke(["validate"]) == 64


def test_validate_checks_the_configuration_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Problems of the configuration are among those of the plans, and so are targets
    that it lacks.
    """
    (folder / "plans" / "web.yaml").write_text(PLAN + "target: prod-ue\n")
    (folder / "reboot-runner.yaml").write_text("targets: {prod-eu: {cloud: otc}}\n")
    assert invoke(["validate", "."]) == 3
    out = capsys.readouterr().out
    assert "error[UnknownTarget]" in out
    assert "did you mean prod-eu?" in out
    (folder / "reboot-runner.yaml").write_text("targets: {prod-eu: {cloud: otcc}}\n")
    assert invoke(["validate", "plans"]) == 3
    out = capsys.readouterr().out
    assert "reboot-runner.yaml:1:28: error[BadValue]" in out
    assert "UnknownTarget" not in out


def test_unknown_targets_are_only_a_warning_without_a_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan can be checked where the configuration is not."""
    (folder / "plans" / "web.yaml").write_text(PLAN + "target: prod-eu\n")
    assert invoke(["validate", "plans"]) == 0
    assert "warning[UnknownTarget]" in capsys.readouterr().out


def test_two_plans_of_one_name_are_noticed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name is a plan's identity, so a copy with the same name is worth a warning."""
    (folder / "plans" / "copy.yaml").write_text(PLAN)
    assert invoke(["validate", "plans"]) == 0
    out, err = capsys.readouterr()
    assert "plans/web.yaml:2:7: warning[SamePlanName]" in out
    assert "plans/copy.yaml" in out
    assert err == "2 plans checked: 0 errors, 1 warning\n"


def test_a_folder_without_plans_is_not_green(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checking nothing is a problem: a mistyped folder must not pass."""
    (folder / "empty").mkdir()
    assert invoke(["validate", "empty"]) == 3
    assert "error[NoPlans]" in capsys.readouterr().out


def test_only_allowed_environment_reaches_templates(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan reads an environment variable only when the configuration allows it."""
    monkeypatch.setenv("CI_ENVIRONMENT", "staging")
    (folder / "plans" / "web.yaml").write_text(PLAN.replace("vars.env", "env.CI_ENVIRONMENT"))
    assert invoke(["validate", "plans"]) == 3
    assert "template_env" in capsys.readouterr().out
    (folder / "reboot-runner.yaml").write_text("template_env: [CI_ENVIRONMENT]\n")
    assert invoke(["render", "plans/web.yaml"]) == 0
    assert "name: staging" in capsys.readouterr().out


def test_colour_is_an_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets no escape sequences unless they are asked for."""
    (folder / "plans" / "web.yaml").write_text("nope: 1\n")
    assert invoke(["validate", "plans"]) == 3
    assert "\x1b" not in capsys.readouterr().out
    assert invoke(["--color", "always", "validate", "plans"]) == 3
    assert "\x1b[31m" in capsys.readouterr().out


def test_render_prints_the_resolved_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`render` prints only what was written, with values for templates and without vars."""
    assert invoke(["render", "plans/web.yaml", "--var", "env=blue"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "version: 1\nname: web\ngroups:\n  - name: blue\n    servers:\n      all: true\n    "
        "waves: [1, 10%]\n"
    )
    assert err == ""


def test_render_can_fill_in_every_default(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --defaults everything that will hold is visible."""
    assert invoke(["render", "plans/web.yaml", "--defaults"]) == 0
    out = capsys.readouterr().out
    for line in (
        "cycle: web",
        "  type: SOFT",
        "  servers: 200",
        "max_failures: 0",
        "    pause: [0s]",
        "      timeout: 15m",
    ):
        assert f"{line}\n" in out


def test_render_refuses_a_bad_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan with an error is not printed: its problems are on stderr, and the exit code is 3."""
    (folder / "plans" / "web.yaml").write_text(PLAN + "nope: 1\n")
    assert invoke(["render", "plans/web.yaml"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[UnknownKey]" in err


@pytest.mark.parametrize("name", NAMES)
def test_schema_prints_what_is_published(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every name prints a valid schema, the same as the file in `schemas/`."""
    assert invoke(["schema", name]) == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.Draft7Validator.check_schema(printed)
    assert printed == json.loads((SCHEMAS / printed["$id"]).read_text(encoding="utf-8"))


def test_validate_json_is_as_its_schema_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`validate -o json` fits `schema problems`, with problems and without."""
    for text in (PLAN, PLAN + "nope: 1\n"):
        (folder / "plans" / "web.yaml").write_text(text)
        invoke(["validate", "-o", "json", "plans", "gone.yaml"])
        jsonschema.validate(json.loads(capsys.readouterr().out), schema_of("problems"))
