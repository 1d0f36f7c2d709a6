"""`reboot-runner.yaml`: found upwards to the Git root, read like a plan, checked for what
could leak or redirect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from runner.errors import InvalidInput
from runner.loading.explain import check
from runner.loading.files import check_inside, git_root
from runner.loading.findings import Findings
from runner.loading.hidden import check_words
from runner.loading.later import LATER_IN_CONFIG, refuse_later
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, walk
from runner.loading.source import Source, Unreadable, decode, read_source
from runner.loading.yaml_reader import parse
from runner.model.clouds import CLOUDS
from runner.model.config import Config, Endpoints, TargetConfig
from runner.model.problem import Location, Problem
from runner.net.hosts import is_loopback
from runner.net.origin import allowed_hosts

FILE_NAME = "reboot-runner.yaml"

DEFAULT_REGION = str(TargetConfig.model_fields["region"].default)

WITHOUT_FILE = Config.model_construct(
    targets={"simulator": TargetConfig.model_construct(cloud="simulator")}
)
"""What holds where there is no configuration: one target, the embedded simulated cloud."""

_SECRET_NAMES = re.compile(
    r"(?i)^(HUAWEICLOUD_|HW_|OS_|OTC_|AWS_|REBOOT_RUNNER_|ACTIONS_|PG|SSH_)|SECRET|TOKEN|PASSW|CREDENTIAL|(^|_)KEY|(^|_)(AK|SK|PAT)$"
)
_NAMING_KEYS = frozenset({"token_env"})
"""Keys that say which variable holds a credential: they hold none themselves."""
_SOMEBODY_ELSES = re.compile(
    r"(?i)^(HUAWEICLOUD_|HW_|OS_|OTC_|AWS_|REBOOT_RUNNER_|ACTIONS_|GITHUB_|GH_|PG|SSH_)"
    r"|_(HUAWEICLOUD_(SDK|OIDC)_\w+|ACTIONS_ID_TOKEN\w*|(HW|OS)_(ACCESS|SECRET|SECURITY|AUTH|USER|TOKEN|PASSWORD|AK|SK)\w*)$"
)
"""Variables that are never sent to a source: they log in to something else. A target may
give its own a prefix.
"""
_SECRET_KEYS = re.compile(
    r"(?i)passw|secret|token|credential|private_?key|access_?key|api_?key|^(ak|sk)$"
)


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration. `path` is None where there is no file; with an error in `problems`,
    `config` is the default.

    `name` is what messages call the file, `tree` where its keys and values stand in it.
    """

    config: Config
    path: Path | None
    problems: tuple[Problem, ...] = ()
    name: str = ""
    tree: MapNode | None = field(default=None, repr=False, compare=False)

    @property
    def is_valid(self) -> bool:
        return not any(p.severity == "error" for p in self.problems)


def load_config(explicit: Path | None, start: Path, env: Mapping[str, str]) -> LoadedConfig:
    """The configuration that holds in `start`. `REBOOT_RUNNER_CONFIG` and
    `REBOOT_RUNNER_STORE` are read from `env`.

    Never raises for what is in the file, or because it cannot be read: those are problems.
    """
    path = explicit or _from_env(env) or find_config(start)
    if path is None:
        return without_file(env)
    source, problems = read_source(path, shown_path(path, start))
    if source is None:
        return LoadedConfig(WITHOUT_FILE, path, problems)
    return _with_store(_load(source, path, env), env)


def without_file(env: Mapping[str, str]) -> LoadedConfig:
    """What holds where there is no configuration: the defaults, and the store of `env`."""
    return _with_store(LoadedConfig(WITHOUT_FILE, None), env)


def load_config_text(
    text: str | bytes, name: str, env: Mapping[str, str], *, path: Path | None = None
) -> LoadedConfig:
    """The same for a configuration that is not on disk (another revision), as if it stood
    at `path`.
    """
    where = path or Path(name)
    source, problems = decode(
        text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, name
    )
    if source is None:
        return LoadedConfig(WITHOUT_FILE, where, problems)
    return _with_store(_load(source, where, env), env)


def find_config(start: Path) -> Path | None:
    """Return the nearest configuration from `start` upwards, not beyond the Git root; without
    one, only in `start`.

    Raises InvalidInput where a file of nearly its name would be passed over: targets and
    policy would be lost with it.
    """
    folder = start.absolute()
    root = git_root(folder) or folder
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
        for other in _nearly_named(candidate):
            message = f"{other.name} is not read: the configuration is called {FILE_NAME}"
            location = Location(other.as_posix(), 1, 1)
            problem = Problem("ConfigNotRead", message, location, hint=f"rename it to {FILE_NAME}")
            raise InvalidInput([problem])
        if candidate == root:
            return None
    return None


def _nearly_named(folder: Path) -> list[Path]:
    """Return the files of a folder that somebody may have meant as its configuration."""
    stem = Path(FILE_NAME).stem
    try:
        found = [
            path for path in folder.iterdir() if path.name.lower() in (f"{stem}.yml", FILE_NAME)
        ]
    except OSError:
        return []
    return sorted(path for path in found if path.is_file())


def template_env(config: Config, env: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that templates may read: allowed by name, set, and never
    ones for credentials.
    """
    prefixes = frozenset(t.env_prefix for t in config.targets.values() if t.env_prefix)
    return {
        name: env[name]
        for name in config.template_env
        if name in env and not is_secret_name(name, prefixes)
    }


def is_secret_name(name: str, prefixes: Iterable[str] = ()) -> bool:
    """Whether an environment variable can hold a credential, by its name; `prefixes` are
    those of targets.
    """
    bare = (name[len(p) :] for p in prefixes if name.upper().startswith(p))
    return any(_SECRET_NAMES.search(one) for one in (name, *bare))


def _from_env(env: Mapping[str, str]) -> Path | None:
    written = env.get("REBOOT_RUNNER_CONFIG")
    return Path(written) if written else None


def shown_path(path: Path, start: Path) -> str:
    """The path as messages call it: relative where that is shorter to read."""
    try:
        return path.absolute().relative_to(start.absolute()).as_posix()
    except ValueError:
        return path.as_posix()


def _with_store(loaded: LoadedConfig, env: Mapping[str, str]) -> LoadedConfig:
    store = env.get("REBOOT_RUNNER_STORE")
    if not store:
        return loaded
    config = loaded.config.model_copy(update={"store": store})
    said = _store_problem(store)
    problems = loaded.problems
    if said:
        problems = (
            *problems,
            Problem("BadStore", f"REBOOT_RUNNER_STORE: {said}", Location("environment")),
        )
    return replace(loaded, config=config, problems=problems)


def _load(source: Source, path: Path, env: Mapping[str, str]) -> LoadedConfig:
    findings = Findings(source)
    root = parse(source, findings)
    if root is not None and not isinstance(root, MapNode):
        findings.add("WrongType", "a configuration is a mapping (key: value)", root.span)
    if not isinstance(root, MapNode):
        return LoadedConfig(WITHOUT_FILE, path, findings.problems())
    _refuse_credentials(root, findings)
    tree = refuse_later(root, LATER_IN_CONFIG, findings)
    check_words(tree, findings)
    _check_store(tree, findings)
    _check_env_names(tree, findings)
    _check_policy(tree, path, findings)
    _check_sources(tree, findings)
    for name, target in _named(tree, "targets"):
        _check_cloud(target, allowed_hosts(env), findings)
        _check_simulator(name, target, path, findings)
    config = check(Config, tree, findings)
    problems = findings.problems()
    valid = config is not None and findings.is_clean
    usable = config if config is not None and valid else WITHOUT_FILE
    return LoadedConfig(usable, path, problems, source.name, tree)


def _refuse_credentials(root: MapNode, findings: Findings) -> None:
    for node in walk(root):
        for key, _ in node.entries if isinstance(node, MapNode) else ():
            if _SECRET_KEYS.search(key.text) and key.text not in _NAMING_KEYS:
                hint = "set it in the environment; files of the repository hold none"
                findings.add(
                    "CredentialInFile", f'"{key.text}" looks like a credential', key.span, hint=hint
                )


def _check_env_names(root: MapNode, findings: Findings) -> None:
    names, prefixes = root.get("template_env"), _prefixes(root)
    for node in names.items if isinstance(names, ListNode) else ():
        if (
            isinstance(node, Scalar)
            and isinstance(node.value, str)
            and is_secret_name(node.value, prefixes)
        ):
            message = (
                f'templates may not read "{node.value}": a variable of that name can hold a '
                f"credential"
            )
            findings.add("CredentialInTemplateEnv", message, node.span)


def _prefixes(root: MapNode) -> frozenset[str]:
    """What targets put before the names of their credentials."""
    written = (target.get("env_prefix") for _, target in _named(root, "targets"))
    return frozenset(
        n.value for n in written if isinstance(n, Scalar) and isinstance(n.value, str) and n.value
    )


def _check_store(root: MapNode, findings: Findings) -> None:
    node = root.get("store")
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return
    if re.search(r"://[^/@]*:[^/@]*@|[?&]password=", node.value):
        hint = (
            "use REBOOT_RUNNER_STORE, PGPASSWORD or a PGPASSFILE; for a store in Git "
            "REBOOT_RUNNER_STORE_TOKEN"
        )
        findings.add("CredentialInFile", "store: the URL holds a password", node.span, hint=hint)
        return
    said = _store_problem(node.value)
    if said:
        findings.add("BadStore", f"store: {said}", node.span)


def _store_problem(url: str) -> str | None:
    """What is wrong with a store's URL, without quoting it: it may hold a password."""
    forms = (
        r"sqlite:///[^?#]",
        r"postgres(ql)?://[^/]*/?",
        r"git\+(https|http|ssh)://[^/]+/[^/]",
        r"git\+file:///[^/]",
    )
    if any(re.match(form, url) for form in forms):
        return None
    return "must be sqlite:///FILE, postgresql://HOST/DATABASE or git+https://HOST/OWNER/REPOSITORY"


def _named(root: MapNode, part: str) -> Iterator[tuple[str, MapNode]]:
    """The mappings below a key of the configuration, by their names."""
    found = root.get(part)
    for key, one in found.entries if isinstance(found, MapNode) else ():
        if isinstance(one, MapNode):
            yield key.text, one


def _check_sources(root: MapNode, findings: Findings) -> None:
    """Sources decide where tokens go, so they are https, and are never given a credential
    for something else.
    """
    for _, source in _named(root, "sources"):
        if (source.get("prometheus") is None) == (source.get("http") is None):
            findings.add("BadSource", "a source is one of prometheus and http", source.span)
        for kind in ("prometheus", "http"):
            node = source.get(kind)
            said = (
                url_problem(node.value)
                if isinstance(node, Scalar) and isinstance(node.value, str)
                else None
            )
            if node is not None and said:
                findings.add("BadSource", f"the source {said}", node.span)
        token = source.get("token_env")
        if (
            isinstance(token, Scalar)
            and isinstance(token.value, str)
            and _SOMEBODY_ELSES.search(token.value)
        ):
            hint = "give the source a variable of its own"
            findings.add(
                "BadSource", f"{token.value[:63]} logs in to something else", token.span, hint=hint
            )


def _check_cloud(target: MapNode, allowed: tuple[str, ...], findings: Findings) -> None:
    """Let the cloud of a target check its `endpoints` and `enterprise_project`."""
    cloud, endpoints = _text(target.get("cloud")), target.get("endpoints")
    project = target.get("enterprise_project")
    if cloud not in CLOUDS or (endpoints is None and project is None):
        return
    from runner.ports.provider import provider_of

    provider = provider_of(cloud)
    region = _text(target.get("region")) or DEFAULT_REGION
    for key, node in endpoints.entries if isinstance(endpoints, MapNode) else ():
        if key.text not in Endpoints.model_fields or not _text(node):
            continue
        fault = provider.check_endpoint(key.text, _text(node), region, allowed)
        if fault is not None:
            findings.add("BadEndpoint", fault[0], node.span, hint=fault[1])
    fault = provider.check_enterprise_project()
    if project is not None and fault is not None:
        message = f"enterprise_project: {fault[0]}"
        findings.add("BadValue", message, project.span, hint=fault[1])


def _text(node: Node | None) -> str:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""


def url_problem(url: str) -> str | None:
    """What is wrong with an address, whoever's host it is: https, or http on loopback. None
    when it may be used.
    """
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "is not a URL such as https://ecs.region.example.com"
    host = _host(url)
    if not re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:.]+", host):
        return "has a host name with characters that host names do not have"
    if parts.username is not None or parts.query or parts.fragment:
        return "must not hold a user, a query or a fragment"
    if is_loopback(host):
        return None if parts.scheme in ("http", "https") else "must be http or https"
    return None if parts.scheme == "https" else "must be https; http is for loopback only"


def _host(url: str) -> str:
    parts = _split(url)
    return (parts.hostname or "").rstrip(".").lower() if parts else ""


def _split(url: str) -> SplitResult | None:
    if not re.fullmatch(r"[A-Za-z]+://[A-Za-z0-9.:\[\]_/?#@%=&~+-]+", url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _check_simulator(name: str, target: MapNode, path: Path, findings: Findings) -> None:
    options, cloud = target.get("simulator"), target.get("cloud")
    if options is None or not isinstance(cloud, Scalar):
        return
    if cloud.value != "simulator" or target.get("endpoints") is not None:
        message = (
            f'simulator: options of the embedded simulated cloud; "{name[:63]}" is another target'
        )
        findings.add(
            "BadValue",
            message,
            options.span,
            hint="use them with cloud: simulator and without endpoints",
        )
    scenario: Node | None = options.get("scenario") if isinstance(options, MapNode) else None
    _check_file("scenario", scenario, path, findings)


def _check_policy(root: MapNode, path: Path, findings: Findings) -> None:
    node = root.get("policy")
    if isinstance(node, Scalar) and isinstance(node.value, str) and Path(node.value).is_absolute():
        hint = "write it relative to the configuration"
        findings.add(
            "OutsideRepository",
            "policy: the file must be relative to this file",
            node.span,
            hint=hint,
        )
        return
    _check_file("policy", node, path, findings)


def _check_file(name: str, node: Node | None, path: Path, findings: Findings) -> None:
    """A file that the configuration names lies in the repository."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        try:
            check_inside(path.parent / node.value, git_root(path.parent) or path.parent)
        except Unreadable as error:
            findings.add(
                error.code, f"{name}: the file {error.message}", node.span, hint=error.hint
            )
