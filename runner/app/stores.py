"""The store of a call: where journals live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runner.app.app import App, in_ci
from runner.app.targets import base_folder
from runner.errors import InvalidInput
from runner.loading.config import LoadedConfig
from runner.model.problem import Problem
from runner.ports.store import RunNotFound, Store
from runner.store.open import dies_with_the_disk, open_store, shown


def store_url(app: App, loaded: LoadedConfig) -> str:
    """`--store`, else `REBOOT_RUNNER_STORE`, else the configuration's."""
    return app.store or loaded.config.store


@contextmanager
def open_store_of(app: App, loaded: LoadedConfig | None = None) -> Iterator[Store]:
    """Open the store of this call. A run that it does not have is reported with the store's
    address.

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


def demand_persistent_store(
    app: App, loaded: LoadedConfig, session_is_real: bool, promised: bool
) -> None:
    """A CI runner's disk dies with it, and the job ids too: refuse a local file there for a
    real target.
    """
    if session_is_real and in_ci() and dies_with_the_disk(store_url(app, loaded)) and not promised:
        raise InvalidInput(
            [
                Problem(
                    "StoreNotPersistent",
                    "in CI a store in a local file is lost with the job, and with it what was "
                    "asked of the cloud",
                    hint="set REBOOT_RUNNER_STORE to git+https://… or postgresql://…; "
                    "or give --store-is-persistent if the disk stays",
                )
            ]
        )
