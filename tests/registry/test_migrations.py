"""Migrations: numbered without gaps, equal to the tables, safe when two processes start at once."""

import re
import threading

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from headwater.definitions.entity import Entity
from headwater.errors import ConfigError, HeadwaterError
from headwater.registry.audit import verify
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.changes import FeatureChange
from headwater.registry.connect import new_engine, parse_url
from headwater.registry.kinds import Commit, FeatureUsage
from headwater.registry.migrate import FOLDER, migrate, schema_version, upgrade
from headwater.registry.schema import LATEST, VERSION_TABLE, metadata
from headwater.registry.sql import SqlRegistry
from registry.samples import USER

pytestmark = pytest.mark.every_registry("sqlite", "postgresql")


@pytest.fixture
def engine(url):
    made = new_engine(parse_url(url))
    yield made
    made.dispose()


def scripts():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return list(ScriptDirectory.from_config(config).walk_revisions())[::-1]


def test_migrations_are_numbered_without_gaps():
    numbers = [script.revision for script in scripts()]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]
    assert numbers[-1] == LATEST
    before = [script.down_revision for script in scripts()]
    assert before == [None, *numbers[:-1]]


def test_a_file_is_named_after_its_number():
    for script in scripts():
        assert re.fullmatch(rf".*/v{script.revision}_[a-z_]+\.py", script.path)
    files = [path for path in (FOLDER / "versions").glob("*.py") if path.name != "__init__.py"]
    assert len(files) == len(scripts())


def test_migrations_make_exactly_the_tables(engine):
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        # Alembic takes an index with a descending column for another one than its own copy; the
        # statements below are compared letter by letter.
        differences = compare_metadata(context, metadata)
        assert {index.name for _, index in differences} <= {"ix_features_project_created_at"}
        assert schema_version(connection) == LATEST


def test_uses_that_were_recorded_before_are_kept(engine, url):
    use = FeatureUsage("1", "a", "1.2.0", "m", "dev", 7, feature_importance=0.5)
    with engine.begin() as connection:
        upgrade(connection, "0002")
        connection.exec_driver_sql("INSERT INTO heads VALUES ('demo', 0, '{}')")
        body = msgspec.json.encode(use).decode()
        row = f"'demo', '1', 'a', 'm', 'dev', 7, 1, '{body}'"
        connection.exec_driver_sql(f"INSERT INTO usages VALUES ({row})")
    registry = SqlRegistry(url)
    assert registry.list("demo", FeatureUsage) == (use,)
    (group,) = registry.usage_groups("demo")
    assert (group.feature_version, group.importance, group.correlations) == ("1.2.0", 0.5, 0)
    registry.close()


def test_commits_that_were_made_before_are_found_by_what_they_changed(engine, url):
    added = FeatureChange("added", "a", "", new_version="1.0.0")
    with engine.begin() as connection:
        upgrade(connection, "0003")
        connection.exec_driver_sql("INSERT INTO heads VALUES ('demo', 1, '{\"generation\": 1}')")
        body = msgspec.json.encode(Commit(1, "ann", 7, "new", features=(added,))).decode()
        row = f"'demo', 1, '1', 'ann', 7, '{body}'"
        connection.exec_driver_sql(f"INSERT INTO commits VALUES ({row})")
    registry = SqlRegistry(url)
    query = ChangedQuery(kind="feature", name="a", author="ann")
    assert registry.changed("demo", query) == ((ChangedRow(1, "feature", "a", "create"),), 1)
    assert verify(registry, "demo").checked == 0
    registry.close()


@pytest.mark.every_registry("sqlite")
def test_constraints_are_those_of_the_tables(engine, tmp_path):
    """What Alembic does not compare: the statements that made the tables."""
    migrate(engine)
    other = new_engine(parse_url(f"sqlite:///{tmp_path / 'other.db'}"))
    metadata.create_all(other)

    def statements(source):
        query = "SELECT name, sql FROM sqlite_master WHERE tbl_name != 'headwater_schema'"
        with source.connect() as connection:
            rows = connection.exec_driver_sql(query).all()
        return {name: re.sub(r"\s+", " ", sql or "") for name, sql in rows}

    assert statements(engine) == statements(other)
    other.dispose()


def test_migrating_twice_changes_nothing(engine):
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert schema_version(connection) == LATEST


def test_a_migration_that_fails_leaves_nothing(engine, monkeypatch):
    def broken(connection, to=LATEST):
        connection.exec_driver_sql("CREATE TABLE heads (a int)")
        raise ConfigError("broken")

    monkeypatch.setattr("headwater.registry.migrate.upgrade", broken)
    with pytest.raises(ConfigError, match="broken"):
        migrate(engine)
    assert inspect(engine).get_table_names() == []


def test_threads_that_start_at_once_share_one_migration(url):
    barrier = threading.Barrier(6)
    failures = []

    def use(number):
        opened = SqlRegistry(url)
        barrier.wait()
        try:
            opened.put("demo", [USER])
        except HeadwaterError as error:
            failures.append(error)
        finally:
            opened.close()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    opened = SqlRegistry(url)
    assert opened.list("demo", Entity) == (USER,)
    opened.close()
