"""The configuration as people mean it: targets, the store, what plans may read."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runner.model.plan import Duration, _duration, _positive

PositiveDuration = Annotated[Duration, BeforeValidator(lambda v: _positive(_duration(v)))]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rate(_Part):
    """How hard a target may be driven."""

    servers_per_minute: Annotated[int, Field(ge=1, le=1000)] = 1000
    servers_per_request: Annotated[int, Field(ge=1, le=1000)] = 1000
    poll_every: PositiveDuration = timedelta(seconds=5)
    settle: PositiveDuration = timedelta(minutes=3)


class Endpoints(_Part):
    """Only to override the rule; https, or http on loopback."""

    ecs: str | None = None
    iam: str | None = None


class SimulatorOptions(_Part):
    """The embedded simulated cloud of a target `cloud: simulator` without an endpoint."""

    servers: Annotated[int, Field(ge=1, le=200_000)] = 60
    seed: int = 1
    time_scale: Annotated[float, Field(gt=0, le=10_000)] = 60.0
    scenario: str | None = Field(None, description="A scenario file with faults, relative to the configuration.")


class TargetConfig(_Part):
    """A named cloud project. Credentials come from the environment, never from this file."""

    cloud: Literal["huaweicloud", "otc", "simulator"]
    region: str = "eu-west-101"
    project_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    endpoints: Endpoints = Endpoints()
    auth: Literal["auto", "token", "password", "aksk"] = "auto"
    rate: Rate = Rate()
    simulator: SimulatorOptions | None = None


class Config(_Part):
    """`reboot-runner.yaml`."""

    version: Literal[1] = 1
    store: str = "sqlite:///.reboot-runner/runs.db"
    targets: dict[str, TargetConfig] = Field(default_factory=dict)
    template_env: tuple[str, ...] = ()
