"""`config show`: the configuration that holds here, and where each value of it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from runner.app.app import App
from runner.app.policy import rules_of
from runner.app.targets import is_embedded
from runner.errors import CloudDenied, InvalidInput
from runner.loading.config import LoadedConfig
from runner.loading.origins import DEFAULT, settings_of
from runner.model.config import TargetConfig
from runner.model.origin import ConfigSetting, Origin
from runner.model.shape import json_values
from runner.net.origin import ALLOWED_HOSTS, VAIN_HINT, allowed_hosts, vain_hosts
from runner.net.trust import place_of, proxy_for, proxy_variable
from runner.ports.provider import provider_of
from runner.report.safe import json_text, plain
from runner.report.settings import settings_document, settings_yaml
from runner.store.open import shown


def show_config(app: App, config_rev: str | None, output: str, *, is_named: bool) -> None:
    """Write the effective configuration. `is_named`: an option names its file. Raises
    InvalidInput if it is invalid.
    """
    loaded, _ = rules_of(app, config_rev)
    if not loaded.is_valid:
        raise InvalidInput(loaded.problems)
    if (vain := vain_hosts(os.environ)) is not None:
        app.talk(f"warning: {plain(vain, 1000)}; {VAIN_HINT}")
    found_by = "REBOOT_RUNNER_CONFIG" if os.environ.get("REBOOT_RUNNER_CONFIG") else "search"
    if is_named:
        found_by = "--config"
    head = (
        f"{loaded.name}, "
        f"{'found from here up to the Git root' if found_by == 'search' else f'named by {found_by}'}"  # noqa: E501
    )
    if config_rev:
        head += f", as it is in revision {config_rev}"
    if loaded.path is None:
        found_by, head = (
            "none",
            "no reboot-runner.yaml from here up to the Git root: the defaults hold",
        )
    settings = list(_settings(app, loaded))
    if output == "json":
        app.echo(
            json_text(
                json_values(settings_document(settings, loaded.name or None, found_by, config_rev)),
                indent=2,
            )
        )
    else:
        app.echo(settings_yaml(settings, [head]))


def _settings(app: App, loaded: LoadedConfig) -> Iterator[ConfigSetting]:
    """Yield those of the file and its defaults, with what follows from them for each target."""
    written = settings_of(loaded, os.environ)
    for n, setting in enumerate(written):
        path = setting.path
        if path == ("store",):
            origin = Origin("flag", "--store") if app.store else setting.origin
            yield ConfigSetting(path, shown(app.store or str(setting.value)), origin)
            continue
        if path[0] != "targets" or len(path) < 3:
            yield setting
            continue
        name = str(path[1])
        config = loaded.config.targets[name]
        urls = {} if is_embedded(config) else provider_of(config.cloud).urls(config, os.environ)
        yield (
            setting
            if setting.value is not None or is_embedded(config)
            else _effective(setting, config, urls)
        )
        following = written[n + 1].path if n + 1 < len(written) else ()
        if following[:2] != path[:2] and not is_embedded(config):
            yield from _of_target(name, config, urls)


def _effective(
    setting: ConfigSetting, config: TargetConfig, urls: Mapping[str, str]
) -> ConfigSetting:
    """Return what holds where nothing is written: an endpoint by its rule, a project by the
    login or by look-up.
    """
    path = setting.path
    if path[2:] == ("project_id",):
        try:
            named = provider_of(config.cloud).project_of_login(config, os.environ)
        except CloudDenied:
            named = None
        if named is not None:
            return replace(
                setting,
                value=named,
                origin=Origin("credentials", "of the login, in the environment"),
            )
        return replace(setting, origin=Origin("looked-up", "by the region's name"))
    url = urls.get(str(path[3])) if path[2] == "endpoints" else None
    return replace(setting, value=url, origin=Origin("rule", config.cloud)) if url else setting


def _of_target(name: str, config: TargetConfig, urls: Mapping[str, str]) -> Iterator[ConfigSetting]:
    """Yield what is no key of the file: who may be asked, by what way, with which credentials."""
    path = ("targets", name)
    provider = provider_of(config.cloud)
    suffixes = provider.allowed_suffixes(config.region)
    built_in = [f"*{suffix}" for suffix in suffixes] or ["loopback"]
    more = [*allowed_hosts(os.environ)]
    origin = Origin("environment", ALLOWED_HOSTS) if more else Origin("rule", config.cloud)
    yield ConfigSetting((*path, "allowed_hosts"), [*built_in, *more], origin)
    proxies = {service: proxy_for(url) for service, url in urls.items()}
    is_one = len(set(proxies.values())) == 1
    for service in (
        list(proxies)[:1] if is_one else proxies
    ):  # one row where the same way leads to every service
        proxy = proxies[service]
        direct = DEFAULT if is_one else Origin("rule", "NO_PROXY, or on this machine")
        origin = Origin("environment", proxy_variable()) if proxy else direct
        row = (*path, "proxy") if is_one else (*path, "proxy", service)
        yield ConfigSetting(row, place_of(proxy) if proxy else None, origin)
    taken = next((one for one in provider.login_options(config, os.environ) if one.taken), None)
    why = Origin("credentials", taken.why if taken else "there are none that can be used")
    yield ConfigSetting((*path, "credentials"), taken.kind if taken else None, why)
