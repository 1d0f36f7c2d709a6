"""Credentials of the environment, and that they never show."""

from __future__ import annotations

import copy
import pickle

import pytest

from runner.cloud.huawei.auth.choice import AuthKind, choose_login
from runner.cloud.huawei.auth.logins import (
    KeyLogin,
    PasswordLogin,
    TokenLogin,
)
from runner.errors import CloudDenied
from runner.net.secret import Secret, scrubber
from tests.cloud.credential_names import CREDENTIAL_NAMES

SDK = {
    "HUAWEICLOUD_SDK_AK": "sdk-ak",
    "HUAWEICLOUD_SDK_SK": "sdk-sk",
    "HUAWEICLOUD_SDK_PROJECT_ID": "sdk-project",
}
HW = {"HW_ACCESS_KEY": "hw-ak", "HW_SECRET_KEY": "hw-sk", "HW_SECURITY_TOKEN": "hw-token"}
HW_PASSWORD = {
    "HW_USER_NAME": "hw-user",
    "HW_USER_PASSWORD": "hw-pass",
    "HW_DOMAIN_NAME": "hw-domain",
}
OS = {"OS_AK": "os-ak", "OS_ACCESS_KEY_SECRET": "os-sk", "OS_TENANT_ID": "os-project"}
OS_PASSWORD = {
    "OS_USERNAME": "os-user",
    "OS_PASSWORD": "os-pass",
    "OS_DOMAIN_NAME": "os-domain",
    "OS_PROJECT_NAME": "eu-de_team",
}


def test_the_vendors_names_come_first() -> None:
    """The vendor SDK's names win over Terraform's, those over OpenStack's; a key over a
    token over a password.
    """
    everything = {**OS_PASSWORD, **OS, **HW_PASSWORD, "HW_AUTH_TOKEN": "hw-auth", **HW, **SDK}
    assert choose_login("auto", everything) == KeyLogin(
        Secret("sdk-ak"), Secret("sdk-sk"), None, "sdk-project"
    )
    without_sdk = {k: v for k, v in everything.items() if k not in SDK}
    assert choose_login("auto", without_sdk) == KeyLogin(
        Secret("hw-ak"), Secret("hw-sk"), Secret("hw-token"), None
    )
    without_keys = {k: v for k, v in without_sdk.items() if k not in HW}
    assert choose_login("auto", without_keys) == TokenLogin(Secret("hw-auth"))
    del without_keys["HW_AUTH_TOKEN"]
    assert choose_login("auto", without_keys) == PasswordLogin(
        Secret("hw-pass"), "hw-user", domain="hw-domain"
    )
    assert choose_login("auto", {**OS_PASSWORD, **OS}) == KeyLogin(
        Secret("os-ak"), Secret("os-sk"), None, "os-project"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("aksk", KeyLogin), ("token", TokenLogin), ("password", PasswordLogin)],
)
def test_a_kind_can_be_chosen(kind: AuthKind, expected: type) -> None:
    """A configured kind takes the first of that kind, whatever else is there."""
    assert isinstance(choose_login(kind, {**SDK, **HW_PASSWORD, "OS_TOKEN": "t"}), expected)


def test_password_login() -> None:
    """A user can be given by name and account, or by id; the project by its name."""
    assert choose_login("auto", OS_PASSWORD) == PasswordLogin(
        Secret("os-pass"), "os-user", domain="os-domain", project_name="eu-de_team"
    )
    assert choose_login("auto", {"OS_USER_ID": "u", "OS_PASSWORD": "p"}) == PasswordLogin(
        Secret("p"), user_id="u"
    )


def test_line_breaks_of_ci_stores() -> None:
    """Blanks and line breaks around a value are not part of it; an empty value is none."""
    padded = {
        "HUAWEICLOUD_SDK_AK": " ak\r\n",
        "HUAWEICLOUD_SDK_SK": "sk\n",
        "HUAWEICLOUD_SDK_SECURITY_TOKEN": "",
    }
    assert choose_login("auto", padded) == KeyLogin(Secret("ak"), Secret("sk"))


@pytest.mark.parametrize(
    ("environ", "kind", "names"),
    [
        ({}, "aksk", ["set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"]),
        ({}, "token", ["set HW_AUTH_TOKEN"]),
        ({}, "oidc", ["set HUAWEICLOUD_OIDC_PROVIDER_URN and HUAWEICLOUD_OIDC_AGENCY_URN"]),
        (SDK, "password", ["HW_USER_PASSWORD"]),
        ({"HUAWEICLOUD_SDK_AK": "planted-1", **HW}, "auto", ["HUAWEICLOUD_SDK_SK"]),
        ({"HW_SECRET_KEY": "planted-1"}, "auto", ["HW_ACCESS_KEY"]),
        ({"OS_USERNAME": "u", "OS_PASSWORD": "planted-1"}, "auto", ["OS_USER_DOMAIN_NAME"]),
        ({"HW_USER_PASSWORD": "planted-1"}, "auto", ["HW_USER_NAME"]),
        (
            {"HW_USER_NAME": "u", "HW_USER_PASSWORD": "", "HW_DOMAIN_NAME": "d"},
            "auto",
            [
                "HW_USER_NAME is set but HW_USER_PASSWORD is not (it is empty)",
                "or unset HW_USER_NAME",
            ],
        ),
        (
            {"OS_USERNAME": "u"},
            "auto",
            ["OS_USERNAME is set but OS_PASSWORD is not", "or unset OS_USERNAME"],
        ),
        ({"HW_USER_ID": "u"}, "password", ["HW_USER_ID is set but HW_USER_PASSWORD is not"]),
        ({"OS_ACCESS_KEY_ID": "a"}, "auto", ["OS_ACCESS_KEY_ID is set but OS_SECRET_KEY is not"]),
        (
            {"HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted-1"},
            "auto",
            ["HUAWEICLOUD_SDK_SECURITY_TOKEN is set but HUAWEICLOUD_SDK_AK is not"],
        ),
        (
            {"HUAWEICLOUD_OIDC_TOKEN_FILE": "f"},
            "auto",
            ["HUAWEICLOUD_OIDC_TOKEN_FILE is set", "OIDC_AGENCY_URN"],
        ),
        ({"HUAWEICLOUD_OIDC_ID_TOKEN": "planted-1"}, "oidc", ["HUAWEICLOUD_OIDC_ID_TOKEN is set"]),
        ({"OS_TOKEN": "planted-1\nX-Other: 1"}, "auto", ["OS_TOKEN"]),
        (
            {**SDK, "HUAWEICLOUD_SDK_PROJECT_ID": "a\r\nb: planted-1"},
            "auto",
            ["HUAWEICLOUD_SDK_PROJECT_ID"],
        ),
        ({"HW_AUTH_TOKEN": "planted-1é"}, "auto", ["HW_AUTH_TOKEN"]),
    ],
)
def test_what_is_missing_is_named(
    environ: dict[str, str], kind: AuthKind, names: list[str]
) -> None:
    """None, half a pair, or a value no header can carry: the variable is named, its value never."""
    with pytest.raises(CloudDenied) as caught:
        choose_login(kind, environ)
    shown = f"{caught.value} {caught.value.hint}"
    assert all(name in shown for name in names)
    assert "planted-1" not in shown


def test_a_user_beside_a_whole_login() -> None:
    """A user's name ends the search where it is reached; what comes before it is taken."""
    assert isinstance(choose_login("auto", {**SDK, "OS_USERNAME": "u"}), KeyLogin)
    assert isinstance(choose_login("auto", {"OS_TOKEN": "t", "OS_USERNAME": "u"}), TokenLogin)
    with pytest.raises(CloudDenied, match="HW_USER_NAME is set"):
        choose_login("auto", {"HW_USER_NAME": "u", "OS_TOKEN": "t"})


def test_passwords_may_hold_anything() -> None:
    """A password goes into a JSON body, so it may be in any script."""
    environ = {**HW_PASSWORD, "HW_USER_PASSWORD": "pä$$\u2028wörd"}
    login = choose_login("auto", environ)
    assert isinstance(login, PasswordLogin)
    assert login.password.reveal() == "pä$$\u2028wörd"


def test_names_that_hold_credentials() -> None:
    """Every variable that can hold a secret is listed, so that templates never read it."""
    assert {
        "HUAWEICLOUD_SDK_SK",
        "HW_USER_PASSWORD",
        "OS_TOKEN",
        "OS_SK",
        "HW_SECURITY_TOKEN",
    } <= CREDENTIAL_NAMES
    assert "HW_USER_NAME" not in CREDENTIAL_NAMES


def test_secrets_do_not_print() -> None:
    """A secret shows in no form of printing, and is never stored."""
    secret = Secret("planted-secret")
    login = KeyLogin(secret, secret, secret)
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>20}",
        "%s" % secret,  # noqa: UP031
        repr(login),
        repr([login]),
    ):
        assert "planted" not in shown
    with pytest.raises(TypeError, match="never stored"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="never stored"):
        copy.deepcopy(login)
    assert secret == Secret("planted-secret") != Secret("other")
    assert len({secret, Secret("planted-secret")}) == 1
    assert secret != "planted-secret"


def test_scrubbing_takes_the_longest_first() -> None:
    """A secret that holds another one is hidden whole; nothing is hidden for an empty one."""
    scrub = scrubber([Secret("abcd"), Secret("abcd-long"), Secret("")])
    assert scrub("x abcd-long abcd y") == "x *** *** y"
