"""Engines for a registry's URL, set up so that many processes can use one registry safely."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from headwater.errors import ConfigError, MissingExtraError, StoreError

BUSY_SECONDS = 30.0
BEGIN = "headwater_begin"
# For PostgreSQL: seconds until a connection, a peer that is gone, a lock and a statement are given
# up. A process that stops in the middle of a write must not keep the others waiting for ever.
_LIMITS: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "options": (
        "-c lock_timeout=30s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
    ),
}


def parse_url(text: str) -> URL:
    """The parts of a URL. Raises ConfigError, which doesn't quote the URL: it may hold a secret."""
    try:
        return make_url(text)
    except ArgumentError:
        raise ConfigError(
            "registry: the URL can't be read; write it as sqlite:///.headwater/registry.db"
        ) from None


def shown_url(url: URL) -> str:
    """A URL as it may be shown: without the password, and without options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def reason(error: BaseException | None) -> str:
    """What a database says went wrong, on one line; what follows may quote the user's data."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def new_engine(url: URL) -> Engine:
    """An engine that has not connected yet. Raises MissingExtraError without the driver."""
    known = {"sqlite": _sqlite, "postgresql": _postgresql}
    make = known.get(url.get_backend_name())
    if make is None:
        raise ConfigError(f"registry: no SQL backend '{url.drivername}'")
    try:
        return make(url)
    except NoSuchModuleError:
        raise ConfigError(f"registry: no SQL backend '{url.drivername}'") from None


def _postgresql(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    limits = {name: value for name, value in _LIMITS.items() if name not in url.query}
    try:
        return create_engine(
            url, pool_pre_ping=True, pool_timeout=BUSY_SECONDS, connect_args=limits
        )
    except ImportError:  # psycopg is missing, or has no libpq
        raise MissingExtraError("a registry on PostgreSQL", "postgres") from None


def _sqlite(url: URL) -> Engine:
    if is_memory(url):
        shared = {"check_same_thread": False}
        engine = create_engine(url, poolclass=StaticPool, connect_args=shared)
    else:
        engine = create_engine(url)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def is_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def file_of(url: URL) -> tuple[int, int] | None:
    """Which file an SQLite registry is: another one after it was replaced, None while it is gone.

    SQLite itself goes on writing to a file that was deleted, where nobody finds it again.
    """
    if url.get_backend_name() != "sqlite" or is_memory(url) or url.database is None:
        return 0, 0
    try:
        found = Path(url.database).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late, and never for DDL
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1_000)}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first can't wait for another writer.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(BEGIN, '')}")


def use_wal(url: URL) -> None:
    """Make the file of an SQLite registry, with a write-ahead log: readers don't wait for writers.

    The switch needs the file for itself and does not wait for it, so it is tried until it gets it.
    Raises StoreError where the file can't be made or is no SQLite file.
    """
    if is_memory(url) or url.database is None:
        return
    path = Path(url.database)
    deadline = time.monotonic() + BUSY_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            while not _switched(connection, last=time.monotonic() > deadline):
                time.sleep(0.005)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"registry {url}: {error}") from error


def _switched(connection: sqlite3.Connection, *, last: bool) -> bool:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if last or "locked" not in str(error):
            raise
        return False
    return True
