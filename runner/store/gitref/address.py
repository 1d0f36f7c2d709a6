"""Where a store in Git is, and how its host is asked: `git+https://…`, `git+ssh://…`,
`git+file:///…`.

A token comes from the environment and reaches Git through the environment, as a header
for this host alone: never by the command line, which other users of the machine can
read, nor in a URL, which Git writes into messages.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from runner.errors import BadStoreUrl
from runner.net.hosts import is_loopback
from runner.store.gitref.errors import StoreDenied

REF = "refs/reboot-runner/store"
TOKEN = "REBOOT_RUNNER_STORE_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the token; on GitHub's own host `GITHUB_TOKEN` is taken
where it is not set.
"""

FORMS = (
    "write git+https://HOST/OWNER/REPOSITORY, git+ssh://git@HOST/REPOSITORY or "
    "git+file:///PATH/TO/BARE.git"
)

_SETTINGS = (
    ("protocol.version", "2"),
    (
        "http.followRedirects",
        "false",
    ),  # a header with a token goes where configuration says, and nowhere else
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "20"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.negotiate", "false"),
    ("fetch.prune", "false"),
    ("fetch.pruneTags", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("fetch.showForcedUpdates", "true"),
    ("init.defaultRefFormat", "files"),
    ("init.defaultObjectFormat", "sha1"),
)
"""What the user's own configuration may say otherwise. Proxies, certificates and credential
helpers stay theirs.
"""


@dataclass(frozen=True, slots=True)
class Address:
    """A repository as Git is given it, and the environment Git runs in. `has_token`: a
    login is sent along.
    """

    url: str
    scheme: str
    host: str
    environ: Mapping[str, str] = field(repr=False)
    has_token: bool = False

    @classmethod
    def read(cls, written: str, environ: Mapping[str, str]) -> Address:
        """From a store's URL. Raises BadStoreUrl for what is none, without quoting it: it may
        hold a password; StoreDenied for a token that cannot be one.
        """
        url = written.removeprefix("git+")
        try:
            parts = urlsplit(url)
            host, has_password = parts.hostname or "", parts.password is not None
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            raise BadStoreUrl("the Git store's URL cannot be read", hint=FORMS) from None
        if port == ":0":
            raise BadStoreUrl("the Git store's URL names port 0", hint=FORMS)
        _check(url, parts.scheme, host, parts.path, has_password=has_password)
        if parts.query or parts.fragment:
            raise BadStoreUrl("the URL of a Git store takes no options", hint=FORMS)
        if parts.scheme == "file":
            return cls(url, "file", "", _with(environ, "file", ()))
        token = _token(parts.scheme, host, environ)
        name = f"[{host}]" if ":" in host else host
        header = _header(f"{parts.scheme}://{name}{port}/", token) if token else ()
        return cls(url, parts.scheme, host, _with(environ, parts.scheme, header), bool(token))


def _check(url: str, scheme: str, host: str, path: str, *, has_password: bool) -> None:
    if (
        scheme not in ("https", "http", "ssh", "file")
        or not url.startswith(f"{scheme}://")
        or not url.isprintable()
    ):
        raise BadStoreUrl("the Git store's URL is of a kind that is not supported", hint=FORMS)
    if has_password:
        hint = f"give the token in the environment variable {TOKEN}, and the URL without it"
        raise BadStoreUrl("the Git store's URL holds a password", hint=hint)
    if scheme == "http" and not is_loopback(host):
        raise BadStoreUrl(
            "a Git store is spoken to over https; plain http is for this machine alone", hint=FORMS
        )
    if scheme == "file" and (host or not path.startswith("/")):
        raise BadStoreUrl(
            "a Git store in a folder is named by an absolute path after three slashes", hint=FORMS
        )
    if (scheme != "file" and not host) or host.startswith("-") or not unquote(path).strip("/"):
        raise BadStoreUrl("the Git store's URL names no repository", hint=FORMS)


def _token(scheme: str, host: str, environ: Mapping[str, str]) -> str:
    if scheme not in ("https", "http"):
        return ""
    token = environ.get(TOKEN, "")
    if not token:
        server = urlsplit(environ.get("GITHUB_SERVER_URL") or "https://github.com")
        if (scheme, host) == (server.scheme, server.hostname):
            token = environ.get("GITHUB_TOKEN", "")
    if not token.isprintable() or " " in token:
        raise StoreDenied(
            "the token for the Git store has characters that no token has", hint=f"see {TOKEN}"
        )
    return token


def _header(place: str, token: str) -> tuple[tuple[str, str], ...]:
    """Only our own header for the host: an empty one drops those of the user's configuration."""
    word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return (
        (f"http.{place}.extraHeader", ""),
        (f"http.{place}.extraHeader", f"Authorization: Basic {word}"),
    )


def _with(
    environ: Mapping[str, str], scheme: str, header: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """The environment, with our settings behind those that it holds already (`git help
    config`, GIT_CONFIG_COUNT).
    """
    count = environ.get("GIT_CONFIG_COUNT", "0")
    first = int(count) if count.isascii() and count.isdigit() else 0
    made = dict(environ)
    for name in (TOKEN, "GITHUB_TOKEN", "REBOOT_RUNNER_STORE"):
        made.pop(name, None)
    for number, (key, value) in enumerate((*_SETTINGS, *header), first):
        made |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return made | {
        "GIT_CONFIG_COUNT": str(first + len(_SETTINGS) + len(header)),
        "GIT_ALLOW_PROTOCOL": scheme,
    }
