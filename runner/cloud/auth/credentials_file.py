"""The credentials file of the vendor's SDK: `~/.huaweicloud/credentials`, section `[basic]`.

SDK `auth/provider.py`, `ProfileCredentialProvider`: an INI file with `ak`, `sk`, `security_token`, `project_id`, or
instead of a key `idp_id` and `id_token_file`, which win. `iam_endpoint` is not obeyed: where credentials are sent is
said by the target.
"""

from __future__ import annotations

import configparser
import os
import stat
from pathlib import Path

from runner.cloud.auth.environment import KeyLogin
from runner.cloud.auth.oidc_login import IdpLogin
from runner.cloud.auth.variables import Variables
from runner.errors import CloudDenied
from runner.inputs.files import describe, read_regular
from runner.net.secret import Secret

FILE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
SECTION = "basic"
_MAX_BYTES = 64 * 1024


def path_of(variables: Variables) -> Path | None:
    """The file: the one that a variable names, else that of the home folder. With a prefix only the former."""
    named = variables.value(FILE)
    if named:
        return Path(named)
    home = variables.environ.get("USERPROFILE" if os.name == "nt" else "HOME")
    return Path(home, ".huaweicloud", "credentials") if home and not variables.prefix else None


def read_file(variables: Variables) -> KeyLogin | IdpLogin | None:
    """The login in the file. None where there is no file in the home folder, or no `[basic]` in it.

    Raises CloudDenied for a file that is named and is not there, one that cannot be read or is no such file, and for
    half of a login. No message quotes what is in the file.
    """
    path = path_of(variables)
    if path is None:
        return None
    is_named = variables.value(FILE) is not None
    text = _text(path, is_named)
    values = None if text is None else _section(text, path)
    if values is None:
        if is_named:
            raise _unusable(path, f"has no section [{SECTION}]", f"add [{SECTION}] with ak and sk")
        return None
    return _login(values, path)


def warning_of(path: Path) -> str | None:
    """A sentence where others on this machine can read the file; None where they cannot, and on Windows."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if os.name == "nt" or not stat.S_IMODE(mode) & 0o077:
        return None
    return f"{path} can be read by others on this machine: chmod 600 {path}"


def _text(path: Path, is_named: bool) -> str | None:
    failed = "is no text in UTF-8"
    try:
        return read_regular(path, _MAX_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        if not is_named:
            return None
        failed = "is not there"
    except OSError as error:
        failed = describe(error)
    except UnicodeDecodeError:
        pass
    raise _unusable(path, failed, "see docs/credentials.md for what it holds")


def _section(text: str, path: Path) -> dict[str, str] | None:
    """The values of the section, as the SDK reads them. The parser's own errors quote lines, so none is passed on."""
    # Without interpolation: ten lines of `%(name)s` grow to gigabytes, and no credential needs it.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        values = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
        if not any("%" in value.replace("%%", "") for value in values.values()):
            return {name: value.replace("%%", "%") for name, value in values.items()} or None
    except configparser.Error:
        pass
    raise _unusable(path, "is no INI file", f"it begins with [{SECTION}], then lines such as `ak = …`; write %% for %")


def _login(values: dict[str, str], path: Path) -> KeyLogin | IdpLogin:
    def header(name: str) -> str | None:
        value = values.get(name, "").strip()
        if not (value.isascii() and value.isprintable()):
            raise _unusable(path, f"holds a {name} with characters that no header can carry", f"write {name} again")
        return value or None

    idp, token_file, project = header("idp_id"), values.get("id_token_file", "").strip(), header("project_id")
    access, secret, token = header("ak"), values.get("sk", "").strip(), header("security_token")
    if idp and token_file:
        return IdpLogin(idp, Path(token_file), project)
    if access and secret:
        return KeyLogin(Secret(access), Secret(secret), Secret(token) if token else None, project)
    raise _unusable(path, f"has neither ak and sk nor idp_id and id_token_file in [{SECTION}]", "set both of one pair")


def _unusable(path: Path, what: str, hint: str) -> CloudDenied:
    return CloudDenied(f"the credentials file {path} {what}", hint=hint)
