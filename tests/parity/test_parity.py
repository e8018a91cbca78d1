"""What is served at t equals what training sees at t, and what the oracle says (C17)."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import FeatureRef, FeatureStore
from headwater.config import local_settings
from headwater.errors import NotSupportedError
from headwater.pipeline.materialize import why_not
from headwater.serving.reader import OnlineReader
from oracle import Feature, Oracle, View, agrees
from oracle.online import Online
from oracle.times import spine_instant
from pit import product
from pit.checks import examples
from pit.scenario import TICKS, Scenario, scenarios

START = pa.timestamp("us", tz="UTC")


@contextmanager
def project(scenario: Scenario) -> Iterator[tuple[FeatureStore, Path]]:
    """The scenario as an applied project in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="parity-"))
    store = FeatureStore(settings=local_settings(folder, engine__threads=1))
    try:
        for table in scenario.tables:
            product.write(table, folder)
        sources = {t.name: product.to_source(t, folder) for t in scenario.tables}
        store.apply([product.to_view(view, scenario, sources) for view in scenario.views])
        yield store, folder
    finally:
        store.close()
        shutil.rmtree(folder)


def served(scenario: Scenario) -> Scenario:
    """Without what can't be served from stored rows: windows over every instant."""
    bad: set[str] = set()
    for view in scenario.views:  # each after those it reads
        read = {_home(scenario, n) for f in view.features for n in _read(f)}
        if _endless(view) or (view.source is None and read & bad):
            bad.add(view.name)
    refs = tuple(r for r in scenario.refs if _home(scenario, r.feature) not in bad)
    return replace(scenario, refs=refs, knowledge=True)


def _read(feature: Feature) -> list[str]:
    return [*feature.inputs, *feature.via.values()]


def _endless(view: View) -> bool:
    return view.ticks is None and any(f.kind == "windowed" for f in view.features)


def _home(scenario: Scenario, feature: str) -> str:
    return next(v.name for v in scenario.views for f in v.features if f.name == feature)


def materialize(store: FeatureStore, at: int) -> list[Any]:
    """Materialize every view that can be, as of a time."""
    views = [v.name for v in store.analyzed().views.values() if _can(store, v)]
    return store.materialize(views, until=at) if views else []


def _can(store: FeatureStore, view: Any) -> bool:
    if why_not(view, store.analyzed()) is not None:
        return False
    if view.source is not None:
        return True
    own = dict(view.join_keys)
    leaves = [store.analyzed().views[name] for name in view.inputs]
    return any(leaf.source is not None and dict(leaf.join_keys) == own for leaf in leaves)


def online(store: FeatureStore, scenario: Scenario, at: int) -> list[dict[str, Any]]:
    """For each row of the spine: output to (value, status, event time), as served at `at`."""
    reader = OnlineReader(store.online, store.project, refresh=0, clock=lambda: at)
    names = {column for column in scenario.spine[0] if column != scenario.timestamp}
    columns = {name: [row[name] for row in scenario.spine] for name in sorted(names)}
    from headwater.serving.catalogue import reference_of

    refs = [
        reference_of(FeatureRef(r.feature, alias=r.alias, join_keys=dict(r.join_keys)))
        for r in scenario.refs
    ]
    found = reader.get(refs, columns).to_dict()
    return [
        {
            ref.output: (
                found["values"][ref.output][row],
                found["statuses"][ref.output][row],
                found["event_timestamps"][ref.output][row],
            )
            for ref in scenario.refs
        }
        # without any key there is one answer, the same for every row
        for row in (range(len(scenario.spine)) if columns else [0] * len(scenario.spine))
    ]


def offline(store: FeatureStore, scenario: Scenario, at: int) -> list[dict[str, Any]]:
    moved = product.to_table(scenario.spine, scenario.spine_types)
    place = moved.column_names.index(scenario.timestamp)
    times = pa.array([at] * moved.num_rows).cast(START)
    moved = moved.set_column(place, scenario.timestamp, times)
    refs = [
        FeatureRef(r.feature, alias=r.alias, join_keys=dict(r.join_keys)) for r in scenario.refs
    ]
    job = store.get_historical_features(moved, refs, timestamp=scenario.timestamp)
    return job.to_arrow().to_pylist(maps_as_pydicts="strict")


def compare(
    store: FeatureStore, scenario: Scenario, model: Online, at: int, *, trained: bool
) -> None:
    """What is served at `at` against the oracle, and, if `trained`, against the training side."""
    here = online(store, scenario, at)
    there = offline(store, scenario, at)
    for number, (row, found, known) in enumerate(zip(scenario.spine, here, there, strict=True)):
        for ref in scenario.refs:
            value, status, time = found[ref.output]
            keys = {key: row[ref.join_keys.get(key, key)] for key in _keys(scenario, ref.feature)}
            reading = model.read(ref.feature, keys, at)
            where = f"row {number}, {ref.output}: "
            assert not trained or agrees(known[ref.output], value), (
                f"{where}served {value!r}, trained on {known[ref.output]!r}"
            )
            assert agrees(reading.value, value), f"{where}{value!r}, the oracle: {reading}"
            assert status == reading.status, f"{where}{status}, the oracle: {reading}"
            told = None if time is None else spine_instant(time)
            assert told == reading.event_time, f"{where}of {told}, the oracle: {reading}"


def _keys(scenario: Scenario, feature: str) -> tuple[str, ...]:
    home = _home(scenario, feature)
    return next(tuple(v.keys) for v in scenario.views if v.name == home)


def times(scenario: Scenario) -> list[int]:
    """The instants of the spine that lie in the past: nothing may be written of the future."""
    found = {spine_instant(row[scenario.timestamp]) for row in scenario.spine}
    return sorted(at for at in found if at < time.time_ns() // 1_000)


def publish(model: Online, store: FeatureStore, at: int) -> None:
    for view in model.oracle.views.values():
        found = store.analyzed().views[view.name]
        if not _endless(view) and (found.stored and _can(store, found)):
            model.publish(view.name, at)


def unlisted(scenario: Scenario, store: FeatureStore) -> Scenario:
    """Without ticked derived views whose keys no input can list: a run refuses those."""
    views = store.analyzed().views
    bad = {v.name for v in views.values() if v.stored and not _can(store, v)}
    refs = tuple(r for r in scenario.refs if not _reads(scenario, r.feature, bad))
    return replace(scenario, refs=refs)


def _reads(scenario: Scenario, feature: str, bad: set[str]) -> bool:
    home = _home(scenario, feature)
    view = next(v for v in scenario.views if v.name == home)
    if home in bad:
        return True
    inputs = {n for f in view.features if f.kind == "derived" for n in _read(f)}
    own = {f.name for f in view.features}
    return any(_reads(scenario, name, bad) for name in inputs - own)


def ageless(scenario: Scenario) -> Scenario:
    """Windows without ttl: online a tick grows too old, offline there is always the latest."""
    views = tuple(
        replace(v, ttl=None) if any(f.kind == "windowed" for f in v.features) else v
        for v in scenario.views
    )
    return replace(scenario, views=views)


@examples(60)
@given(scenarios(), st.data())
def test_served_equals_trained(scenario, data):
    check(ageless(served(scenario)), data, trained=True)


@examples(60)
@given(scenarios(across=True), st.data())
def test_served_equals_trained_at_values_of_features(scenario, data):
    check(ageless(served(scenario)), data, trained=True)


@examples(30)
@given(scenarios(ticks=TICKS, kinds=("windowed",)), st.data())
def test_old_ticks_are_not_served(scenario, data):
    check(served(scenario), data, trained=False)


def check(scenario: Scenario, data: st.DataObject, *, trained: bool) -> None:
    """Materialize at one to three times in order, and compare after each."""
    if not scenario.refs or not times(scenario):
        return
    with project(scenario) as (store, _):
        scenario = unlisted(scenario, store)
        if not scenario.refs:
            return
        model = Online(Oracle(scenario.views))
        moments = times(scenario)
        for at in sorted(data.draw(st.lists(st.sampled_from(moments), min_size=1, max_size=3))):
            materialize(store, at)
            publish(model, store, at)
            compare(store, scenario, model, at, trained=trained)


def test_endless_windows_are_refused(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "p"\n')
    import pyarrow.parquet as pq

    from headwater import Entity, Feature, FeatureView, Source

    pq.write_table(pa.table({"k": [1], "t": pa.array([0], START)}), tmp_path / "x.parquet")
    source = Source("x", path="x.parquet", event_time="t")
    view = FeatureView(
        "v",
        entity=Entity("k", join_keys={"k": "int64"}),
        source=source,
        features=[Feature("n", "count(*)", window="1h")],
    )
    store = FeatureStore(tmp_path)
    store.apply([view])
    with pytest.raises(NotSupportedError, match="update_frequency"):
        store.materialize("v")
