"""Without a spine the rows are the keys known at a time, and their values those of such a spine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from headwater.compute.pieces import Rows
from headwater.compute.population import Changes, KeysAt
from headwater.errors import SpineError
from oracle import Ref, View
from oracle.times import DAY, HOUR, from_datetime, source_instant, spine_instant
from pit import product
from pit.checks import assert_same, examples
from pit.scenario import Scenario, scenarios

STEPS = (1, HOUR, DAY, 3 * DAY)
Found = Sequence[Mapping[str, Any]]


def keys_of(scenario: Scenario, ref: Ref) -> tuple[str, ...]:
    """What the rows call the join keys of a feature."""
    return tuple(ref.join_keys.get(key, key) for key in home(scenario, ref.feature).keys)


def home(scenario: Scenario, feature: str) -> View:
    return next(v for v in scenario.views if any(f.name == feature for f in v.features))


def behind(scenario: Scenario, view: View) -> Iterator[View]:
    """The view, and all that it reads."""
    yield view
    own = {feature.name for feature in view.features}
    for feature in view.features:
        for name in feature.inputs:
            if name not in own:
                yield from behind(scenario, home(scenario, name))


def effects(scenario: Scenario, refs: Sequence[Ref], keys: tuple[str, ...]) -> set[tuple[Any, int]]:
    """Each key with each instant at which a row of it took effect."""
    found = set()
    for ref in refs:
        own = home(scenario, ref.feature)
        if set(keys_of(scenario, ref)) != set(keys):
            continue
        plain = {ref.join_keys.get(key, key): key for key in own.keys}
        for view in behind(scenario, own):
            if view.source is None or set(view.keys) != set(own.keys):
                continue
            for row in view.source.rows:
                key = tuple(row[plain[name]] for name in keys)
                if row[view.source.event_time] is None or None in key:
                    continue
                times = [source_instant(row[view.source.event_time])]
                known = view.source.available_at
                if known is not None and scenario.knowledge and row[known] is not None:
                    times.append(source_instant(row[known]))
                found.add((key, max(times)))
    return found


def expected(known: set[tuple[Any, int]], rows: Rows) -> set[tuple[Any, int]]:
    if isinstance(rows, Changes):
        return {(key, at) for key, at in known if rows.start <= at < rows.end}
    return {(key, at) for at in rows.instants for key, since in known if since <= at}


def check(scenario: Scenario, rows: Rows, piece_rows: int) -> None:
    keys = max((keys_of(scenario, ref) for ref in scenario.refs), key=len)
    assume(keys and all(set(keys_of(scenario, ref)) <= set(keys) for ref in scenario.refs))
    found = product.without_spine(scenario, rows, piece_rows)
    names = list(found[0])[: len(keys)] if found else list(keys)
    known = effects(scenario, scenario.refs, tuple(names))
    stamp = scenario.timestamp
    listed = [(from_datetime(row[stamp]), tuple(row[name] for name in names)) for row in found]
    assert listed == sorted(set(listed))
    assert {(key, at) for at, key in listed} == expected(known, rows)
    event(f"rows: {min(len(found), 3)}")
    spine = tuple({name: row[name] for name in (*names, stamp)} for row in found)
    of_these = replace(scenario, spine=spine)
    assert_same(of_these, of_these.expected(), found)


@examples(60)
@given(scenarios(), st.data())
def test_keys_at_instants(scenario, data):
    times = [spine_instant(row[scenario.timestamp]) for row in scenario.spine]
    start = data.draw(st.sampled_from(times))
    step, count = data.draw(st.sampled_from(STEPS)), data.draw(st.integers(1, 4))
    instants = range(start, start + step * count, step)
    _compatible(scenario, KeysAt(instants), data.draw(st.sampled_from((1, 3, 1000))))


@examples(40)
@given(scenarios(("lookup", "sequence"), ticks=(None,)), st.data())
def test_changes(scenario, data):
    times = [spine_instant(row[scenario.timestamp]) for row in scenario.spine]
    start = data.draw(st.sampled_from(times)) - data.draw(st.sampled_from((0, DAY)))
    end = start + data.draw(st.sampled_from((1, DAY, 30 * DAY)))
    _compatible(scenario, Changes(start, end), data.draw(st.sampled_from((1, 3, 1000))))


def _compatible(scenario: Scenario, rows: Rows, piece_rows: int) -> None:
    """Where the keys can be listed at all."""
    try:
        check(scenario, rows, piece_rows)
    except SpineError as error:
        if "can't be listed" not in str(error):
            raise
        assume(False)  # a view of features of views with other keys alone
