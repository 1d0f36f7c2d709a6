"""The effective configuration as YAML with the origin of each value beside it, and as a
document. Pure.

The YAML is for people: it also shows what is no part of the file (allowed hosts, the proxy,
credentials by name).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from runner.model.origin import ConfigSetting, Origin
from runner.model.shape import Shaped
from runner.report.safe import json_text, line_start, plain

FORMAT_VERSION: Literal[1] = 1
_PLAIN = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.-]*(://[A-Za-z0-9_.:/-]*[A-Za-z0-9_/-])?"  # a word, a URL
    r"|[A-Za-z_/][A-Za-z0-9_./-]*"  # a path
    r"|([0-9]+(ms|[smhd]))+"  # a duration
)
"""What YAML reads as text without quotes."""
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDEST = 60


def settings_yaml(settings: Sequence[ConfigSetting], head: Sequence[str] = ()) -> str:
    """One line a value, its origin as a comment. `head`: sentences for the beginning."""
    lines = list(_lines(settings))
    width = min(
        _WIDEST, max((len(line) for line, origin in lines if origin is not None), default=0)
    )
    told = [f"# {plain(sentence, 1000)}" for sentence in head]
    told += [
        f"{line:<{width}}  # {plain(origin)}" if origin is not None else line
        for line, origin in lines
    ]
    return "\n".join(map(line_start, told))


def _lines(settings: Sequence[ConfigSetting]) -> Iterator[tuple[str, Origin | None]]:
    """Keys above their values; an item of a list begins with a dash."""
    before: tuple[str | int, ...] = ()
    for setting in settings:
        path = setting.path
        shared = next(
            (n for n, (a, b) in enumerate(zip(before, path, strict=False)) if a != b),
            min(len(before), len(path)),
        )
        dash = ""
        for depth in range(shared, len(path) - 1):
            if isinstance(path[depth], int):
                dash = "  " * depth + "- "
                continue
            yield f"{dash or '  ' * depth}{_scalar(path[depth])}:", None
            dash = ""
        depth = len(path) - 1
        lead = dash or "  " * depth
        yield f"{lead}{_scalar(path[depth])}: {_value(setting.value)}", setting.origin
        before = path


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return "{}" if isinstance(value, dict) else _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json_text(value)


Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class OriginRow(Shaped):
    """Where a value comes from."""

    kind: Literal["default", "file", "environment", "flag", "rule", "looked-up", "credentials"]
    name: str | None
    """The file, the environment variable or the option."""
    line: int | None
    """Of a file."""


@dataclass(frozen=True, slots=True)
class SettingRow(Shaped):
    """One value."""

    path: tuple[str | int, ...]
    """Keys, and positions in lists."""
    value: Scalar | list[Scalar] | dict[str, Scalar]
    """Never a secret."""
    origin: OriginRow


@dataclass(frozen=True, slots=True)
class ConfigShowDocument(Shaped):
    """What `config show -o json` prints."""

    format_version: Literal[1]
    file: str | None
    """The configuration; null where there is none."""
    found_by: Literal["--config", "REBOOT_RUNNER_CONFIG", "search", "none"]
    revision: str | None
    """With `--config-rev`."""
    settings: tuple[SettingRow, ...]


def settings_document(
    settings: Sequence[ConfigSetting], file: str | None, found_by: str, revision: str | None
) -> ConfigShowDocument:
    """Return it for programs."""
    origins = (OriginRow(s.origin.kind, s.origin.name or None, s.origin.line) for s in settings)
    rows = tuple(
        SettingRow(s.path, cast("Scalar", s.value), origin)
        for s, origin in zip(settings, origins, strict=True)
    )
    found = cast(Literal["--config", "REBOOT_RUNNER_CONFIG", "search", "none"], found_by)
    return ConfigShowDocument(FORMAT_VERSION, file, found, revision, rows)
