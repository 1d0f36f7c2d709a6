"""What a selector names in words: for whoever compares selectors without asking the cloud."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from runner.model.plan import Selector

NO_WORDS: Mapping[str, tuple[str, ...]] = {}


def words_of(selector: Selector | None) -> Mapping[str, tuple[str, ...]]:
    """What a selector names, by key, as it is written; a tag is `key=value`. `all` and
    `ids_from` name nothing.
    """
    if selector is None:
        return NO_WORDS
    made: dict[str, tuple[str, ...]] = {}
    for key in selector.keys:
        if key == "tags":
            made[key] = tuple(
                f"{tag}={value}"
                for tag, values in (selector.tags or {}).items()
                for value in values
            )
        elif key not in ("ids_from", "all"):
            made[key] = tuple(getattr(selector, key))
    return made


def is_covered(key: str, word: str, by: Collection[str]) -> bool:
    """Whether every server that `word` means is meant by one of `by` as well.

    A glob whose only special character is `*` matches every name that another glob does,
    when it matches that glob's own text; other globs are sure to cover plain names only.
    """
    if word in by:
        return True
    if key != "names":
        return False
    is_plain = not set("*?[") & set(word)
    return any(fnmatchcase(word, glob) for glob in by if is_plain or not set("?[]") & set(glob))
