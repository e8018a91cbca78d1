"""Parts in threads: in order, a few ahead, with their statements and the first error."""

from __future__ import annotations

import threading

import pytest

from headwater.compute.abreast import abreast
from headwater.compute.engines.duckdb import DuckDBEngine


@pytest.fixture
def engine(tmp_path):
    return DuckDBEngine(base=tmp_path, threads=2)


def test_results_come_in_order_though_they_are_made_side_by_side(engine):
    both = threading.Barrier(2, timeout=30)

    def work(part):
        both.wait()  # two at a time, or none comes to its end
        engine.query(f"SELECT {part}")
        return part * part

    with engine.traced() as statements:
        assert list(abreast(engine, work, range(6))) == [0, 1, 4, 9, 16, 25]
    assert statements == [f"SELECT {part}" for part in range(6)]


def test_no_more_are_begun_than_threads_ahead(engine):
    begun = []

    def work(part):
        begun.append(part)
        return part

    results = abreast(engine, work, range(100))
    assert next(results) == 0
    results.close()
    assert len(begun) <= 3


def test_the_first_part_that_fails_in_their_order_raises(engine):
    later = threading.Event()

    def work(part):
        if part == 1:
            assert later.wait(30)
        if part == 2:
            later.set()
        if part:
            raise ValueError(part)
        return part

    results = abreast(engine, work, range(3))
    assert next(results) == 0
    with pytest.raises(ValueError, match="1"):
        next(results)
