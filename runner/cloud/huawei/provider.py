"""Huawei Cloud, Open Telekom Cloud and the simulated cloud as `runner.ports.provider.Provider`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from runner.cloud.huawei.endpoints import Settings, checked, settings_for
from runner.cloud.huawei.hosts import domains_of
from runner.cloud.huawei.permissions import permissions, policy
from runner.errors import InvalidInput
from runner.model.config import TargetConfig
from runner.model.machine import NOBODY, Machine
from runner.ports.provider import Access, CloudClient, LoginOption, Permission, Provider, Reach


@dataclass(frozen=True, slots=True)
class HuaweiProvider:
    """`cloud`: a name in `runner.model.clouds.CLOUDS`."""

    cloud: str
    clock_tolerance: timedelta = timedelta(minutes=15)  # API Signing Guide, APIGW.0301

    def check_endpoint(
        self, service: str, url: str, region: str, allowed: tuple[str, ...]
    ) -> tuple[str, str] | None:
        try:
            checked(url, self.cloud, allowed, service=service, region=region)
        except InvalidInput as error:
            return error.problems[0].message, error.problems[0].hint or ""
        return None

    def check_enterprise_project(self) -> tuple[str, str] | None:
        if self.cloud != "otc":
            return None
        return (
            "the lists of Open Telekom Cloud cannot be limited to one",
            "select servers by enterprise_projects in the plan",
        )

    def urls(self, target: TargetConfig, environ: Mapping[str, str]) -> Mapping[str, str]:
        return _settings(target, environ, target.project_id).urls

    def reach(self, target: TargetConfig, environ: Mapping[str, str], *, alarms: bool) -> Reach:
        urls = self.urls(target, environ)
        options = self.login_options(target, environ)
        kind = next((one.kind for one in options if one.taken), None)
        is_looked_up = target.project_id is None
        if kind is not None and is_looked_up:
            is_looked_up = kind != "password" and self.project_of_login(target, environ) is None
        is_asked = {
            "ecs": True,
            "iam": kind == "password" or is_looked_up,
            "sts": kind == "oidc",
            "ces": alarms,
        }
        return Reach({s: urls[s] for s in is_asked if is_asked[s] and s in urls}, is_looked_up)

    def allowed_suffixes(self, region: str) -> tuple[str, ...]:
        return tuple(f".{domain}" for domain in domains_of(self.cloud, region))

    def login_options(
        self, target: TargetConfig, environ: Mapping[str, str]
    ) -> tuple[LoginOption, ...]:
        from runner.cloud.huawei.auth.choice import explain_choice

        return explain_choice(target, environ)

    def project_of_login(self, target: TargetConfig, environ: Mapping[str, str]) -> str | None:
        from runner.cloud.huawei.auth.choice import choose_login

        return choose_login(target.auth, environ, target.env_prefix or "").project_id

    def permissions(self, *, alarms: bool, lookup: bool) -> tuple[Permission, ...]:
        return permissions(self.cloud, alarms=alarms, lookup=lookup)

    def policy(self, wanted: Iterable[Permission], *, is_global: bool = False) -> dict[str, Any]:
        return policy(wanted, is_global=is_global)

    async def this_machine(self, environ: Mapping[str, str], *, is_real: bool) -> Machine:
        from runner.cloud.huawei.machine import OVERRIDE, this_machine

        if is_real:
            return await this_machine(environ)
        if OVERRIDE not in environ:
            return NOBODY
        # Simulated addresses are made up: only a metadata service can tell the server.
        return replace(await this_machine(environ), addresses=frozenset())

    @asynccontextmanager
    async def open(self, target: TargetConfig, access: Access) -> AsyncIterator[CloudClient]:
        from runner.cloud.huawei.auth.choice import choose
        from runner.cloud.huawei.auth.logins import given_secrets
        from runner.cloud.huawei.ecs import HuaweiCloud
        from runner.cloud.huawei.reader import Patience
        from runner.cloud.huawei.throttle import RequestPace, pace_of
        from runner.net.transport import ExchangeLimits

        settings = _settings(target, access.environ, access.project_id)
        choice = choose(target.auth, access.environ, target.env_prefix or "")
        for warning in choice.warnings:
            access.warn(warning)
        if access.on_secret is not None:
            for secret in given_secrets(choice.login):
                access.on_secret(secret)
        within_s = access.within_s
        patience, limits = None, None
        if within_s is None:
            pace = pace_of(
                f"{settings.ecs_url} {access.project_id or target.region}", access.time_scale
            )
            pace.tell = access.tell
        else:
            first_wait_s = min(0.4, within_s / 4)
            patience = Patience(attempts=2, budget_s=within_s, first_wait_s=first_wait_s)
            limits = ExchangeLimits(connect_s=within_s, read_s=within_s, total_s=within_s)
            pace = RequestPace(most_s=within_s)
        async with HuaweiCloud.open(
            settings,
            choice.login,
            now=access.now,
            on_secret=access.on_secret,
            log=access.on_request,
            patience=patience,
            limits=limits,
            pace=pace,
        ) as client:
            yield client


def provider(cloud: str) -> Provider:
    return HuaweiProvider(cloud)


def _settings(target: TargetConfig, environ: Mapping[str, str], project_id: str | None) -> Settings:
    return settings_for(
        cloud=target.cloud,
        region=target.region,
        project_id=project_id,
        enterprise_project=target.enterprise_project,
        environ=environ,
        **{service: url for service, url in target.endpoints if url is not None},
    )
