"""Asking a GitHub in a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from runner.github.api import GitHub, GitHubError
from runner.net.wire import RequestLog
from tests.github.standin import TOKEN, StandIn

T = TypeVar("T")


def ask_and_count(
    github: StandIn,
    use: Callable[[GitHub], Awaitable[T]],
    token: str = TOKEN,
    log: list[RequestLog] | None = None,
) -> tuple[T, list[float]]:
    """What `use` makes of a client, and how long the client waited (in no time)."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def main() -> T:
        async with GitHub(
            github.environ(token), log=log.append if log is not None else None, sleep=sleep
        ) as api:
            return await use(api)

    return asyncio.run(main()), waited


def ask(github: StandIn, use: Callable[[GitHub], Awaitable[T]], token: str = TOKEN) -> T:
    """What `use` makes of a client."""
    return ask_and_count(github, use, token)[0]


def refusal(
    github: StandIn, use: Callable[[GitHub], Awaitable[object]], token: str = TOKEN
) -> GitHubError:
    """The error that `use` must end with."""
    with pytest.raises(GitHubError) as caught:
        ask(github, use, token)
    return caught.value
