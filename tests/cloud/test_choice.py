"""Which login is taken: the order, the credentials file, and targets with names of their own."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from runner.cloud.huawei.auth.choice import choose, choose_login, explain_choice
from runner.cloud.huawei.auth.logins import (
    IdpLogin,
    KeyLogin,
    MetadataLogin,
    TokenLogin,
    TokenRequest,
)
from runner.cloud.huawei.machine import ADDRESS
from runner.errors import CloudDenied
from runner.loading.config import is_secret_name, load_config_text, template_env
from runner.model.config import TargetConfig
from runner.net.secret import Secret
from tests.cloud.credential_names import CREDENTIAL_NAMES
from tests.issuer import NAMES

TOKEN = {**NAMES, "HUAWEICLOUD_OIDC_ID_TOKEN": "planted-token"}
IDP = {"HUAWEICLOUD_SDK_IDP_ID": "github", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": "token.jwt"}
GITHUB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://issuer.example.com/x",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "planted-bearer",
}
SDK = {"HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK": "planted-sk"}
FILE = (
    "[basic]\nak = file-ak\nsk = planted-file-sk\nsecurity_token = t%%1\nproject_id = "
    "p\n[global]\nak = no\n"
)


def home(folder: Path, text: str | bytes | None = FILE) -> dict[str, str]:
    """An environment whose home folder has this credentials file."""
    file = folder / ".huaweicloud" / "credentials"
    file.parent.mkdir(exist_ok=True)
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(0o600)
    return {"HOME": str(folder)}


def test_order_of_auto(tmp_path: Path) -> None:
    """STS, IAM's identity provider, the environment, the file of the home folder, the
    metadata service.
    """
    at_home = home(tmp_path)
    steps: list[tuple[dict[str, str], str]] = [
        (TOKEN, "HUAWEICLOUD_OIDC_PROVIDER_URN and HUAWEICLOUD_OIDC_AGENCY_URN are set"),
        (IDP, "HUAWEICLOUD_SDK_IDP_ID is set"),
        (SDK, "HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK are set"),
        ({"OS_TOKEN": "planted"}, "OS_TOKEN is set"),
        (at_home, f"it is in the file {tmp_path}/.huaweicloud/credentials, with a security token"),
        ({}, "this machine's metadata service is asked last"),
    ]
    for n in range(len(steps)):
        environ = {name: value for some, _ in steps[n:] for name, value in some.items()}
        assert choose("auto", environ).why == steps[n][1]
        taken = [c for c in explain_choice(TargetConfig(cloud="otc"), environ) if c.taken]
        assert [(c.kind, c.why) for c in taken] == [(choose("auto", environ).kind, steps[n][1])]


def test_nothing_is_set() -> None:
    """Where nothing is set, the metadata service is the last resort, and knows what else
    could have been set.
    """
    login = choose_login("auto", {})
    assert isinstance(login, MetadataLogin)
    assert login.origin == ADDRESS
    assert login.instead_of == "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    assert choose_login("metadata", {}) == MetadataLogin(ADDRESS)


def test_half_a_login_ends_the_search(tmp_path: Path) -> None:
    """Half of one is an error, though a whole one follows; the explanation takes none
    and says why.
    """
    environ = {"HUAWEICLOUD_SDK_AK": "ak", "OS_TOKEN": "planted", **home(tmp_path)}
    with pytest.raises(
        CloudDenied, match="HUAWEICLOUD_SDK_AK is set but HUAWEICLOUD_SDK_SK is not"
    ):
        choose("auto", environ)
    told = {c.kind: c for c in explain_choice(TargetConfig(cloud="otc"), environ)}
    assert not any(c.taken for c in told.values())
    assert "cannot be used: HUAWEICLOUD_SDK_AK is set" in told["aksk"].why
    assert (
        "OS_TOKEN is set, but not taken: the search ends at what cannot be used"
        in told["token"].why
    )
    assert not any("another came first" in c.why or "not needed" in c.why for c in told.values())
    for half in ({"HUAWEICLOUD_SDK_IDP_ID": "github"}, {"HUAWEICLOUD_SDK_ID_TOKEN_FILE": "x"}):
        with pytest.raises(CloudDenied, match="HUAWEICLOUD_SDK_I"):
            choose("auto", {**half, **SDK})


def test_half_a_login_after_a_whole_one() -> None:
    """It is no error then, and is not called set."""
    told = {
        c.kind: c.why
        for c in explain_choice(TargetConfig(cloud="otc"), {"OS_TOKEN": "t", "HW_USER_NAME": "u"})
    }
    assert "cannot be used: HW_USER_NAME is set but HW_USER_PASSWORD is not" in told["password"]
    told = {
        c.kind: c.why
        for c in explain_choice(
            TargetConfig(cloud="otc"), {"HW_AUTH_TOKEN": "t", "OS_USERNAME": "u"}
        )
    }
    assert (
        "not needed; it could not be used: OS_USERNAME is set but OS_PASSWORD is not"
        in told["password"]
    )
    assert "and not needed" not in told["password"]


def test_what_is_said_of_a_file(tmp_path: Path) -> None:
    """One that is not there, one that is none, and one with both kinds: what is told of
    each kind is true.
    """
    target = TargetConfig(cloud="otc")
    for text in (None, "no ini", "[basic]\nak = a\n"):
        file = tmp_path / "named"
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        environ = {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(file)}
        with pytest.raises(CloudDenied) as refused:
            choose("auto", environ)
        told = {c.kind: c.why for c in explain_choice(target, environ)}
        for kind in ("oidc", "aksk"):
            assert told[kind].endswith(f"cannot be used: {refused.value.message}")
            assert "it is in the file" not in told[kind]
        assert "another came first" not in told["metadata"]
    file.write_text("[basic]\nak = a\nsk = s\nidp_id = github\nid_token_file = /x/token.jwt\n")
    told = {c.kind: c.why for c in explain_choice(target, environ)}
    assert told["aksk"].endswith(f"{file} names an identity provider, which comes before a key")
    assert "of this kind" not in told["aksk"]


def test_a_security_token_is_told() -> None:
    """Its value is not; a key without one says nothing of it."""
    with_one = choose("auto", {**SDK, "HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted"})
    assert (
        with_one.why == "HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK are set, with a security token"
    )
    assert "security" not in choose("auto", SDK).why


def test_an_identity_provider_in_github() -> None:
    """Without a file, the job's own service is asked for ID tokens."""
    login = choose_login("oidc", {"HUAWEICLOUD_SDK_IDP_ID": "github", **GITHUB})
    assert isinstance(login, IdpLogin)
    assert isinstance(login.id_token, TokenRequest)


# -- the credentials file ------------------------------------------------------


def test_file_is_read_as_the_sdk_does(tmp_path: Path) -> None:
    """`[basic]` of the home folder, or of the file that a variable names; an identity
    provider in it wins.
    """
    key = KeyLogin(Secret("file-ak"), Secret("planted-file-sk"), Secret("t%1"), "p")
    assert choose_login("auto", home(tmp_path)) == choose_login("aksk", home(tmp_path)) == key
    named = tmp_path / "named"
    named.write_text("[basic]\nak = a\nsk = s\nidp_id = github\nid_token_file = /x/token.jwt\n")
    environ = {**home(tmp_path), "HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(named)}
    assert choose_login("oidc", environ) == IdpLogin("github", Path("/x/token.jwt"))
    with pytest.raises(
        CloudDenied, match="no credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    ):
        choose_login("aksk", environ)


@pytest.mark.parametrize("text", [None, "", "[global]\nak = x\nsk = y\n"])
def test_home_without_such_a_file(tmp_path: Path, text: str | None) -> None:
    """No file in the home folder, or no `[basic]` in it, is no login; a file that is named
    must have one.
    """
    assert isinstance(choose_login("auto", home(tmp_path, text)), MetadataLogin)
    with pytest.raises(CloudDenied, match=r"is not there|has no section"):
        choose_login(
            "auto",
            {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(tmp_path / ".huaweicloud" / "credentials")},
        )


@pytest.mark.parametrize(
    "text",
    [
        "[basic]\nak = planted-1\n",
        "[basic]\nsk = planted-1\n",
        "[basic]\nak = planted-1é\nsk = planted-1\n",
        "[basic]\nak = a\nsk = planted-1%x\n",
        "[basic]\nak = a\nsk = planted-1\nsk = planted-1\n",
        "planted-1\n",
        "[basic]\nplanted-1\n",
        b"[basic]\nak = \xffplanted-1\n",
        "[basic]\nak = a\nsk = planted-1" + "x" * 70_000,
    ],
)
def test_file_that_cannot_be_used(tmp_path: Path, text: str | bytes) -> None:
    """A file that holds half a login, or is none, is an error that names the file and
    quotes nothing of it.
    """
    with pytest.raises(CloudDenied) as refused:
        choose("auto", home(tmp_path, text))
    linked: BaseException | None = refused.value
    shown = str(refused.value.hint)
    while linked is not None:
        shown += f"{linked!r} {linked}"
        linked = linked.__cause__ or linked.__context__
    assert str(tmp_path) in shown
    assert "planted" not in shown


def test_file_that_others_can_read(tmp_path: Path) -> None:
    """It is used, with a warning that says how to mend it."""
    environ = home(tmp_path)
    assert choose("auto", environ).warnings == ()
    file = tmp_path / ".huaweicloud" / "credentials"
    for mode in (0o640, 0o604):
        file.chmod(mode)
        (warning,) = choose("auto", environ).warnings
        assert warning == f"{file} can be read by others on this machine: chmod 600 {file}"
        assert any(warning in c.why for c in explain_choice(TargetConfig(cloud="otc"), environ))


# -- targets with names of their own -------------------------------------------


def test_prefix_reads_nothing_else(tmp_path: Path) -> None:
    """With `env_prefix` each name has the prefix; nothing without it is read: no variable,
    no file, no metadata.
    """
    plain = {
        **TOKEN,
        **IDP,
        **SDK,
        "OS_TOKEN": "planted",
        "HW_AUTH_TOKEN": "planted",
        **home(tmp_path),
    }
    for auth in ("auto", "aksk", "token", "password", "oidc"):
        with pytest.raises(CloudDenied) as refused:
            choose(auth, plain, "PROD_")
        assert "no credentials: set PROD_" in str(refused.value)
    assert choose_login("metadata", plain, "PROD_") == MetadataLogin(ADDRESS)
    mine = {**plain, "PROD_HUAWEICLOUD_SDK_AK": "mine", "PROD_HUAWEICLOUD_SDK_SK": "s"}
    assert choose_login("auto", mine, "PROD_") == KeyLogin(Secret("mine"), Secret("s"))
    assert choose_login("auto", {**plain, "PROD_OS_TOKEN": "mine"}, "PROD_") == TokenLogin(
        Secret("mine")
    )
    file = {
        **plain,
        "PROD_HUAWEICLOUD_SDK_CREDENTIALS_FILE": f"{tmp_path}/.huaweicloud/credentials",
    }
    assert isinstance(choose_login("aksk", file, "PROD_"), KeyLogin)
    target = TargetConfig(cloud="otc", env_prefix="PROD_")
    assert [c.kind for c in explain_choice(target, mine) if c.taken] == ["aksk"]
    assert not [c for c in explain_choice(target, plain) if c.taken]


def test_prefix_in_github() -> None:
    """Whom to become has the prefix; where the job's ID tokens come from is GitHub's,
    and has none.
    """
    names = {f"STAGE_{name}": value for name, value in NAMES.items()}
    assert choose("auto", {**names, **GITHUB}, "STAGE_").kind == "oidc"
    with pytest.raises(
        CloudDenied, match="STAGE_HUAWEICLOUD_OIDC_PROVIDER_URN is set, but there is no ID token"
    ):
        choose("auto", {**names, "HUAWEICLOUD_OIDC_ID_TOKEN": "planted"}, "STAGE_")


def test_prefix_is_in_every_message() -> None:
    """What is missing or wrong is named as people set it."""
    for environ in (
        {"X_HUAWEICLOUD_SDK_AK": "a"},
        {"X_HW_USER_PASSWORD": "p"},
        {"X_OS_TOKEN": "té"},
        {"X_HUAWEICLOUD_OIDC_AGENCY_URN": "a"},
        {"X_HUAWEICLOUD_SDK_IDP_ID": "a"},
    ):
        with pytest.raises(CloudDenied) as refused:
            choose("auto", environ, "X_")
        assert next(iter(environ)) in refused.value.message
        assert "X_" in str(refused.value.hint)


CONFIG = """\
template_env: [PROD_SITE]
targets:
  prod: {cloud: otc, env_prefix: PROD_}
  bare: {cloud: otc}
sources: {one: {http: 'https://h.example.com', token_env: MINE}}
"""


@pytest.mark.parametrize(("prefix", "name"), list(product(["", "PROD_"], sorted(CREDENTIAL_NAMES))))
def test_names_of_credentials_are_never_for_others(prefix: str, name: str) -> None:
    """With a prefix as without one, no template may read them and no source is sent them."""
    for changed, code in (
        (CONFIG.replace("PROD_SITE", prefix + name), "CredentialInTemplateEnv"),
        (CONFIG.replace("MINE", prefix + name), "BadSource"),
    ):
        assert [p.code for p in load_config_text(changed, "reboot-runner.yaml", {}).problems] == [
            code
        ]


def test_prefixed_names_that_hold_no_secret() -> None:
    """All that begins with a target's prefix and a family's is refused; another name with
    the prefix is read.
    """
    loaded = load_config_text(CONFIG, "reboot-runner.yaml", {})
    assert template_env(loaded.config, {"PROD_SITE": "x", "PROD_OS_AK": "planted"}) == {
        "PROD_SITE": "x"
    }
    assert not is_secret_name("PROD_HW_DOMAIN_NAME")
    assert is_secret_name("PROD_HW_DOMAIN_NAME", ["PROD_"])
    changed = load_config_text(
        CONFIG.replace("PROD_SITE", "PROD_HW_DOMAIN_NAME"), "reboot-runner.yaml", {}
    )
    assert [p.code for p in changed.problems] == ["CredentialInTemplateEnv"]


def test_an_address_of_metadata_that_may_not_be_asked() -> None:
    """It is an error of the login, and explained as such."""
    environ: dict[str, Any] = {"REBOOT_RUNNER_METADATA": "http://169.254.169.253"}
    with pytest.raises(CloudDenied, match="REBOOT_RUNNER_METADATA is no address"):
        choose("metadata", environ)
    told = explain_choice(TargetConfig(cloud="otc", auth="metadata"), environ)
    assert "cannot be used" in next(c.why for c in told if c.kind == "metadata")
