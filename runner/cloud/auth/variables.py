"""The environment as one target sees it: with its own prefix, every name of a credential begins with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.errors import CloudDenied


@dataclass(frozen=True, slots=True)
class Variables:
    """Where credentials are read from. With a `prefix` nothing is read under a name without it.

    Values are stripped, for CI stores like to append a line break; an empty one is none. `repr` shows no value.
    """

    environ: Mapping[str, str] = field(repr=False)
    prefix: str = ""

    def name(self, name: str) -> str:
        """The name as people set it, for messages."""
        return self.prefix + name

    def names(self, *names: str) -> str:
        """Several names in a sentence: `A and B`."""
        return " and ".join(map(self.name, names))

    def value(self, name: str) -> str | None:
        return self.environ.get(self.prefix + name, "").strip() or None

    def header_value(self, name: str) -> str | None:
        """The same for a value that becomes part of a header. Raises CloudDenied where it cannot."""
        value = self.value(name)
        if value and not (value.isascii() and value.isprintable()):
            shown = self.name(name)
            raise CloudDenied(f"{shown} holds characters that no header can carry", hint=f"set {shown} again")
        return value

    def half(self, have: str, lack: str, hint: str | None = None) -> CloudDenied:
        """The error for half of a login."""
        empty = " (it is empty)" if self.name(lack) in self.environ else ""
        message = f"{self.name(have)} is set but {self.name(lack)} is not{empty}"
        return CloudDenied(message, hint=hint or f"set {self.name(lack)} as well, or unset {self.name(have)}")

    def of_the_job(self) -> Variables:
        """The names that the CI system itself sets, which nobody can prefix."""
        return Variables(self.environ)
