"""What can go wrong with a store in Git.

StoreError (1)
├── Overtaken               another process has pushed first: the write is done again on what it left
├── Unreachable             the host gives no answer now
├── StoreDenied (77)        the host wants another login, or a permission is missing
└── StoreRefused            it is no repository, no store of ours, or its rules forbid the ref
"""  # noqa: E501

from __future__ import annotations

from runner.errors import Exit, StoreError


class Overtaken(StoreError):
    """Another process has pushed first; what it left is read by now."""

    def __init__(self) -> None:
        super().__init__(
            "other processes write to the store all the time, this one never came to it",
            hint="run it again; many processes that write side by side want a PostgreSQL store",
        )


class RefUnreachable(StoreError):
    """The host gives no answer now; it may later."""


class StoreDenied(StoreError):
    """The host wants another login, or the login may not do this."""

    exit_code = Exit.DENIED


class StoreRefused(StoreError):
    """What is there is no repository or no store of ours, or the host's rules forbid the ref."""
