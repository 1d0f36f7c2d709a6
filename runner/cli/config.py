"""`config show`: the configuration that holds here, and where each value of it comes from."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import config_rev_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.loading.config import LoadedConfig
    from runner.model.config import TargetConfig
    from runner.model.origin import Setting


@click.group(
    "config",
    short_help="Show the configuration that holds here.",
    epilog="""\b
Examples:
  reboot-runner config show            every value, with its file and line, variable or option
""",
)
def command() -> None:
    """What the configuration comes to. `reboot-runner doctor` says whether it works."""


@command.command(
    "show",
    short_help="Every value with its origin.",
    epilog="""\b
Examples:
  reboot-runner config show
  reboot-runner config show --config-rev origin/main
  reboot-runner config show -o json
""",
)
@config_rev_option
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form on stdout."
)
@click.pass_context
def show(ctx: click.Context, config_rev: str | None, output: str) -> None:
    """Print the effective configuration: file, environment, options and defaults together.

    Each value has its origin beside it. Also shown, for each target: its endpoints, the hosts that are allowed, the
    proxy, and which credentials are taken, by the names of their variables. No secret is printed. Exits 3 for a
    configuration that is invalid.
    """
    from runner.app.policy import rules_of
    from runner.errors import InvalidInput
    from runner.net.origin import VAIN_HINT, vain_hosts
    from runner.report import settings as forms
    from runner.report.log_lines import json_text
    from runner.report.safe import plain

    app: App = ctx.obj
    loaded, _ = rules_of(app, config_rev)
    if not loaded.is_valid:
        raise InvalidInput(loaded.problems)
    if (vain := vain_hosts(os.environ)) is not None:
        app.talk(f"warning: {plain(vain, 1000)}; {VAIN_HINT}")
    found_by = _found_by(ctx, loaded)
    settings = list(_settings(app, loaded))
    if output == "json":
        document = forms.settings_document(settings, loaded.name or None, found_by, config_rev)
        return app.echo(json_text(document, indent=2))
    return app.echo(forms.settings_yaml(settings, [_head(loaded, found_by, config_rev)]))


def _found_by(ctx: click.Context, loaded: LoadedConfig) -> str:
    if loaded.path is None:
        return "none"
    if ctx.find_root().params.get("config"):
        return "--config"
    return "REBOOT_RUNNER_CONFIG" if os.environ.get("REBOOT_RUNNER_CONFIG") else "search"


def _head(loaded: LoadedConfig, found_by: str, revision: str | None) -> str:
    how = {"search": "found from here up to the Git root", "none": ""}.get(found_by, f"named by {found_by}")
    if loaded.path is None:
        return "no reboot-runner.yaml from here up to the Git root: the defaults hold"
    return f"{loaded.name}, {how}" + (f", as it is in revision {revision}" if revision else "")


def _settings(app: App, loaded: LoadedConfig) -> Iterator[Setting]:
    """Those of the file and its defaults, with what follows from them for each target."""
    from runner.loading.origins import settings_of
    from runner.model.origin import Origin, Setting
    from runner.store.open import shown

    written = settings_of(loaded, os.environ)
    for n, setting in enumerate(written):
        if setting.path == ("store",):
            origin = Origin("flag", "--store") if app.store else setting.origin
            yield Setting(("store",), shown(app.store or str(setting.value)), origin)
            continue
        yield _effective(loaded, setting)
        following = written[n + 1].path if n + 1 < len(written) else ()
        if setting.path[0] == "targets" and len(setting.path) > 2 and following[:2] != setting.path[:2]:
            name = str(setting.path[1])
            yield from _of_target(name, loaded.config.targets[name], os.environ)


def _effective(loaded: LoadedConfig, setting: Setting) -> Setting:
    """What holds where nothing is written: an endpoint by its rule, a project by look-up."""
    from runner.model.origin import Origin

    path = setting.path
    if setting.value is not None or path[0] != "targets" or len(path) < 3:
        return setting
    config = loaded.config.targets[str(path[1])]
    if path[2:] == ("project_id",):
        return _project(setting, config, os.environ)
    if path[2] == "endpoints":
        url = _urls(config, os.environ).get(str(path[3]))
        return replace(setting, value=url, origin=Origin("rule", config.cloud)) if url else setting
    return setting


def _project(setting: Setting, config: TargetConfig, environ: Mapping[str, str]) -> Setting:
    """The id of a project that the configuration does not say: of the login, else of the cloud."""
    from runner.app.targets import is_embedded
    from runner.cloud.auth.choice import choose_login
    from runner.errors import CloudDenied
    from runner.model.origin import Origin

    if is_embedded(config):
        return setting
    try:
        named = choose_login(config.auth, environ).project_id
    except CloudDenied:
        named = None
    if named is not None:
        return replace(setting, value=named, origin=Origin("credentials", "of the login, in the environment"))
    return replace(setting, origin=Origin("looked-up", "by the region's name"))


def _urls(config: TargetConfig, environ: Mapping[str, str]) -> dict[str, str | None]:
    """The addresses that a target is asked at. None of the embedded cloud, which has a new one each time."""
    from runner.app.open_target import settings_of
    from runner.app.targets import is_embedded

    if is_embedded(config):
        return {}
    made = settings_of(config, environ, config.project_id)
    return {"ecs": made.ecs_url, "iam": made.iam_url, "sts": made.sts_url, "ces": made.ces_url}


def _of_target(name: str, config: TargetConfig, environ: Mapping[str, str]) -> Iterator[Setting]:
    """What is no key of the file: who may be asked, by what way, with which credentials."""
    from runner.app.targets import is_embedded
    from runner.cloud.auth.choice import explain_choice
    from runner.cloud.endpoints import suffixes_of
    from runner.model.origin import Origin, Setting
    from runner.net.origin import ALLOWED_HOSTS, allowed_hosts

    if is_embedded(config):
        return
    path = ("targets", name)
    built_in, more = (
        [f"*{suffix}" for suffix in suffixes_of(config.cloud, config.region)] or ["loopback"],
        [*allowed_hosts(environ)],
    )
    origin = Origin("environment", ALLOWED_HOSTS) if more else Origin("rule", config.cloud)
    yield Setting((*path, "allowed_hosts"), [*built_in, *more], origin)
    yield from _proxies((*path, "proxy"), _urls(config, environ))
    taken = next((one for one in explain_choice(config, environ) if one.taken), None)
    why = Origin("credentials", taken.why if taken else "there are none that can be used")
    yield Setting((*path, "credentials"), taken.kind if taken else None, why)


def _proxies(path: tuple[str, ...], urls: Mapping[str, str | None]) -> Iterator[Setting]:
    """One row where the same way leads to every service; else one for each."""
    from runner.model.origin import Origin, Setting
    from runner.net.trust import place_of, proxy_for, proxy_variable

    by = {service: proxy_for(url) for service, url in urls.items() if url}
    ways = set(by.values())
    for service, proxy in by.items():
        if proxy:
            origin = Origin("environment", proxy_variable())
        else:
            origin = Origin("rule", "NO_PROXY, or on this machine") if len(ways) > 1 else Origin("default")
        row = (*path, service) if len(ways) > 1 else path
        yield Setting(row, place_of(proxy) if proxy else None, origin)
        if len(ways) == 1:
            return
