"""What the program says about itself holds: examples parse, options are read,
completion completes.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runner.app.print_schema import SCHEMAS
from runner.app.serve_simulator import ServeRequest
from runner.cli.main import COMMANDS, ELSEWHERE, cli
from runner.errors import Exit
from runner.report.forms import FORMS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NAMES = sorted(COMMANDS)
HEAVY = {
    "asyncio",
    "httpx",
    "jinja2",
    "pydantic",
    "rich",
    "sqlite3",
    "starlette",
    "uvicorn",
    "yaml",
}


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def parse(line: str) -> None:
    """Let the parser read a command line as it is written. Raises click's errors; nothing
    is executed.
    """
    words = shlex.split(line.partition(" && ")[0], comments=True)
    while "=" in words[0]:  # the environment
        del words[0]
    program, *arguments = words
    assert program == "reboot-runner"
    arguments = [word.partition("|")[0] for word in arguments]  # rebooted|not-rebooted
    with cli.make_context("reboot-runner", arguments) as context:
        rest = [*context._protected_args, *context.args]
        name, command, rest = cli.resolve_command(context, rest)
        assert command is not None
        is_mention = not rest and line.split() == ["reboot-runner", name]
        if not is_mention and rest not in (["--help"], ["-h"]):
            command.make_context(name, rest, parent=context).close()


def examples(text: str) -> list[str]:
    """The command lines of an epilog: each ends where two spaces begin its explanation."""
    return [
        re.split(" {2,}", line.strip())[0] for line in text.splitlines() if "reboot-runner " in line
    ]


def in_text(text: str) -> Iterator[str]:
    """Command lines of the code blocks and of the inline code of a Markdown text."""
    for block in re.findall(
        r"^ *```(?:sh|console|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL
    ):
        for line in block.splitlines():
            found = re.search(r"(?:^|[\s/])(reboot-runner [^#|]*)", line.strip().removeprefix("$ "))
            if found:
                yield found[1].strip()
    for code in re.findall(r"`(reboot-runner [^`]+)`", text):
        yield " ".join(code.split())


def in_documents() -> Iterator[tuple[str, str]]:
    """Command lines of code blocks and of inline code, with the document's name."""
    for document in DOCUMENTS:
        yield from ((document.name, line) for line in in_text(document.read_text()))


def in_messages() -> Iterator[tuple[str, str]]:
    """Command lines that messages tell people to type, with words for what they fill in."""
    for path in sorted((ROOT / "runner").rglob("*.py")):
        for code in re.findall(r"`(reboot-runner [^`\n]+)`", path.read_text()):
            yield (
                path.name,
                re.sub(r"\{[^{}]*\}", "some-name", code).replace("schema NAME", "schema plan"),
            )


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches_by_example(name: str) -> None:
    """Each command's help ends with examples, and the program accepts every one of them."""
    epilog = command_of(name).epilog or ""
    shown = examples(epilog)
    assert shown, "no example"
    assert any(f"reboot-runner {name}" in line for line in shown)
    for line in shown:
        parse(line.partition(" > ")[0])


def test_help_of_the_program() -> None:
    """The first page lists every command, and its examples parse."""
    assert len(examples(cli.epilog or "")) >= 4
    for line in examples(cli.epilog or ""):
        parse(line)


@pytest.mark.parametrize(("where", "line"), sorted({*in_documents(), *in_messages()}))
def test_what_documents_and_messages_say_to_type(where: str, line: str) -> None:
    """Command lines in documents and in our messages are ones that the program accepts."""
    parse(line)


def test_there_is_something_to_read() -> None:
    """The collection above finds what is there."""
    found = {line for _, line in (*in_documents(), *in_messages())}
    assert "reboot-runner validate plans/" in found
    assert "reboot-runner run plans/quickstart.yaml" in found
    assert "reboot-runner resume some-name" in found
    assert len(found) > 15


@pytest.mark.parametrize(
    "line", ["reboot-runner diff --out", "reboot-runner diff --bogus x", "reboot-runner bogus"]
)
def test_wrong_examples_would_be_seen(line: str) -> None:
    """The parser used here refuses what the program refuses."""
    with pytest.raises(click.UsageError):
        parse(line)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained_and_read(name: str) -> None:
    """No option without a help text, and none that the command does not look at."""
    command = command_of(name)
    assert command.help
    assert command.callback is not None
    read = {field.name for field in fields(ServeRequest)} if name == "simulator" else set()
    function: Callable[..., object] | None = command.callback
    while (
        function is not None
    ):  # what shared options come to is read around the command's own function
        tree = ast.parse(textwrap.dedent(inspect.getsource(function.__code__)))
        read |= {
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }
        function = getattr(function, "__wrapped__", None)
    for parameter in command.params:
        assert parameter.name in read, f"nobody reads {parameter.name}"
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"


@pytest.mark.parametrize("name", NAMES)
def test_help_fits(name: str) -> None:
    """No line of help is wider than a terminal, and the line in the list of commands is the
    command's own.
    """
    command = command_of(name)
    with cli.make_context("reboot-runner", [name, "--help"]) as parent:
        context = click.Context(
            command, info_name=name, parent=parent, max_content_width=110, terminal_width=110
        )
        assert max(map(len, command.get_help(context).splitlines())) <= 110
    assert COMMANDS[name].endswith(".")


def test_choices_are_those_of_the_use_cases() -> None:
    """What help names without importing it is what there is."""

    def choices(name: str, parameter: str) -> tuple[str, ...]:
        kind = next(one.type for one in command_of(name).params if one.name == parameter)
        assert isinstance(kind, click.Choice)
        return tuple(kind.choices)

    assert choices("report", "output") == tuple(FORMS)
    assert choices("schema", "name") == tuple(SCHEMAS)


def test_exit_codes_are_documented() -> None:
    """README names every exit code that there is."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("Exit codes:") :].partition("\n\n")[0]
    codes = {value for key, value in vars(Exit).items() if key.isupper()}
    assert {int(code) for code in re.findall(r"\b\d{1,3}\b", section)} == codes


def complete(shell: str, **words: str) -> str:
    """What the program answers to a shell that asks it to complete."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    environment |= {"_REBOOT_RUNNER_COMPLETE": shell} | words
    command = [sys.executable, "-c", "from runner.cli.main import main; main()"]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """The three shells get a script, and from it the names of commands, options and choices."""
    script = complete(f"{shell}_source")
    assert "_REBOOT_RUNNER_COMPLETE" in script

    def candidates(line: str, word: str) -> set[str]:
        words = f"{line} {word}"
        position = {"COMP_CWORD": word if shell == "fish" else str(len(line.split()))}
        out = complete(f"{shell}_complete", COMP_WORDS=words, **position).split()
        return {part for item in out for part in re.split(r"[,\s]", item)}

    assert {"resume", "reconcile", "report", "resolve"} <= candidates("reboot-runner", "re")
    assert "--schedule-digest" in candidates("reboot-runner run", "--sch")
    assert {"plan", "plan-rendered"} <= candidates("reboot-runner schema", "pl")


def test_help_of_commands_is_cheap() -> None:
    """`COMMAND --help` does not load what only its work needs."""
    code = (
        "import sys, json\nfrom runner.cli.main import COMMANDS, invoke\nfound = {}\n"
        "for name in COMMANDS:\n"
        "    before = set(sys.modules)\n"
        "    assert invoke([name, '--help']) == 0\n"
        "    found[name] = sorted({m.partition('.')[0] for m in set(sys.modules) - before})\n"
        "print(json.dumps(found), file=sys.stderr)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    loaded = ast.literal_eval(done.stderr)
    assert set(loaded) == set(COMMANDS)
    assert {
        name: HEAVY & set(modules) for name, modules in loaded.items() if HEAVY & set(modules)
    } == {}


def help_pages() -> Iterator[tuple[str, str]]:
    """Each command's help as it is printed, with that of its own commands."""
    waiting: list[tuple[str, ...]] = [(), *((name,) for name in NAMES)]
    while waiting:
        words = waiting.pop()
        command = cli if not words else command_of(words[0])
        for word in words[1:]:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        if isinstance(command, click.Group) and words:
            waiting += [(*words, name) for name in command.commands]
        yield (
            " ".join(words),
            command.get_help(click.Context(command, info_name="x", max_content_width=110)),
        )


def test_no_help_page_has_a_control_character() -> None:
    """What terminals act upon never gets into a page, whatever formats it."""
    pages = dict(help_pages())
    assert len(pages) > len(NAMES) + 3
    for name, page in pages.items():
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", page) == [], name


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("plan", "'diff'"),
        ("apply", "'run'"),
        ("Check", "'validate'"),
        ("ls", "'status'"),
        ("abort", "'cancel'"),
        ("version", "'--version'"),
        ("validat", "'validate'"),
        ("reume", "'resume'"),
        ("xyzzy", None),
    ],
)
def test_unknown_commands(word: str, meant: str | None) -> None:
    """The words of other tools, and misspelled ones, are answered with the command that
    is meant.
    """
    done = CliRunner().invoke(cli, [word, "x"])
    assert done.exit_code != 0
    assert (
        (f"Did you mean {meant}" in done.stderr) if meant else ("Did you mean" not in done.stderr)
    )


def test_what_other_tools_call_the_commands() -> None:
    """Every command that is suggested exists, and none of ours is taken for another."""
    assert set(ELSEWHERE.values()) - {""} <= COMMANDS.keys()
    assert not ELSEWHERE.keys() & COMMANDS.keys()


def test_run_of_a_folder_names_its_plans(tmp_path: Path) -> None:
    """`run plans/` takes one plan: the error lists those that are there."""
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text("version: 1\n")
    done = CliRunner().invoke(cli, ["run", str(tmp_path)])
    assert done.exit_code == Exit.USAGE
    assert "is a folder, and run takes one plan" in done.stderr
    assert "a.yaml" in done.stderr
    assert "--changed" in done.stderr


def test_the_first_example_needs_no_file() -> None:
    """The main page begins with `init`: where the package is installed, there is no plan to
    run yet.
    """
    shown = cli.epilog or ""
    assert shown.index("reboot-runner init reboots") < shown.index(
        "reboot-runner run plans/example.yaml"
    )
    assert "quickstart" not in shown
