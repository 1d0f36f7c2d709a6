"""YAML from outside as events, with the bounds that hold for every reader of it. Nothing is
built here.

PyYAML's C parser is used where it is there (some forty times faster). Aliases are events
like others: a reader that builds values refuses them, because ten lines of aliases stand
for a billion values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 64
MAX_NODES = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooMuchYaml(ValueError):
    """The document is over a bound. `event`: where."""

    def __init__(self, message: str, event: Any) -> None:
        super().__init__(message)
        self.event = event


def events(text: str) -> Iterator[Any]:
    """Yield the parser's events, one at a time. Raises TooMuchYaml at a bound, and
    yaml.YAMLError.
    """
    nodes = depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes > MAX_NODES:
                raise TooMuchYaml(f"more than {MAX_NODES:,} values", event)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise TooMuchYaml(f"nested deeper than {MAX_DEPTH} levels", event)
        yield event
