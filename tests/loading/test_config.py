"""The configuration: where it is found, what it may say, and what it may never hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from runner.errors import InvalidInput
from runner.loading.config import (
    find_config,
    is_secret_name,
    load_config,
    load_config_text,
    template_env,
)
from runner.model.config import Config
from runner.ports.provider import provider_of

FULL = """\
version: 1
store: sqlite:///.reboot-runner/runs.db
targets:
  prod-eu:
    cloud: huaweicloud
    region: eu-west-101
    project_id: 05041fffa40025702f6dc009cc6f8f33
    endpoints: {ecs: https://ecs.eu-west-101.myhuaweicloud.eu, iam: "http://127.0.0.1:8080"}
    auth: aksk
    rate: {servers_per_minute: 500, servers_per_request: 100, poll_every: 10s, settle: 5m}
  play:
    cloud: simulator
    simulator: {servers: 100, seed: 7, time_scale: 120}
template_env: [CI_ENVIRONMENT]
"""


def codes(text: str, **env: str) -> list[tuple[str, int]]:
    loaded = load_config_text(text, "reboot-runner.yaml", env)
    return [(p.code, p.location.line) for p in loaded.problems if p.location]


def test_everything_that_can_be_configured() -> None:
    """A full configuration is read field by field."""
    loaded = load_config_text(FULL, "reboot-runner.yaml", {})
    assert loaded.problems == ()
    target = loaded.config.targets["prod-eu"]
    assert target.endpoints.iam == "http://127.0.0.1:8080"
    assert target.rate.poll_every == timedelta(seconds=10)
    play = loaded.config.targets["play"].simulator
    assert play is not None
    assert (play.servers, play.seed, play.time_scale) == (100, 7, 120)


def test_without_a_file_there_is_only_the_simulator(tmp_path: Path) -> None:
    """Without a configuration the tool works on the embedded simulated cloud, and on
    nothing else.
    """
    loaded = load_config(None, tmp_path, {})
    assert (loaded.path, loaded.problems) == (None, ())
    assert list(loaded.config.targets) == ["simulator"]
    assert loaded.config.store == Config().store


def test_it_is_found_upwards_to_the_git_root(tmp_path: Path) -> None:
    """The nearest file counts; above the repository nobody looks."""
    (tmp_path / "reboot-runner.yaml").write_text("targets: {above: {cloud: simulator}}\n")
    deep = tmp_path / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    assert load_config(None, deep, {}).path is None
    (tmp_path / "repo" / "reboot-runner.yaml").write_text("targets: {root: {cloud: simulator}}\n")
    assert list(load_config(None, deep, {}).config.targets) == ["root"]
    (deep.parent / "reboot-runner.yaml").write_text("targets: {near: {cloud: simulator}}\n")
    assert list(load_config(None, deep, {}).config.targets) == ["near"]


def test_outside_a_repository_only_the_folder_itself_counts(tmp_path: Path) -> None:
    """Without a repository a configuration of some folder above is not picked up."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "reboot-runner.yaml").write_text("targets: {above: {cloud: simulator}}\n")
    assert load_config(None, inner, {}).path is None
    assert load_config(None, tmp_path, {}).path == tmp_path / "reboot-runner.yaml"


def test_option_and_environment_win(tmp_path: Path) -> None:
    """--config over REBOOT_RUNNER_CONFIG over the search; REBOOT_RUNNER_STORE over the file."""
    for name in ("option", "environment", "reboot-runner"):
        (tmp_path / f"{name}.yaml").write_text(f"targets: {{{name}: {{cloud: simulator}}}}\n")
    env = {
        "REBOOT_RUNNER_CONFIG": str(tmp_path / "environment.yaml"),
        "REBOOT_RUNNER_STORE": "postgresql://h/d",
    }
    assert list(load_config(tmp_path / "option.yaml", tmp_path, env).config.targets) == ["option"]
    loaded = load_config(None, tmp_path, env)
    assert list(loaded.config.targets) == ["environment"]
    assert loaded.config.store == "postgresql://h/d"
    missing = load_config(tmp_path / "none.yaml", tmp_path, {})
    assert [p.code for p in missing.problems] == ["Unreadable"]


CLOUD = provider_of("huaweicloud")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("targets: {a: {cloud: huawei}}", [("BadValue", 1)]),
        ("targets: {A: {cloud: simulator}}", [("BadValue", 1)]),
        ("targets: {a: {}}", [("MissingKey", 1)]),
        ("targets:\n  a:\n", [("NoValue", 2)]),
        ("tragets: {}", [("UnknownKey", 1)]),
        ("version: 2", [("BadValue", 1)]),
        ("sources: {}\nnotifications: []", [("NotSupportedYet", 2)]),
        ("sources: {a: {prometheus: http://prom.example.com}}", [("BadSource", 1)]),
        ("sources: {a: {http: 'https://u:hunter2@h'}}", [("BadSource", 1)]),
        ("sources: {a: {http: 'https://h/x?token=1'}}", [("BadSource", 1)]),
        ("sources: {a: {http: 'https://h', prometheus: 'https://h'}}", [("BadSource", 1)]),
        ("sources: {a: {}}", [("BadSource", 1)]),
        ("sources: {a: {http: 'https://h', token: hunter2}}", [("CredentialInFile", 1)]),
        ("sources: {a: {http: 'https://h', token_env: 'a b'}}", [("BadValue", 1)]),
        ("sources: {a: {http: 'https://h', token_env: HW_SECRET_KEY}}", [("BadSource", 1)]),
        ("sources: {a: {http: 'https://h', token_env: GITHUB_TOKEN}}", [("BadSource", 1)]),
        ("targets: {a: {cloud: otc, auth: keyring}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, env_prefix: prod_}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, env_prefix: PROD}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, auth: magic}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, project_id: '../x'}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, region: 'x.evil.com/#'}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, rate: {servers_per_minute: 1001}}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, rate: {poll_every: 0s}}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, enterprise_project: '0'}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: huaweicloud, enterprise_project: prod}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: huaweicloud, enterprise_project: '0&limit=1'}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: otc, simulator: {seed: 1}}}", [("BadValue", 1)]),
        ("targets: {a: {cloud: simulator, simulator: {time_scale: 0}}}", [("BadValue", 1)]),
        (("targets: {a: {cloud: simulator, simulator: {scenario: " "../../../../etc/passwd}}}"), [("OutsideRepository", 1)]),  # noqa: E501
        ("store: mysql://h/d", [("BadStore", 1)]),
        ("store: postgresql://u:hunter2@h/d", [("CredentialInFile", 1)]),
        ("targets:\n  a:\n    cloud: otc\n    password: hunter2", [("CredentialInFile", 4)]),
        ("targets: {a: {cloud: otc, ak: hunter2, sk: hunter2}}", [("CredentialInFile", 1), ("CredentialInFile", 1)]),  # noqa: E501
        ("template_env: [HUAWEICLOUD_SDK_SK]", [("CredentialInTemplateEnv", 1)]),
        ("template_env: ['a b']", [("BadValue", 1)]),
        ("- a", [("WrongType", 1)]),
        ("store: {{ vars.x }}", [("UnquotedTemplate", 1)]),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_line(text: str, expected: list[tuple[str, int]]) -> None:
    """A bad configuration has located problems, and nothing of it is used."""
    assert codes(text) == expected
    loaded = load_config_text(text, "reboot-runner.yaml", {})
    assert not loaded.is_valid
    assert list(loaded.config.targets) == ["simulator"]
    assert "hunter2" not in repr(loaded)


def test_a_bad_store_of_the_environment_is_not_quoted() -> None:
    """What is wrong with REBOOT_RUNNER_STORE is said without its password."""
    loaded = load_config_text(
        "version: 1", "c.yaml", {"REBOOT_RUNNER_STORE": "mysql://u:hunter2@h/d"}
    )
    assert [p.code for p in loaded.problems] == ["BadStore"]
    assert not any("hunter2" in repr(p) for p in loaded.problems)


ALLOWED = ("proxy.example.com",)


@pytest.mark.parametrize(
    "url",
    [
        "https://ecs.eu-west-101.myhuaweicloud.eu",
        "https://ecs.eu-west-101.myhuaweicloud.com:443/",
        "HTTPS://ECS.eu-west-101.MyHuaweiCloud.com",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:9000",
        "https://127.8.8.8",
        "https://proxy.example.com",
    ],
)
def test_endpoints_that_are_allowed(url: str) -> None:
    """The cloud's own hosts by https, this machine, and hosts that the environment lists."""
    assert CLOUD.check_endpoint("ecs", url, "eu-west-101", ALLOWED) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://ecs.ap-southeast-1.myhuaweicloud.com",
        *(
            "https://evil.com",
            "https://myhuaweicloud.com.evil.com",
            "https://evilmyhuaweicloud.com",
        ),
        *("https://evil.com/.myhuaweicloud.com", "https://evil.com#.myhuaweicloud.com"),
        *("https://evil.com?.myhuaweicloud.com", "https://evil.com\\.myhuaweicloud.com"),
        *("https://ecs.myhuaweicloud.com@evil.com", "https://u:p@ecs.myhuaweicloud.com"),
        *("https://evil.com%2f.myhuaweicloud.com", "https://evil.com%00.myhuaweicloud.com"),
        *(
            "http://ecs.myhuaweicloud.com",
            "ftp://localhost",
            "file:///etc/passwd",
            "//localhost",
            "localhost",
        ),
        *(
            "http://127.0.0.1.evil.com",
            "http://0177.0.0.1",
            "http://2130706433",
            "http://localhost.evil.com",
        ),
        *(
            "https://",
            "https://:443",
            "https://ecs.myhuaweicloud.com:99999",
            "https://[::1",
            "http://169.254.169.254",
        ),
        *(
            "https://ecs.myhuaweicloud.com\n",
            " https://localhost",
            "https://x.proxy.example.com",
            "https://ｅvil.com",
        ),
    ],
)
def test_endpoints_that_are_refused(url: str) -> None:
    """Whatever could send credentials to another host, or in clear, is refused."""
    assert CLOUD.check_endpoint("ecs", url, "eu-west-101", ALLOWED) is not None


def test_further_hosts_come_from_the_environment_only() -> None:
    """REBOOT_RUNNER_ALLOWED_HOSTS allows hosts in full; the file cannot."""
    text = "targets: {a: {cloud: otc, endpoints: {ecs: https://proxy.example.com}}}"
    assert codes(text) == [("BadEndpoint", 1)]
    assert codes(text, REBOOT_RUNNER_ALLOWED_HOSTS="other.example.com, PROXY.example.com") == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "HUAWEICLOUD_SDK_AK",
            "HUAWEICLOUD_SDK_SK",
            "HW_SECRET_KEY",
            "OS_PASSWORD",
            "OS_USERNAME",
            "GITHUB_TOKEN",
        ),
        *(
            "DB_PASSWD",
            "my_api_key",
            "SSH_PRIVATE_KEY",
            "AWS_ACCESS_KEY_ID",
            "PGPASSWORD",
            "REBOOT_RUNNER_STORE",
        ),
        *("ACTIONS_ID_TOKEN_REQUEST_URL", "SIGNING_KEY", "GH_PAT", "Credentials"),
    ],
)
def test_variables_for_credentials_are_never_for_templates(name: str) -> None:
    """A name that can hold a credential is refused in the file, and not given even if
    it got there.
    """
    assert is_secret_name(name)
    assert codes(f"template_env: [{name}]") == [("CredentialInTemplateEnv", 1)]
    assert template_env(
        Config(template_env=(name, "CI_ENVIRONMENT")), {name: "x", "CI_ENVIRONMENT": "y"}
    ) == {"CI_ENVIRONMENT": "y"}


def test_ordinary_variables_are_for_templates() -> None:
    """Names of CI systems that say where they run can be allowed."""
    for name in ("CI_ENVIRONMENT", "GITHUB_REF_NAME", "TEAM", "MONKEY", "TASK"):
        assert codes(f"template_env: [{name}]") == []


@pytest.mark.parametrize("name", ["reboot-runner.yml", "Reboot-Runner.yaml"])
def test_a_file_of_nearly_its_name_is_not_passed_over(tmp_path: Path, name: str) -> None:
    """Targets and policy in it would be lost without a word."""
    (tmp_path / name).write_text("version: 1\n")
    with pytest.raises(InvalidInput) as refused:
        find_config(tmp_path)
    assert [problem.code for problem in refused.value.problems] == ["ConfigNotRead"]
