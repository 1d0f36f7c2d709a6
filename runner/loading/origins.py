"""The values of a configuration, each with the place that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.loading.config import LoadedConfig
from runner.loading.nodes import locate
from runner.model.origin import ConfigSetting, Origin

DEFAULT = Origin("default")

Path = tuple[str | int, ...]


def settings_of(loaded: LoadedConfig, env: Mapping[str, str]) -> list[ConfigSetting]:
    """Every value that holds, in the order of the format; also those that nobody wrote."""
    data = loaded.config.model_dump(mode="json")
    return [
        ConfigSetting(path, value, origin_of(loaded, path, env))
        for path, value in _leaves((), data)
    ]


def origin_of(loaded: LoadedConfig, path: Path, env: Mapping[str, str]) -> Origin:
    """Where the value at `path` was written; the default's where it was not."""
    if path == ("store",) and env.get("REBOOT_RUNNER_STORE"):
        return Origin("environment", "REBOOT_RUNNER_STORE")
    if loaded.tree is None:
        return DEFAULT
    place = locate(loaded.tree, path)
    if not place.exact:
        return DEFAULT
    return Origin("file", loaded.name, place.node.span.line)


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, object]]:
    """Scalars, lists of scalars, and what is empty."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves((*path, key), item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for n, item in enumerate(value):
            yield from _leaves((*path, n), item)
    else:
        yield path, value
