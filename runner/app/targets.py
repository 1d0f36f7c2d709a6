"""Joins configuration and store: which targets there are, and where journals live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.app import App, in_ci
from runner.errors import InvalidInput
from runner.model.problem import Problem
from runner.ports.store import RunNotFound
from runner.store.open import dies_with_the_disk, open_store, shown
from runner.store.sql import SqlStore

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig
    from runner.model.config import TargetConfig


def base_folder(loaded: LoadedConfig) -> Path:
    """What relative paths of the configuration start from: its folder, else the Git root, else where we are."""
    from runner.loading.files import git_root

    if loaded.path is not None:
        return loaded.path.absolute().parent
    return git_root(Path.cwd()) or Path.cwd()


def store_url(app: App, loaded: LoadedConfig) -> str:
    """`--store`, else `REBOOT_RUNNER_STORE`, else the configuration's."""
    return app.store or loaded.config.store


@contextmanager
def open_store_of(app: App, loaded: LoadedConfig | None = None) -> Iterator[SqlStore]:
    """Open the store of this call. A run that it does not have is reported with the store's address.

    Raises StoreError when it cannot be opened, InvalidInput for a bad configuration.
    """
    loaded = loaded or app.load_config()
    url = store_url(app, loaded)
    store = open_store(url, base_folder(loaded))
    try:
        yield store
    except RunNotFound as error:
        where = f"this is the store {shown(url)}; --store or REBOOT_RUNNER_STORE name another"
        error.hint = f"{error.hint}; {where}" if error.hint else where
        raise
    finally:
        store.close()


def choose_target(loaded: LoadedConfig, *names: str | None) -> str:
    """The first name given (`--target`, then the plan's), else the only target there is.

    Raises RunnerError for an unknown name, and where there are several to choose from.
    """
    known = sorted(loaded.config.targets)
    name = next((n for n in names if n), None)
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise _no_target("the plan names no target, and the configuration has several", known)
    if name not in all_targets(loaded):
        raise _no_target(f"there is no target {name!r} in the configuration", known)
    return name


def all_targets(loaded: LoadedConfig) -> Mapping[str, TargetConfig]:
    """The configured targets; `simulator` is always there, so that the examples run in every repository."""
    from runner.loading.config import WITHOUT_FILE

    return {**WITHOUT_FILE.targets, **loaded.config.targets}


def _no_target(message: str, known: list[str]) -> InvalidInput:
    listed = ", ".join(known) or "none"
    return InvalidInput([Problem("UnknownTarget", message, hint=f"targets: {listed}; give one with --target")])


def demand_persistent_store(app: App, loaded: LoadedConfig, session_is_real: bool, promised: bool) -> None:
    """A CI runner's disk dies with it, and the job ids too: refuse a local file there for a real target."""
    if session_is_real and in_ci() and dies_with_the_disk(store_url(app, loaded)) and not promised:
        raise InvalidInput(
            [
                Problem(
                    "StoreNotPersistent",
                    "in CI a store in a local file is lost with the job, and with it what was asked of the cloud",
                    hint="set REBOOT_RUNNER_STORE to git+https://… or postgresql://…; "
                    "or give --store-is-persistent if the disk stays",
                )
            ]
        )


def is_embedded(config: TargetConfig) -> bool:
    """Whether a target is the simulated cloud inside this process."""
    return config.cloud == "simulator" and config.endpoints.ecs is None
