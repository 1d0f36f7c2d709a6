"""One kind of cloud: what a target's configuration may say, what it needs, how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Protocol, cast

from runner.model.clouds import CLOUDS
from runner.model.config import TargetConfig
from runner.model.machine import Machine
from runner.model.surroundings import Surroundings
from runner.ports import Alarms, Cloud, Trials


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission that the runner needs.

    `action`: None where the cloud documents none. `trial`: the name of a harmless read that
    shows it (`Trials.try_read`); None for what cannot be tried without doing it.
    `reads_server`: the trial reads one server. `without`: what happens to runs that lack
    it. `is_vital`: runs need it. `is_lookup`: it is for finding the project.
    `identity_action`: the name in identity policies where that differs.
    """

    action: str | None
    purpose: str
    trial: str | None
    without: str
    is_vital: bool = True
    reads_server: bool = False
    is_lookup: bool = False
    is_global: bool = False
    identity_action: str | None = None

    @property
    def how_to_allow(self) -> str:
        if self.action is None:
            return "no page names the action that allows it; ask who grants rights in the account"
        other = f" (in an identity policy {self.identity_action})" if self.identity_action else ""
        return (
            f"allow {self.action}{other}; `reboot-runner doctor --policy` prints the whole policy"
        )


@dataclass(frozen=True, slots=True)
class LoginOption:
    """One kind of login: whether it is the one that is taken, and why, or why not.

    `kind` is a value of `auth`. `why` names variables and files, never a value.
    """

    kind: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a target is asked. `urls` by service; `is_looked_up`: its project's id must be
    looked up first.
    """

    urls: Mapping[str, str]
    is_looked_up: bool


@dataclass(frozen=True, slots=True)
class Access:
    """How a client is opened.

    `project_id`: None to take that of the login, or to look it up. `now` dates inventories.
    `time_scale`: how much faster than real time the cloud lives. `within_s`: limit each
    question to this many seconds, with one retry; None for the patience of a run.
    `on_secret` receives every secret before its first use, `on_request` (a
    `runner.net.wire.RequestLog`) every exchange, `warn` and `tell` sentences for people.
    """

    environ: Mapping[str, str]
    project_id: str | None
    now: Callable[[], datetime]
    time_scale: float = 1.0
    within_s: float | None = None
    on_secret: Callable[[Any], None] | None = None
    on_request: Callable[[Any], None] | None = None
    warn: Callable[[str], None] = lambda sentence: None
    tell: Callable[[str], None] = lambda sentence: None


class CloudClient(Cloud, Alarms, Protocol):
    """An open target."""

    project_id: str

    @property
    def trials(self) -> Trials: ...

    async def surroundings(self) -> Surroundings:
        """Return what other services of the cloud know of its servers. What cannot be read
        is reported in it, never raised.
        """
        ...


class Provider(Protocol):
    """One kind of cloud."""

    @property
    def clock_tolerance(self) -> timedelta:
        """How far this machine's clock may be from the cloud's before requests are refused."""
        ...

    def check_endpoint(
        self, service: str, url: str, region: str, allowed: tuple[str, ...]
    ) -> tuple[str, str] | None:
        """Return what is wrong with a configured endpoint, and a hint; None if it may be used.

        An endpoint decides who receives the credentials. `allowed`: further hosts that the
        environment (not the repository) permits.
        """
        ...

    def check_enterprise_project(self) -> tuple[str, str] | None:
        """Return why lists cannot be limited to an enterprise project, and a hint; None if
        they can.
        """
        ...

    def urls(self, target: TargetConfig, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Return the URL of every service that is known. Raises InvalidInput."""
        ...

    def reach(self, target: TargetConfig, environ: Mapping[str, str], *, alarms: bool) -> Reach:
        """Return the services that runs of this target ask. Raises InvalidInput, CloudDenied."""
        ...

    def allowed_suffixes(self, region: str) -> tuple[str, ...]:
        """Return what the hosts of endpoints may end in, each with a leading dot."""
        ...

    def login_options(
        self, target: TargetConfig, environ: Mapping[str, str]
    ) -> tuple[LoginOption, ...]:
        """Return every kind of login in the order of `auth: auto`; at most one is taken.
        Makes no network calls.
        """
        ...

    def project_of_login(self, target: TargetConfig, environ: Mapping[str, str]) -> str | None:
        """Return the project's id that comes with the login. Raises CloudDenied if there is
        no usable login.
        """
        ...

    def permissions(self, *, alarms: bool, lookup: bool) -> tuple[Permission, ...]:
        """Return what a target needs. `alarms`: its plans have gates that read alarms."""
        ...

    def policy(self, wanted: Iterable[Permission], *, is_global: bool = False) -> dict[str, Any]:
        """Return the smallest policy document that grants all of these."""
        ...

    async def this_machine(self, environ: Mapping[str, str], *, is_real: bool) -> Machine:
        """Return what this machine knows of itself. `is_real`: the target's servers are.

        Raises InvalidInput for a variable with an unusable value.
        """
        ...

    def open(
        self, target: TargetConfig, access: Access
    ) -> AbstractAsyncContextManager[CloudClient]:
        """Open a client; its connections close at the end. Raises InvalidInput, CloudDenied,
        CloudError.
        """
        ...


def provider_of(cloud: str) -> Provider:
    """Return the provider of a registered cloud."""
    return cast(Provider, import_module(CLOUDS[cloud].module).provider(cloud))
