"""Many processes read while one writes: each key's row is whole, ticks only move forward."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headwater import Feature, FeatureStore
from pipeline.looking import served, trained
from store.shop import DAY, day, event, view

pytestmark = pytest.mark.slow
USERS = [f"u{number}" for number in range(40)]
TWICE = Feature("twice", "2 * total")
NEGATED = Feature("negated", "sum(-amount)", window="lifetime")


def totals(*more):
    """Features that agree with one another in each row: a torn row shows."""
    total = Feature("total", "sum(amount)", window="lifetime")
    return view("totals", [total, NEGATED, TWICE, *more], update_frequency="daily")


@contextmanager
def readers(folder, number, features):
    """Processes that read all users until they are told to stop, and what they have seen wrong."""
    tests = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-m", "pipeline.reader", str(folder), ",".join(features)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen(command, cwd=tests, **pipes))
            for _ in range(number)
        ]
        for process in running:
            assert process.stdout.readline() == "ready\n"
        yield running


def stopped(running):
    """What each reader says in the end: how often it read, and what was wrong."""
    for process in running:
        process.stdin.write("stop\n")
        process.stdin.flush()
    return [json.loads(process.stdout.read()) for process in running]


def test_readers_see_each_row_whole_while_a_run_writes(make, tmp_path):
    rows = [event(user, day(n, 1), amount=float(n + 1)) for n in range(8) for user in USERS]
    store = make(rows)
    store.apply([totals()])
    store.materialize(until=day(1))
    with readers(tmp_path, 3, ["total", "negated", "twice"]) as running:
        for number in range(2, 9):
            store.materialize(until=day(number))
            assert running[0].poll() is None
        found = stopped(running)
    for seen in found:
        assert seen["wrong"] == []
        assert seen["reads"] >= 1
        assert seen["totals"] == sorted(seen["totals"])
    assert served(store, ["total"], USERS) == trained(store, ["total"], USERS, day(8))


def test_a_view_that_changes_while_it_is_read_is_never_misread(make, tmp_path):
    """A new feature in front of the others moves their places in the row."""
    rows = [event(user, day(n, 1), amount=float(n + 1)) for n in range(4) for user in USERS]
    store = make(rows)
    store.apply([totals()])
    store.materialize(until=day(1))
    with readers(tmp_path, 2, ["total", "negated", "twice"]) as running:
        for number in range(2, 5):
            first = Feature(f"a_{number}", "count(*) * 1000", window="lifetime")
            changed = totals()
            store.apply([changed.model_copy(update={"features": (first, *changed.features)})])
            expected = [{"total": float(number * (number - 1) // 2)}] * len(USERS)
            assert served(store, ["total"], USERS) == expected
            store.materialize(until=day(number))
        found = stopped(running)
    for seen in found:
        assert seen["wrong"] == []
        assert seen["totals"] == sorted(seen["totals"])
    assert served(store, ["total", "a_4"], ["u1"]) == [{"total": 10.0, "a_4": 4000}]


def test_a_reader_that_was_there_before_the_first_apply(make, tmp_path):
    store = make([event("a", day(0), amount=3.0)])
    other = FeatureStore(tmp_path)
    with pytest.raises(Exception, match="no features are applied yet"):
        served(other, ["total"], ["a"])
    store.apply([totals()])
    store.materialize(until=day(0) + DAY)
    assert served(other, ["total"], ["a"]) == [{"total": 3.0}]
    other.close()
