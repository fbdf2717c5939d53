"""One short transaction after another: nothing is kept between two of them, so a transaction pooler does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import Self

from dagster_defs.errors import (
    BadStore,
    DriverMissing,
    LedgerUnwritable,
    ParityError,
    StoreMissing,
    StoreRefused,
    StoreUnreachable,
)

SCHEMA = "airflow_parity"
# Bounds for what a server, a network or another command can make a transaction wait; in seconds.
CONNECTS, LOCK_WAITS, STATEMENTS, IDLES = 10, 10, 60, 30
_FORM = "Write postgresql://user@host:5432/database, special characters percent-encoded"
_NO_SCHEMA, _NO_TABLE, _LOCKED, _READ_ONLY, _FORBIDDEN = "3F000", "42P01", "55P03", "25006", "42501"
_UNWRITABLE = ("53100", "53200", _LOCKED)  # the disk is full, memory is, another command holds a lock


@dataclass(frozen=True, slots=True)
class Address:
    """`url`: as libpq reads it, perhaps with a password. `shown`: what messages say."""

    url: str = field(repr=False)
    shown: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises BadStore, without the text: there may be a password in any part of it."""
        scheme, _, rest = url.partition(":")
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query)
        except ValueError:
            raise BadStore(scheme, "it is no URL", _FORM) from None
        if not rest.startswith("//") or parts.fragment:
            raise BadStore(scheme, "it is no URL", _FORM)
        login, _, hosts = parts.netloc.rpartition("@")
        user = unquote(login.partition(":")[0]) or query.get("user", [""])[0]
        hosts = hosts or query.get("host", [""])[0]
        database = parts.path or f"/{query.get('dbname', [''])[0]}"
        return cls(url, f"{scheme}://{f'{user}@' if user else ''}{hosts}{database}")

    def said(self, error: Exception) -> str:
        """The first line of what the driver says, without a secret."""
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        login, at, _ = urlsplit(self.url).netloc.rpartition("@")
        password = login.partition(":")[2] if at else ""
        secrets = (self.url, password, *parse_qs(urlsplit(self.url).query).get("password", ()))
        for secret in filter(None, (*secrets, unquote(password))):
            text = text.replace(secret, "…")
        return text


@contextmanager
def transaction(address: Address, *, writes: bool) -> Iterator[Any]:
    """A cursor in a transaction that is committed at the end of the block. A reader's sees one moment and never writes.

    Raises StoreUnreachable, StoreMissing without the schema, LedgerUnwritable, or StoreRefused for anything else that
    the server denies.
    """
    driver = _driver()
    connection = _connect(driver, address)
    committing = False
    try:
        connection.set_session(
            isolation_level="READ COMMITTED" if writes else "REPEATABLE READ", readonly=not writes
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"set local lock_timeout = '{LOCK_WAITS}s'; set local statement_timeout = '{STATEMENTS}s'; "
                f"set local idle_in_transaction_session_timeout = '{IDLES}s'"
            )
            yield cursor
        committing = writes
        connection.commit()
    except driver.Error as error:
        raise _translated(driver, address, error, committing) from None  # its text may hold a password
    except ValueError as error:  # the driver's, for a text with a null character or half of a pair
        raise StoreRefused(address.shown, str(error), "PostgreSQL cannot hold this name or text") from error
    finally:
        connection.close()  # rolls back what is not committed


def _driver() -> Any:
    try:
        import psycopg2
    except ImportError as error:
        raise DriverMissing("The driver of a PostgreSQL store", "postgres") from error
    return psycopg2


def _connect(driver: Any, address: Address) -> Any:
    try:
        named = driver.extensions.parse_dsn(address.url)
    except driver.ProgrammingError:
        raise BadStore(address.shown.partition(":")[0], "libpq cannot read it", _FORM) from None
    defaults = {
        "connect_timeout": CONNECTS,
        "application_name": "parity",
        # A host that is gone without a word is noticed within seconds.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    try:
        return driver.connect(
            address.url, **{name: value for name, value in defaults.items() if name not in named}
        )
    except driver.Error as error:
        raise StoreUnreachable(address.shown, address.said(error)) from None


def _translated(driver: Any, address: Address, error: Any, committing: bool) -> ParityError:
    code, said = error.pgcode or "", address.said(error)
    if code in (_NO_SCHEMA, _NO_TABLE):
        return StoreMissing(address.shown, f"the database has no schema {SCHEMA} with a record")
    if code == _LOCKED:
        return LedgerUnwritable(address.shown, "another command has held its lock too long")
    if code in _UNWRITABLE:
        return LedgerUnwritable(address.shown, said)
    if code == _READ_ONLY:
        return StoreRefused(address.shown, "the server only reads", "Name the primary server")
    if code == _FORBIDDEN:
        return StoreRefused(address.shown, said, f"Grant the role what it needs in the schema {SCHEMA}")
    if isinstance(error, driver.OperationalError | driver.InterfaceError) or not code:
        doubt = ". It was about to commit: what was being written may be there" if committing else ""
        return StoreUnreachable(address.shown, f"{said}{doubt}")
    return StoreRefused(address.shown, f"{said} ({code})", "Look at the server's log")
