"""What GitHub's runner does with a step's output and files, rebuilt from its behaviour
for tests.
"""

from __future__ import annotations

import re


def read_outputs(text: str) -> dict[str, str]:
    """The outputs of a `$GITHUB_OUTPUT` file: `name=value`, or `name<<WORD`, lines, `WORD`.
    Later ones win.

    Lines end at LF alone. Raises ValueError where the runner fails the step.
    """
    outputs: dict[str, str] = {}
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, delimiter = line.split("<<", 1)
            if not name or not delimiter:
                raise ValueError(f"Invalid format '{line}'")
            if delimiter not in lines[at:]:
                raise ValueError(f"Matching delimiter not found '{delimiter}'")
            end = lines.index(delimiter, at)
            outputs[name] = "\n".join(lines[at:end])
            at = end + 1
        elif equals > 0:
            outputs[line[:equals]] = line[equals + 1 :]
        else:
            raise ValueError(f"Invalid format '{line}'")
    return outputs


class Log:
    """A step's log as the runner reads it: which commands it obeys, and which lines are text."""

    def __init__(self, text: str) -> None:
        self.commands: list[str] = []
        self.text: list[str] = []
        self._word: str | None = None
        for line in re.split("\r\n|\r|\n", text):
            self._read(line)
        self.is_stopped = self._word is not None

    def _read(self, line: str) -> None:
        command = self._command(line)
        if command is None or (self._word is not None and command[0] != self._word):
            self.text.append(line)
        elif self._word is not None:
            self._word = None
        elif command[0] == "stop-commands":
            self._word = command[1]
        else:
            self.commands.append(command[0])

    @staticmethod
    def _command(line: str) -> tuple[str, str] | None:
        """Name and data of `::name properties::data`, and of the old `##[name
        properties]data` anywhere in a line.
        """
        if line.lstrip().startswith("::") and "::" in line.lstrip()[2:]:
            head, _, data = line.lstrip()[2:].partition("::")
            return head.split(" ", 1)[0], data
        if "##[" in line and "]" in line.partition("##[")[2]:
            head, _, data = line.partition("##[")[2].partition("]")
            return head.split(" ", 1)[0], data
        return None
