"""Brings the tables of a SQL registry to the schema that this version of Headwater knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from headwater.errors import ConfigError
from headwater.registry.connect import BEGIN, shown_url
from headwater.registry.schema import LATEST, VERSION_TABLE

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_046_029_254_386_353_131  # any number that nobody else locks in the same database


def is_current(engine: Engine) -> bool:
    """Whether the tables are those of `LATEST`. Raises ConfigError when they are of a later one."""
    with engine.connect() as connection:
        found = schema_version(connection)
    _refuse_newer(found, engine)
    return found == LATEST


def migrate(engine: Engine) -> None:
    """Run the missing migrations, all in one transaction, one process after the other."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{BEGIN: "IMMEDIATE"})  # noqa: PLW2901
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            found = schema_version(connection)
            _refuse_newer(found, engine)
            if found != LATEST:
                upgrade(connection)


def schema_version(connection: Connection) -> str | None:
    """The number of the last migration that ran, or None in an empty database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        text(f"SELECT version_num FROM {VERSION_TABLE}")
    ).scalar_one_or_none()
    return found


def upgrade(connection: Connection, to: str = LATEST) -> None:
    """Run migrations up to a number, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _refuse_newer(found: str | None, engine: Engine) -> None:
    if found is None or (found.isdecimal() and int(found) <= int(LATEST)):
        return
    where = shown_url(engine.url)
    raise ConfigError(
        f"registry {where}: was written by a newer Headwater (schema {found}, this one knows "
        f"{LATEST}); upgrade with pip install --upgrade headwater"
    )
