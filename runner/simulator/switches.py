"""What nobody documents about the cloud, one switch each; and who may talk to it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from runner.model.quantity import format_duration, parse_duration


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Written `90s`, `5m`, `1h30m`."""


class Switches(BaseModel):
    """Each field is a question that no public source answers; its default is the author's guess."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: Literal["huaweicloud", "otc"] = Field(
        "huaweicloud",
        description="otc: another path of the tag query, no STS, no `server_id`, `marker`, "
        "`ip_eq` and"
        " `enterprise_project_id` in lists, no `page_info` in groups.",
    )
    bad_servers: Literal["refuse", "sub_job"] = Field(
        "refuse",
        description=(
            "A missing, locked, frozen, busy or inactive server refuses the batch, or "
            "only fails its sub-job."
        ),
    )
    refusal: Literal["plain", "details", "named"] = Field(
        "plain",
        description=(
            "A refused batch answers with one code, with `details`, or with "
            "`internalError` for each server."
        ),
    )
    missing_code: Literal["Ecs.0114", "Ecs.0614"] = "Ecs.0114"
    busy_code: Literal["Ecs.0603", "Ecs.0100"] = Field(
        "Ecs.0603", description="The code for a server on which a task runs."
    )
    rebooting_servers: Literal["busy", "queue"] = Field(
        "busy",
        description="A server that is rebooting counts as busy, or is rebooted again afterwards.",
    )
    duplicates: Literal["refuse", "merge"] = Field(
        "refuse", description="The same id twice in one request: Ecs.0005, or taken once."
    )
    lower_case_type: bool = Field(False, description='`"type": "hard"` is taken too.')
    parent_of_mixed: Literal["FAIL", "SUCCESS"] = Field(
        "FAIL", description="The parent job when some of its sub-jobs failed."
    )
    quota: Literal["429", "202", "429-gateway", "503"] = Field(
        "429",
        description=(
            "Too many servers a minute: 429 Common.1503, 202 Common.0024, 429 APIGW.0308 "
            "or 503 Common.1503."
        ),
    )
    quota_retry_after: bool = Field(False, description="The quota's answer carries `Retry-After`.")
    quota_servers: Annotated[int, Field(ge=1)] = Field(
        1000, description="Servers in any 60 simulated seconds."
    )
    calls: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="The gateway takes so many calls in any `calls_within`, else 429 APIGW.0308.",
    )
    calls_within: Duration = Field(timedelta(minutes=1), description="The window of `calls`.")
    gone_job: Literal["400", "404"] = Field(
        "400", description="An unknown job: 400 Common.0011, or 404."
    )
    job_visible_after: Duration = Field(
        timedelta(0), description="A new job is unknown for so long."
    )
    job_kept: Duration = Field(
        timedelta(days=1), description="A finished job vanishes after this (documented)."
    )
    init: Duration = Field(
        timedelta(milliseconds=90), description="A new job is INIT, without sub-jobs, for so long."
    )
    parent_lag: Duration = Field(
        timedelta(seconds=8), description="From the last sub-job to the parent (recorded)."
    )
    state_lag: Duration = Field(
        timedelta(0),
        description="Lists and shows lag behind the server, at both edges of a reboot.",
    )
    history_lag: Duration = Field(
        timedelta(0), description="The action history lags so far behind."
    )
    unscoped_token: Literal["APIGW.0307", "APIGW.0301"] = Field(
        "APIGW.0307",
        description="The code for a token that is for no project: it does not fit, or is none.",
    )
    other_projects: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (),
        description=(
            "Names of further projects that IAM lists, for example `eu-de_team`; they "
            "hold no servers."
        ),
    )
    unlisted: Annotated[int, Field(ge=0)] = Field(
        0, description="The list counts so many servers without showing them: the last ones."
    )
    only_enterprise_project: str | None = Field(
        None,
        description=(
            "The user's rights cover one enterprise project: a list must name it, else Pdp.0001."
        ),
    )


class OidcTrust(BaseModel):
    """Which ID tokens the simulated STS and IAM take: those of one issuer, signed with HS256
    and `secret`.

    The real services know issuers by their public keys (RS256); a shared secret needs no
    library, and every other condition is the same. `subject` is a glob. IAM knows the
    provider as `idp_id`. `key_valid` makes keys end earlier than was asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: str = Field(repr=False, min_length=16)
    issuer: str = "https://token.actions.githubusercontent.com"
    audience: str = "sts.myhuaweicloud.com"
    subject: str = "*"
    provider_urn: str = "iam::simulated:oidcProvider:github"
    agency_urn: str = "iam::simulated:agency:reboot-runner"
    idp_id: str = "github"
    key_valid: Duration | None = None


class Instance(BaseModel):
    """The simulated server that the caller runs on, as its metadata service describes it.

    `server`: its id; it may be none of this cloud. `agency`: whether one is bound to it, so
    that it is given keys. `tokens`: whether questions may, must or cannot carry a token
    (the server's `http_tokens`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str
    agency: bool = True
    tokens: Literal["optional", "required", "unknown"] = "optional"
    key_valid: Duration = timedelta(hours=1)


class KnownLogins(BaseModel):
    """Who may talk to the simulated cloud. `repr` shows neither secret key, security token
    nor password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ak: str
    sk: str = Field(repr=False)
    security_token: str | None = Field(None, repr=False)
    user: str = "simulator"
    password: str = Field(repr=False)
    domain: str = "simulated-domain"
    token_valid: Duration = timedelta(hours=24)
    oidc: OidcTrust | None = None
    instance: Instance | None = None

    @classmethod
    def generated(
        cls, ak: str | None = None, sk: str | None = None, password: str | None = None
    ) -> KnownLogins:
        """Fresh random ones, except those that are given."""
        return cls(
            ak=ak or "SIM" + secrets.token_hex(9).upper()[:17],
            sk=sk or secrets.token_urlsafe(30)[:40],
            password=password or secrets.token_urlsafe(15),
        )
