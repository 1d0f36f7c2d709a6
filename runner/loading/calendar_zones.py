"""Time zones by the names that calendar programs give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
_UNSURE = {"localtime", "posixrules", "Factory", "EST", "MST", "HST"}
"""What a machine calls its own zone, and abbreviations that programs write in summer as well."""
_MICROSOFT_UTC = "tzone://microsoft/utc"


@lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the zone that a calendar program means by a name, or None where it is not known.

    Known are names of the IANA database, names that end in one
    (`/mozilla.org/20050126_1/Europe/Berlin`, RFC 5545 section 3.2.19), and Windows' names
    as CLDR maps them.
    """
    for candidate in _candidates(name):
        if candidate in _UNSURE or candidate.startswith("right/") or not _NAME.fullmatch(candidate):
            continue
        try:
            return ZoneInfo(candidate)
        except (KeyError, ValueError, OSError):
            continue
    return None


def _candidates(name: str) -> Iterator[str]:
    if len(name) > 100:
        return
    if name.startswith("/"):
        parts = name.strip("/").split("/")
        for length in (3, 2, 1):
            if length <= len(parts):
                yield "/".join(parts[-length:])
        return
    if name.lower() == _MICROSOFT_UTC:
        yield "UTC"
    yield name
    yield _windows_names().get(name.lower(), "")


@lru_cache(maxsize=1)
def _windows_names() -> dict[str, str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    return {windows.lower(): iana for windows, iana in WINDOWS_TO_OLSON.items()}
