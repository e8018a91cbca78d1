"""Every column that a value depends on is in its lineage: changing any other changes nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headwater.lineage.columns import FeatureColumns
from headwater.lineage.contents import Contents
from headwater.lineage.project import ProjectLineage
from headwater.registry.apply import apply_plan
from headwater.registry.build import build_plan
from headwater.registry.lineage import FeatureGraph
from headwater.registry.sql import SqlRegistry
from oracle import Ref, agrees
from oracle.times import source_instant
from pit import product
from pit.checks import examples
from pit.scenario import Scenario, scenarios
from pit.tables import VALUES, Table


@st.composite
def changes(draw: st.DrawFn, kinds: tuple[str, ...] = ("lookup", "windowed", "sequence")) -> Any:
    """A scenario that asks for all of its features, and the same with one column changed."""
    scenario = draw(scenarios(kinds))
    scenario = replace(scenario, refs=tuple(Ref(name) for name in sorted(scenario.dtypes)))
    table = draw(st.sampled_from(scenario.tables))
    columns = [n for n in table.types if not (n in table.keys and table.source.id)]
    assume(columns)  # an id belongs to one key
    column = draw(st.sampled_from(sorted(columns)))
    other = draw(_changed(table, column))
    assume(other.source.rows != table.source.rows)
    rest = [one for one in scenario.tables if one.name != table.name]
    return scenario, scenario.with_tables([*rest, other]), (table, other), column


@st.composite
def _changed(draw: st.DrawFn, table: Table, column: str) -> Table:
    rows = [dict(row) for row in table.source.rows]
    values = [row[column] for row in rows]
    order: Random = draw(st.randoms(use_true_random=False))
    if column in table.source.id:
        values = [None] * len(values)
    elif column.startswith("v_") and draw(st.booleans()):
        fresh = st.one_of(st.none(), VALUES[table.types[column]])
        values = [draw(fresh) for _ in values]
    else:
        order.shuffle(values)
    for row, value in zip(rows, values, strict=True):
        row[column] = value
    return replace(table, source=replace(table.source, rows=tuple(rows)))


@pytest.fixture(scope="module")
def registry():
    opened = SqlRegistry("sqlite:///:memory:")
    yield opened
    opened.close()


def lineage(registry: SqlRegistry, scenario: Scenario) -> Mapping[str, FeatureColumns]:
    """The columns behind each feature of a scenario, as a registry that was given it tells."""
    project = f"p{len(registry.projects())}"
    folder = Path(tempfile.mkdtemp(prefix="pit-"))
    for table in scenario.tables:
        product.write(table, folder)
    plan = build_plan(registry, project, product.analyzed(scenario, folder))
    shutil.rmtree(folder)
    apply_plan(registry, plan, author="pit")
    contents = Contents(registry, project, FeatureGraph(registry.head(project)))
    columns = ProjectLineage(contents).columns
    return {name: columns.of((name, "1.0.0")) for name in scenario.dtypes}


def has_ties(table: Table) -> bool:
    """Whether two rows of a key agree in all that orders them beside their content."""
    seen = []
    for row in table.source.rows:
        if row["event_time"] is None:
            continue
        known = row.get("available_at")
        event_time = source_instant(row["event_time"])
        available_at = event_time if known is None else source_instant(known)
        key = [row[name] for name in table.keys]
        seen.append(repr((key, event_time, available_at, row.get("sequence"))))
    return len(set(seen)) < len(seen)


@pytest.mark.parametrize("kinds", [("lookup",), ("windowed",), ("lookup", "windowed", "sequence")])
def test_only_what_lists_a_column_feels_it(registry, kinds):
    felt = []

    @examples(25)
    @given(changes(kinds))
    def check(change):
        scenario, changed, tables, column = change
        name = tables[0].name
        ordered = any(map(has_ties, tables))
        before, after = product.training_set(scenario), product.training_set(changed)
        for feature, found in lineage(registry, scenario).items():
            listed = {use.column for use in found.columns if use.source == name}
            same = all(agrees(a[feature], b[feature]) for a, b in zip(before, after, strict=True))
            felt.append(not same)
            if column not in listed and not (ordered and name in found.ties):
                assert same, f"'{feature}' feels '{column}' of '{name}', and lists {listed}"

    check()
    assert any(felt), "nothing was ever felt: the changes are too weak to tell anything"
