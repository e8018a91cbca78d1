"""What is particular to a registry in a SQL database."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from headwater.definitions.entity import Entity
from headwater.errors import ConfigError, StoreError
from headwater.registry.sql import SqlRegistry
from registry.samples import USER


def path_of(registry):
    return registry.url.removeprefix("sqlite:///")


def test_it_connects_at_first_use_and_makes_its_folder(tmp_path):
    path = tmp_path / "deep" / "er" / "registry.db"
    opened = SqlRegistry(f"sqlite:///{path}")
    assert not path.parent.exists()
    assert opened.projects() == ()
    assert path.exists()
    opened.close()


def test_it_opens_again_after_close(registry):
    registry.put("demo", [USER])
    registry.close()
    registry.close()
    assert registry.list("demo", Entity) == (USER,)


def test_sqlite_is_set_up_for_many_processes(registry):
    with registry._reading() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "busy_timeout": 30_000, "foreign_keys": 1}


def test_a_registry_in_memory_is_one_for_all_threads():
    opened = SqlRegistry("sqlite://")
    opened.put("demo", [USER])
    found = []
    thread = threading.Thread(target=lambda: found.extend(opened.list("demo", Entity)))
    thread.start()
    thread.join()
    assert found == [USER]
    opened.close()


def test_threads_share_a_registry(registry):
    def write(number):
        entity = Entity(f"e{number}", {"k": "int64"})
        registry.put("demo", [entity])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {entity.name for entity in registry.list("demo", Entity)}
    assert names == {f"e{number}" for number in range(8)}


def test_a_reader_does_not_wait_for_a_writer(registry, url):
    registry.put("demo", [USER])
    other = SqlRegistry(url)
    with registry._writing() as connection:
        connection.exec_driver_sql("DELETE FROM objects")
        assert other.list("demo", Entity) == (USER,)
    assert other.list("demo", Entity) == ()
    other.close()


def test_a_newer_registry_is_refused(registry, url):
    registry.projects()
    with registry._writing() as connection:
        connection.exec_driver_sql("UPDATE headwater_schema SET version_num = '0042'")
    newer = SqlRegistry(url)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"newer Headwater \(schema 0042.*upgrade"):
            newer.head("demo")


def test_a_file_that_is_no_database_is_a_store_error(tmp_path):
    path = tmp_path / "registry.db"
    path.write_text("this is a text, and quite a long one at that; " * 50)
    with pytest.raises(StoreError, match=r"registry sqlite:///.*not a database"):
        SqlRegistry(f"sqlite:///{path}").head("demo")


def test_a_folder_that_can_not_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="registry sqlite:///"):
        SqlRegistry(f"sqlite:///{tmp_path}/file/registry.db").head("demo")


def test_a_damaged_head_names_the_registry(registry):
    registry.put("demo", [USER])
    with sqlite3.connect(path_of(registry)) as connection:
        connection.execute("DROP TABLE objects")
    connection.close()
    with pytest.raises(StoreError, match=r"registry sqlite:///.*no such table"):
        registry.list("demo", Entity)


def test_no_secret_is_shown():
    opened = SqlRegistry("postgresql://ann:secret@db/registry")
    assert "secret" not in opened.url
    assert "secret" not in repr(opened)


def test_a_current_registry_is_opened_without_alembic(registry, url):
    registry.projects()
    code = f"""
import sys
from headwater.registry.store import open_registry
assert "sqlalchemy" not in sys.modules
open_registry({url!r}).head("demo")
heavy = {{"alembic", "sqlalchemy.orm", "sqlglot", "duckdb", "pyarrow", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
