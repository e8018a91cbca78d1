"""How a store is opened, and what a reading process has to load."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from headwater.errors import ConfigError, MissingExtraError
from headwater.online import store as store_module
from headwater.online.store import GROUP, open_online_store
from online.facts import LAYOUT, Fact, key_of, write

READER = """
import sys
from headwater.online.codec import Layout, encode_key
from headwater.online.store import open_online_store
store = open_online_store("lmdb", path=sys.argv[1])
(rows,), ticks = store.read("p", [("r", [encode_key(("a",))])], ["r"])
row, = Layout([("value", "string")]).decode_many(rows)
assert row.values == (sys.argv[2],), row
assert ticks == [1], ticks
loaded = {"pyarrow", "numpy", "duckdb", "pydantic", "sqlalchemy", "sqlglot"} & set(sys.modules)
assert not loaded, loaded
"""


def test_a_reading_process_loads_no_heavy_library(tmp_path):
    place = tmp_path / "online"
    store = open_online_store("lmdb", path=place)
    write(store, "r", [Fact("a", 1, 1)])
    store.publish("p", "r", 1)
    store.close()
    subprocess.run(
        [sys.executable, "-c", READER, str(place), Fact("a", 1, 1).value], check=True, timeout=60
    )


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"'lmbd' is not known; did you mean 'lmdb'\? \(known: "):
        open_online_store("lmbd")


def test_an_unknown_option(tmp_path):
    with pytest.raises(ConfigError, match=r"online store 'lmdb': .*'colour'"):
        open_online_store("lmdb", path=tmp_path, colour="red")


def test_a_missing_library_names_the_extra(monkeypatch):
    point = EntryPoint("redis", "library_that_is_not_there:Store", GROUP)
    monkeypatch.setattr(store_module, "entry_points", lambda group: [point])
    with pytest.raises(MissingExtraError, match=r'pip install "headwater\[redis\]"'):
        open_online_store("redis")


def test_opening_makes_nothing_until_it_is_used(tmp_path):
    store = open_online_store("lmdb", path=tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    assert store.read("p", [("r", [key_of("a")])]) == ([[None]], [])
    assert (tmp_path / "a" / "b").is_dir()
    assert LAYOUT.names == ("value",)
    store.close()
