"""The configuration as people mean it: targets, the store, what plans may read."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from runner.model.bounds import Name
from runner.model.clouds import CLOUDS, check_cloud
from runner.model.plan import (
    Ids,
    Many,
    Part,
    PositiveDuration,
    Selector,
    TagKey,
    TagValues,
    Text,
    Texts,
    Version,
    as_the_cloud_writes,
)

ALL_GRANTED = "all_granted_eps"
"""Every enterprise project that the credentials can use ("Querying Details About ECSs",
`enterprise_project_id`).
"""
EnvName = Annotated[str, StringConstraints(pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
EnvNames = Annotated[tuple[EnvName, ...], Field(max_length=1000), Many()]


class TargetQuota(Part):
    """How hard a target may be driven."""

    servers_per_minute: Annotated[int, Field(ge=1, le=1000)] = 1000
    servers_per_request: Annotated[int, Field(ge=1, le=1000)] = 1000
    poll_every: PositiveDuration = timedelta(seconds=5)
    settle: PositiveDuration = timedelta(minutes=3)


class Endpoints(Part):
    """Only to override the rule; https, or http on loopback."""

    ecs: Text | None = None
    iam: Text | None = None
    sts: Text | None = Field(None, description="Where `auth: oidc` exchanges ID tokens.")
    ces: Text | None = Field(None, description="Cloud Eye, for gates with `alarms`.")
    autoscaling: Text | None = Field(
        None, description="Auto Scaling, whose members `diff` warns of."
    )


class SimulatorOptions(Part):
    """The embedded simulated cloud of a target `cloud: simulator` without an endpoint."""

    servers: Annotated[int, Field(ge=1, le=200_000)] = 60
    seed: Annotated[int, Field(ge=0, le=2**53)] = 1
    time_scale: Annotated[float, Field(gt=0, le=10_000)] = 60.0
    scenario: Text | None = Field(
        None, description="A scenario file with faults, relative to the configuration."
    )


class SupportSelector(Part):
    """Which servers: all keys that are written must match, as in `servers` of a plan."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    ids: Annotated[Ids, AfterValidator(as_the_cloud_writes)] | None = Field(
        None, description="Server ids."
    )
    names: Texts | None = Field(None, description="Shell globs, for example bastion-*.")
    tags: dict[TagKey, TagValues] | None = Field(
        None, min_length=1, description="AND between keys, OR in a list of values."
    )

    @model_validator(mode="after")
    def _says_something(self) -> SupportSelector:
        if self.ids is None and self.names is None and self.tags is None:
            raise ValueError("an empty selector selects nothing; write ids, names or tags")
        return self

    @cached_property
    def selector(self) -> Selector:
        """The same as a selector, to be matched as `servers` of a plan is."""
        return Selector(**{name: getattr(self, name) for name in type(self).model_fields})


class Support(Part):
    """Servers that the runner itself depends on: a bastion, a NAT, the store, the CI
    system's runners.
    """

    name: Name = Field(description="What they are, for people: bastion, nat, store.")
    servers: SupportSelector
    action: Literal["refuse", "last"] = Field(
        "refuse",
        description=(
            "refuse: a plan that would reboot one is refused. last: in waves of their "
            "own after all others."
        ),
    )


Supports = Annotated[tuple[Support, ...], Field(max_length=100), Many()]


class TargetConfig(Part):
    """A named cloud project. Credentials come from the environment, never from this file.

    `region` becomes part of host names, so it has their characters.
    """

    cloud: Annotated[
        Text, AfterValidator(check_cloud), WithJsonSchema({"enum": list(CLOUDS), "type": "string"})
    ]
    region: Name = "eu-west-101"
    project_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None = Field(
        None, description="Looked up by region where it is not written."
    )
    enterprise_project: (
        Annotated[
            str,
            StringConstraints(
                pattern=f"^({ALL_GRANTED}|0|[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})$"
            ),
        ]
        | None
    ) = Field(
        None,
        description="An enterprise project, sent with every list: its id, 0 for the default one, "
        "or all_granted_eps"
        " for all that the credentials can use. Not on Open Telekom Cloud.",
    )
    endpoints: Endpoints = Endpoints.model_construct()
    auth: Literal["auto", "token", "password", "aksk", "metadata", "oidc"] = "auto"
    env_prefix: Annotated[str, StringConstraints(pattern="^[A-Z][A-Z0-9_]{0,62}_$")] | None = Field(
        None,
        description="Every environment variable with credentials of this target begins with it: "
        "PROD_ reads "
        "PROD_HUAWEICLOUD_SDK_AK, and nothing without the prefix.",
    )
    rate: TargetQuota = TargetQuota.model_construct()
    support: Supports = Field(
        (), description="Servers that the runner depends on, and what becomes of them."
    )
    simulator: SimulatorOptions | None = None


class SourceConfig(Part):
    """What gates of plans may ask: exactly one of `prometheus` and `http`, an address that
    is https, or on loopback.
    """

    prometheus: Text | None = Field(
        None, description="The address of a server with Prometheus' HTTP API."
    )
    http: Text | None = Field(None, description="What paths of `http` gates are appended to.")
    token_env: EnvName | None = Field(
        None,
        description=(
            "The environment variable whose value is sent as bearer token; the file holds none."
        ),
    )

    @model_validator(mode="after")
    def _is_one(self) -> SourceConfig:
        if (self.prometheus is None) == (self.http is None):
            raise ValueError("a source is one of prometheus and http")
        return self

    @property
    def kind(self) -> Literal["prometheus", "http"]:
        return "prometheus" if self.prometheus else "http"

    @property
    def url(self) -> str:
        return (self.prometheus or self.http or "").rstrip("/")


class Config(Part):
    """`reboot-runner.yaml`."""

    version: Version = Field(1, description="Of the format.")
    store: Text = Field(
        "sqlite:///.reboot-runner/runs.db",
        description="Where journals live: sqlite:///FILE, git+https://HOST/OWNER/REPOSITORY or"
        " postgresql://HOST/DATABASE, without a password.",
    )
    targets: dict[Name, TargetConfig] = Field(
        default_factory=dict, description="Cloud projects by the name that plans use."
    )
    policy: Text | None = Field(
        None,
        description="A file with belts that every plan must obey, relative to the configuration.",
    )
    sources: dict[Name, SourceConfig] = Field(
        default_factory=dict, description="What gates may ask, by the name that plans use."
    )
    template_env: EnvNames = Field(
        (), description="Environment variables that templates of plans may read."
    )
