"""Whole runs on credentials that end in the middle of a wave, one for each kind that is renewed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import stamina

from runner.cloud.huawei.auth.choice import choose_login
from runner.cloud.huawei.auth.logins import Login
from runner.simulator.server import Running
from runner.simulator.switches import Instance, KnownLogins
from tests.cloud.wild import run
from tests.execution.memory_cloud import VirtualClock
from tests.issuer import TRUST, Issuer, issuer
from tests.runs.harness import Field, options_of, plan_of, simulated

SERVER = "5b919bd2-e315-41d0-850d-a15cb5a686c0"
SHORT = timedelta(seconds=25)
"""Less than one reboot takes (40 s): what was fetched before a wave has ended before its job."""

KINDS = ("password", "oidc", "idp", "metadata")


def login_by(kind: str, here: Running, github: Issuer) -> Login:
    keys = here.state.credentials
    match kind:
        case "password":
            names = {
                "HW_USER_NAME": keys.user,
                "HW_USER_PASSWORD": keys.password,
                "HW_DOMAIN_NAME": keys.domain,
            }
            return choose_login("password", names)
        case "oidc":
            return choose_login("auto", github.environ)
        case "idp":
            job = {
                name: value for name, value in github.environ.items() if name.startswith("ACTIONS_")
            }
            return choose_login("auto", {**job, "HUAWEICLOUD_SDK_IDP_ID": TRUST.idp_id})
    return choose_login("metadata", {"REBOOT_RUNNER_METADATA": here.url})


@asynccontextmanager
async def there(kind: str, valid: timedelta) -> AsyncIterator[Field]:
    """A cloud of 12 servers whose tokens and keys are good for this long, and a client that
    logs in this way.
    """
    keys = KnownLogins(
        ak="PERMANENT",
        sk="permanent-secret",
        password="permanent-pass",
        token_valid=valid,
        oidc=TRUST.model_copy(update={"key_valid": valid}),
        instance=Instance(server=SERVER, key_valid=valid),
    )
    clocks: list[VirtualClock] = []
    with issuer(lambda: clocks[0].now()) as github:

        def login(here: Running, clock: VirtualClock) -> Login:
            clocks.append(clock)
            return login_by(kind, here, github)

        async with simulated(replace(options_of(12), credentials=keys), login=login) as field:
            yield field


def exchanges(field: Field, kind: str) -> int:
    return sum(
        c.call == ("metadata" if kind == "metadata" else "token") and c.status < 300
        for c in field.calls()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_in_the_middle_of_a_wave(kind: str) -> None:
    """Tokens and keys that end while a wave is down are renewed before they are refused; no
    server goes down twice.
    """

    async def main() -> None:
        async with there(kind, SHORT) as field:
            done = await field.run(plan_of("50%, 50%"))
            assert (done.word, {s.outcome for s in done.servers.values()}) == ("done", {"ready"})
            assert set(field.state.reboot_counts().values()) == {1}
            assert len(field.state.reboot_counts()) == 12
            assert exchanges(field, kind) >= 3
            assert 401 not in {c.status for c in field.calls()}

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_revoked_in_the_middle_of_a_wave(kind: str) -> None:
    """What is refused with 401, under a job and before a reboot, is renewed once; no server
    goes down twice.
    """

    async def main() -> None:
        with stamina.set_testing(True, attempts=2):
            async with there(kind, timedelta(hours=1)) as field:
                field.add_rules({"do": "expire_token", "on": "job", "after": 1})
                field.add_rules({"do": "expire_token", "on": "reboot", "after": 1})
                done = await field.run(plan_of("50%, 50%"))
                assert (done.word, {s.outcome for s in done.servers.values()}) == (
                    "done",
                    {"ready"},
                )
                assert set(field.state.reboot_counts().values()) == {1}
                assert len(field.state.reboot_counts()) == 12
                assert [c.status for c in field.calls("reboot")] == [200, 401, 200]
                assert [c.status for c in field.calls("job")].count(401) == 1

    run(main())
