"""PostgreSQL: the store that several machines share. Needs the extra `postgres` (psycopg 3).

No session state but plain transactions and locks that end with them, so that transaction
poolers can stand between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import unquote

from runner.errors import BadStoreUrl, StoreError
from runner.inputs.json_text import JOURNAL, WIDE_TEXT

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
except ImportError as error:
    raise StoreError(
        "a PostgreSQL store needs psycopg", hint="pip install 'reboot-runner[postgres]'"
    ) from error

PATIENCE_S = 30.0
"""How long a statement waits for another process's transaction."""

DEFAULTS = {
    "connect_timeout": "15",
    # A connection that a firewall has forgotten must not hold a run for hours: broken after
    # about a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "reboot-runner",
    "client_encoding": "utf8",
}
"""Connection parameters; those of the URL win. TLS is up to the URL too (`sslmode`, `sslrootcert`).
"""

_FORM = (
    "write postgresql://HOST:PORT/DATABASE; characters like @ / : in a password are "
    "written as %40 %2F %3A;"
    " parameters are those of libpq"
)
_BAD_PARAMETER = re.compile(
    r'invalid port number: |invalid (?:\w+|"\w+") value: |invalid integer value ".*" for connection option'  # noqa: E501
    r"|could not match \d+ (?:port numbers|host names)"
)
"""What libpq says of a value of the URL, or of its PG… variables, before it connects
(`fe-connect.c`).
"""

_LOST = "the connection to the store was lost"


class Postgres:
    """The dialect of a server. Time is the server's, unless `clock` is given.

    Reads are repeated once on a new connection when theirs is lost; a transaction is not,
    but the next one reconnects.
    """

    elements: ClassVar = "unnest(?::text[]) as elements(value)"
    is_one_of: ClassVar = "= any(?::text[])"

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] | None = None,
        *,
        patience_s: float = PATIENCE_S,
        connect_s: float | None = None,
    ) -> None:
        self._clock = clock
        self._url = url
        # the driver counts whole seconds, and takes 1 for 2
        self._defaults = (
            DEFAULTS
            if connect_s is None
            else {**DEFAULTS, "connect_timeout": f"{max(2, connect_s):.0f}"}
        )
        self._begin = _begin(patience_s)
        self._inside = False
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            said = conninfo_to_dict(self._url)
            wanted = make_conninfo(
                self._url, **{k: v for k, v in self._defaults.items() if k not in said}
            )
        except psycopg.Error:  # its text quotes the URL
            raise BadStoreUrl("the PostgreSQL store's URL cannot be read", hint=_FORM) from None
        if not all(map(_is_port, str(said.get("port") or "").split(","))):
            raise BadStoreUrl(
                "the port in the PostgreSQL store's URL is not a number from 1 to 65535", hint=_FORM
            )
        try:
            return psycopg.connect(wanted, autocommit=True, prepare_threshold=None)
        except (psycopg.Error, ValueError) as error:  # ValueError: a number that is none
            text = _without_secrets(error, self._url)
            if isinstance(error, ValueError | psycopg.ProgrammingError) or _BAD_PARAMETER.search(
                str(error)
            ):
                raise BadStoreUrl(
                    f"the PostgreSQL store's URL cannot be used: {text}", hint=_FORM
                ) from None
            hint = "check the URL, the password and the network"
            raise StoreError(f"cannot open the PostgreSQL store: {text}", hint=hint) from None

    def bounded(self, column: str) -> str:
        octets = f"octet_length({column})"
        is_narrow = (
            f"{octets} <= {WIDE_TEXT} or ({octets} <= {JOURNAL.size} and {octets} = "
            f"length({column}))"
        )
        return f"case when {is_narrow} then {column} end"

    def listed(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def execute(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        if self._inside:
            return self._run(_translated(sql), args)
        return self._run_anew(_translated(sql), args)

    def _run_anew(self, sql: str, args: Sequence[Any]) -> list[Any]:
        """What can be repeated: a read, or the beginning of a transaction."""
        if not self._connection.closed:
            try:
                return self._run(sql, args)
            except StoreError:
                if not self._connection.closed:
                    raise
        self._connection = self._connect()
        return self._run(sql, args)

    def _run(self, sql: str, args: Sequence[Any]) -> list[Any]:
        with self._ours():
            cursor = self._connection.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._ours(), self._connection.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            self._run_anew(self._begin, ())
            self._inside = True
            yield
            self._commit()
        except BaseException:
            with suppress(psycopg.Error):
                self._connection.rollback()
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._connection.close()  # whatever it was in the middle of, the server undoes it
            raise
        finally:
            self._inside = False

    def _commit(self) -> None:
        try:
            self._run("commit", ())
        except StoreError as error:
            if self._connection.closed:
                raise StoreError(
                    f"{_LOST} while it committed: the last write may be stored or not",
                    hint="the journal tells; go on with `reboot-runner resume`",
                ) from error
            raise

    def lock(self, name: str, *, shared: bool = False) -> None:
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self.execute(f"select {function}(hashtextextended(?, 0))", (f"reboot-runner:{name}",))

    def ask_to_write(self) -> None:
        """Each statement of a transaction asks."""

    def has_table(self, name: str) -> bool:
        # Not `to_regclass`: after a wait for `lock` it still answers from what this session
        # knew before.
        return bool(
            self.execute(
                "select 1 from pg_class where relname = ? and pg_table_is_visible(oid)", (name,)
            )
        )

    def now(self) -> float:
        if self._clock is not None:
            return self._clock()
        return float(self.execute("select extract(epoch from clock_timestamp())")[0][0])

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            what = _LOST if self._connection.closed else "the store refused"
            raise StoreError(
                f"{what}: {_without_secrets(error, self._url)}", hint=_hint(error)
            ) from error


def _is_port(text: str) -> bool:
    """Return True for the number of a port, or for an empty text, which means the usual one."""
    digits = text.strip()
    return not digits or (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) < 65_536)


def _begin(patience_s: float) -> str:
    """The beginning of a transaction, in one round trip; nothing outlives the transaction.

    Isolation is stated: our locks are made for it, whatever the server's default. A process
    that is stopped in the middle loses its transaction, and its locks, after a minute.
    `synchronous_commit` may be stricter than `on`, but not off: an intent must be on disk
    before its request leaves.
    """
    return (
        "begin isolation level read committed read write;"
        f" set local lock_timeout = {round(patience_s * 1000)};"
        f" set local statement_timeout = {round(patience_s * 2000)};"
        f" set local idle_in_transaction_session_timeout = {round(patience_s * 2000)};"
        " select set_config('synchronous_commit', 'on', true) where "
        "current_setting('synchronous_commit') = 'off'"
    )


@lru_cache(maxsize=256)
def _translated(sql: str) -> str:
    """Our text has `?` for values; psycopg wants `%s`. No statement of ours holds a literal
    `?` or `%`.
    """
    return sql.replace("?", "%s")


def _hint(error: psycopg.Error) -> str | None:
    match error:
        case psycopg.errors.LockNotAvailable() | psycopg.errors.QueryCanceled():
            return "another process has been writing for long; is one stopped?"
        case psycopg.errors.InsufficientPrivilege():
            return "the store's user needs a database or a schema in which it may create tables"
        case psycopg.errors.ReadOnlySqlTransaction():
            return "this is a standby: give the primary"
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return (
                "tables of the store were dropped or changed: restore a backup, or give an "
                "empty schema"
            )
    return None


def _without_secrets(error: Exception, url: str) -> str:
    """The first line of the driver's message, or only its kind where that holds any part of
    the password.

    A password with an unescaped @ or / makes the driver take the rest of it for a host and
    quote that.
    """
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    secrets = re.findall(r"[?&](?:\w*password|passfile)=([^&]*)", url)
    if "@" in url:
        secrets.append(url.partition("://")[2].rpartition("@")[0].partition(":")[2])
    parts = {
        part
        for s in secrets
        for form in (s, unquote(s))
        for part in (form, *re.split(r"[@/:?#&%\[\]]", form))
    }
    if any(len(part) > 1 and part in text for part in parts):
        return f"{type(error).__name__} (its text holds a part of the URL's password)"
    return text
