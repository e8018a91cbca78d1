"""Queries that run in a process of their own: the same values, within limits, whatever happens."""

import datetime as dt
import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.compute.engines.children import Limits
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.definitions.source import Source
from headwater.errors import ComputeError, EngineLostError

SMALL = Limits(memory=256 * 1024**2, seconds=60)
TABLE = pa.table({"x": [1, 2, None]})
GROWS = "replace(rpad('', 10000, 'a'), 'a', rpad('', 10000, 'b'))"


@pytest.fixture
def engine(tmp_path):
    return DuckDBEngine(tmp_path, limits=SMALL)


@pytest.fixture
def children():
    """Lists the children that were started since the test began."""
    before = psutil.Process().children()
    return lambda: [child for child in psutil.Process().children() if child not in before]


def same(apart):
    """Whether it still answers."""
    return apart.query("SELECT x + 1 AS y FROM t", {"t": TABLE})["y"].to_pylist() == [2, 3, None]


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT length(replace({GROWS}, 'b', rpad('', 10000, 'c')))",
        "SELECT length(repeat('x', 1000000000))",
        "SELECT len(range(1000000000))",
        "SELECT string_agg(rpad('', 10000, 'x'), '') FROM range(1000000)",
        "SELECT rpad('', 10000, 'x') FROM range(100000)",
        "SELECT range FROM range(100000000) ORDER BY hash(range)",
    ],
)
def test_what_takes_too_much_memory_is_stopped(engine, sql):
    apart = engine.apart("feature 'f'", [])
    before = psutil.Process().memory_info().rss
    with pytest.raises(ComputeError, match=r"^feature 'f': .* 256 MiB.*'api.memory_limit'$"):
        apart.query(sql)
    assert psutil.Process().memory_info().rss - before < 2 * SMALL.memory
    assert same(apart)


def test_what_gives_back_too_much_is_stopped(engine):
    apart = engine.apart("feature 'f'", [])
    with pytest.raises(ComputeError, match=r"gives back more than 256 MiB.*'api.memory_limit'"):
        apart.query("SELECT rpad('', 200, 'x') FROM range(3000000)")
    assert same(apart)


def test_what_takes_too_long_is_killed(tmp_path, children):
    apart = DuckDBEngine(tmp_path, limits=Limits(seconds=5)).apart("feature 'f'", [])
    assert same(apart)
    (child,) = children()
    with pytest.raises(ComputeError, match=r"^feature 'f': .* longer than 5 s.*'api.time_limit'$"):
        apart.query("SELECT sum(hash(a.range + b.range)) FROM range(10000000) a, range(100000) b")
    assert not child.is_running()
    assert same(apart)


def test_one_that_is_killed_from_outside_says_that_it_may_be_run_again(engine, children):
    apart = engine.apart("feature 'f'", [])
    assert same(apart)
    (child,) = children()
    asked = threading.Event()

    def kill():
        asked.wait()
        while child.cpu_times().user < 2:
            pass
        os.kill(child.pid, signal.SIGKILL)

    with ThreadPoolExecutor() as pool:
        killed = pool.submit(kill)
        asked.set()
        with pytest.raises(EngineLostError, match=r"^feature 'f': .*killed from outside") as caught:
            apart.query("SELECT sum(hash(a.range + b.range)) FROM range(9000000) a, range(90000) b")
        killed.result()
    assert caught.value.retryable
    assert same(apart)
    assert not child.is_running()


def test_one_that_died_while_idle_is_not_noticed(engine, children):
    apart = engine.apart("feature 'f'", [])
    assert same(apart)
    (child,) = children()
    child.kill()
    child.wait()
    assert same(apart)


def test_a_mistake_is_told_as_by_the_engine_itself(engine):
    sql = "SELECT 2147483647::INT + x::INT FROM t"
    for one in (engine, engine.apart("feature 'f'", [])):
        with pytest.raises(duckdb.Error, match="Overflow in addition of INT32"):
            one.query(sql, {"t": TABLE})
    with pytest.raises(duckdb.Error, match="Overflow"):  # behind the first rows of a result
        engine.apart("f", []).query(
            "SELECT 2147483647::INT + (range > 900000)::INT FROM range(1000000)"
        )


def test_a_child_is_used_again_and_goes_with_its_engine(tmp_path, children):
    apart = DuckDBEngine(tmp_path, limits=SMALL).apart("feature 'f'", [])
    assert same(apart)
    (child,) = children()
    assert same(apart)
    assert children() == [child]
    del apart
    gc.collect()
    assert not child.is_running()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{other}')",
        "COPY (SELECT 1) TO '{folder}/made.csv'",
        "ATTACH '{folder}/made.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '90GB'",
        "SELECT * FROM TABLE_OF_THE_CALLER",
    ],
)
def test_it_sees_its_files_and_nothing_else(engine, tmp_path, sql):
    TABLE_OF_THE_CALLER = TABLE  # noqa: F841 (DuckDB would find it by its name)
    own, other = str(tmp_path / "own.parquet"), str(tmp_path / "other.parquet")
    pq.write_table(TABLE, own)
    pq.write_table(TABLE, other)
    apart = engine.apart("feature 'f'", [own])
    assert apart.query(f"SELECT * FROM read_parquet('{own}')").equals(TABLE)
    with pytest.raises(duckdb.Error):
        apart.query(sql.format(folder=tmp_path, other=other))
    assert not list(tmp_path.glob("made*"))


def test_it_knows_no_secret_of_the_environment(engine, children, monkeypatch):
    monkeypatch.setenv("HEADWATER_REGISTRY__URL", "postgresql://me:s3cret@db/x")
    assert same(engine.apart("feature 'f'", []))
    (child,) = children()
    assert "s3cret" not in str(child.environ())


def test_types_and_values_come_as_from_the_engine_itself(engine, tmp_path):
    rows = {
        "i": pa.array([1, None], pa.int32()),
        "b": pa.array([True, None]),
        "f": pa.array([float("nan"), -0.0]),
        "s": pa.array(["ä", None]),
        "y": pa.array([b"\x00", None], pa.binary()),
        "t": pa.array([dt.datetime(1969, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        "d": pa.array([dt.date(2024, 2, 29), None]),
        "l": pa.array([[1.5, None], None], pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    scan = engine.scan(Source("rows", path="rows.parquet", event_time="t"))
    apart = engine.apart("feature 'f'", scan.files)
    for sql in (f"SELECT * FROM {scan.relation}", f"SELECT * FROM {scan.relation} WHERE i > 1"):
        here, there = engine.query(sql), apart.query(sql)
        assert there.schema == here.schema
        assert repr(there.to_pylist()) == repr(here.to_pylist())  # NaN equals NaN in print
    wide = "SELECT range AS x, hash(range) AS h FROM range(350000)"
    assert apart.query(wide).equals(engine.query(wide))


def test_several_threads_ask_at_once(engine, children):
    apart = engine.apart("feature 'f'", [])
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(lambda _: same(apart), range(12)))
    assert len(children()) <= 2


def test_none_outlives_the_process_that_asked():
    code = """
import os, signal
from pathlib import Path
from headwater.compute.engines.duckdb import DuckDBEngine
apart = DuckDBEngine(Path.cwd()).apart("f", [])
apart.query("SELECT 1")
import psutil
print(psutil.Process().children()[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    pid = int(done.stdout)
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(30)
    assert done.returncode == -signal.SIGKILL
