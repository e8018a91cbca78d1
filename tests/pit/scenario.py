"""Generated projects with a spine whose rows stand on purpose where values change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from oracle import Column, Constant, Feature, Oracle, Ref, Ticks, View
from oracle.times import DAY, FIRST_DAY, microseconds, source_instant
from pit import features as made
from pit.features import Typed
from pit.tables import (
    ANCHORS,
    KEY_VALUES,
    TIME_FORMS,
    VALUES,
    Shape,
    Table,
    key_columns,
    stamps,
    tables,
)

TICKS = (
    *(Ticks(every) for every in ("1h", "1d", "7d", "90m", "7m", "5h", "2d", "14d")),
    Ticks("1d", "17:30", "America/New_York"),
    Ticks("1d", "02:30", "America/New_York"),
    Ticks("1d", "01:30", "America/New_York"),
    Ticks("7d", None, "Asia/Kolkata"),
    Ticks("1d", "06:00", None),
    Ticks("3d", "00:00", "Australia/Lord_Howe"),
)
KINDS = ("lookup", "windowed", "sequence")


@dataclass(frozen=True)
class Scenario:
    """A project, a spine and what is asked for, for the product and the oracle alike."""

    tables: tuple[Table, ...]
    views: tuple[View, ...]
    dtypes: Mapping[str, str]
    keys: Mapping[str, str]
    spine: tuple[Mapping[str, Any], ...]
    spine_types: Mapping[str, str]
    timestamp: str
    refs: tuple[Ref, ...]
    knowledge: bool = True

    def expected(self) -> list[dict[str, Any]]:
        oracle = Oracle(self.views, knowledge=self.knowledge)
        return oracle.training_set(self.spine, self.refs, self.timestamp)

    def with_tables(self, changed: Iterable[Table]) -> Scenario:
        """The same with other rows in the sources."""
        found = {table.name: table for table in changed}
        views = tuple(
            view if view.source is None else replace(view, source=found[view.source.name].source)
            for view in self.views
        )
        return replace(self, tables=tuple(found.values()), views=views)


@st.composite
def scenarios(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = KINDS,
    *,
    views: int = 2,
    with_derived: bool = True,
    ticks: tuple[Ticks | None, ...] = (*(None,) * 12, *TICKS),
    null_available: bool = True,
    across: bool = False,
) -> Scenario:
    """One or two sources, up to `views` views over them and one over their features.

    With `across` there are more of the latter, and they read at values of features.
    """
    anchor = draw(st.sampled_from(ANCHORS))
    keys = draw(key_columns(1 if across else 0))
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    as_keys = {f"v_as_{key}": kind for key, kind in keys.items()} if across else {}
    shape = Shape(anchor, tuple(sorted(types)), null_available, as_keys)
    drawn: list[Table] = []
    found: list[View] = []
    known: dict[str, Typed] = {}
    for number in range(draw(st.integers(1, views))):
        own = dict(list(keys.items())[: draw(st.sampled_from((len(keys), len(keys), 1, 0)))])
        if not drawn or draw(st.booleans()):
            drawn.append(draw(tables(f"source_{number}", own, shape)))
        view, typed = draw(_views(f"view_{number}", drawn[-1], draw(st.sampled_from(kinds)), ticks))
        found.append(view)
        known |= typed
    if with_derived and draw(st.booleans()):
        view, typed = draw(_derived_views(keys, known, ticks))
        found.append(view)
        known |= typed
    if across:
        view, typed = _givers(drawn[-1], as_keys, draw(st.sampled_from(ticks)))
        found.append(view)
        known |= typed
    for number in range(draw(st.integers(2, 3)) if across else 0):
        view, typed = draw(_across(f"across_{number}", keys, known, found, ticks))
        found += [] if view is None else [view]
        known |= typed
    names = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=5, unique=True))
    names = list(dict.fromkeys([*names, *(f.name for f in found[-1].features if f.via)]))
    timestamp = draw(st.sampled_from(("event_timestamp", "t")))
    form = draw(st.sampled_from(TIME_FORMS))
    extra = draw(st.sampled_from(({}, {"label": "int64"}, {"other": keys.get("k0", "int64")})))
    columns = draw(st.permutations((*keys, timestamp, *extra)))
    spine = draw(_spines(keys, drawn, found, timestamp, form, extra, anchor))
    return Scenario(
        tuple(drawn),
        tuple(found),
        {name: typed.dtype for name, typed in known.items()},
        keys,
        tuple({column: row[column] for column in columns} for row in spine),
        {**keys, timestamp: form, **extra},
        timestamp,
        tuple(_ref(name, i, found, extra, draw(st.integers(0, 5))) for i, name in enumerate(names)),
        draw(st.sampled_from((True, True, True, True, False))),
    )


def _ref(name: str, number: int, views: list[View], extra: Mapping[str, str], choice: int) -> Ref:
    home = next(view for view in views if any(f.name == name for f in view.features))
    if choice == 0 and "other" in extra and "k0" in home.keys:
        return Ref(name, f"out_{number}", {"k0": "other"})
    return Ref(name, f"out_{number}" if choice == 1 else None)


@st.composite
def _views(
    draw: st.DrawFn, name: str, table: Table, kind: str, ticks: tuple[Ticks | None, ...]
) -> tuple[View, dict[str, Typed]]:
    clock = draw(st.sampled_from(ticks))
    strategies = {
        "lookup": made.lookups(table.values, ticked=clock is not None),
        "windowed": made.windows(table.values, table.moment),
        "sequence": made.sequences(table.values),
    }
    mixed = st.one_of(strategies["lookup"], strategies["sequence"])
    strategy = strategies["windowed"] if kind == "windowed" else strategies[kind]
    if kind != "windowed" and draw(st.integers(0, 3)) == 0:
        strategy = mixed
    pairs = draw(st.lists(strategy, min_size=1, max_size=3))
    features, known = _named(name, pairs, {})
    if draw(st.integers(0, 2)) == 0:
        more, known = _named(
            f"{name}_d", draw(_derived_lists(known, as_of=clock is not None)), known
        )
        features += more
    delay = "0s" if clock is None else draw(st.sampled_from(("0s", "0s", "1us", "10m", "25h")))
    ttl = draw(st.sampled_from((*(None,) * 5, "1us", "1h", "1d", "3d", "30d")))
    return View(name, features, table.source, table.keys, clock, delay, ttl), known


def _derived_lists(
    known: Mapping[str, Typed], *, as_of: bool
) -> st.SearchStrategy[list[tuple[Feature, Typed]]]:
    return st.lists(made.derived(known, as_of=as_of), min_size=1, max_size=2)


@st.composite
def _derived_views(
    draw: st.DrawFn,
    keys: Mapping[str, str],
    known: Mapping[str, Typed],
    ticks: tuple[Ticks | None, ...],
) -> tuple[View, dict[str, Typed]]:
    clock = draw(st.sampled_from(ticks))
    features, all_known = _named("derived", draw(_derived_lists(known, as_of=True)), {})
    delay = "0s" if clock is None else draw(st.sampled_from(("0s", "10m")))
    return View("derived", features, None, tuple(keys), clock, delay), all_known


def _givers(
    table: Table, as_keys: Mapping[str, str], clock: Ticks | None
) -> tuple[View, dict[str, Typed]]:
    """A view of columns that hold values of keys."""
    features = tuple(Feature(f"giver_{name}", Column(name)) for name in as_keys)
    features += (Feature("giver_none", Constant(1)),)
    typed = {f"giver_{n}": Typed(Column(n), kind) for n, kind in as_keys.items()}
    typed["giver_none"] = Typed(Constant(1), "int64")
    return View("givers", features, table.source, table.keys, clock), typed


@st.composite
def _across(
    draw: st.DrawFn,
    name: str,
    keys: Mapping[str, str],
    known: Mapping[str, Typed],
    views: list[View],
    ticks: tuple[Ticks | None, ...],
) -> tuple[View | None, dict[str, Typed]]:
    """A view whose features are read, most of them, at values of other features."""
    own = tuple(list(keys)[: draw(st.sampled_from((len(keys), 1, 0)))])
    homes = {feature.name: set(view.keys) for view in views for feature in view.features}
    here = sorted(n for n, read in homes.items() if read <= set(own) and known[n].exact)
    pairs = []
    for feature, typed in draw(_derived_lists(known, as_of=True)):
        needed = sorted({key for read in feature.inputs for key in homes[read]})
        givers = {key: [n for n in here if known[n].dtype == keys[key]] for key in needed}
        wanted = [k for k in needed if k not in own or (givers[k] and draw(st.integers(0, 3)))]
        if all(givers[key] for key in wanted):
            via = {key: draw(st.sampled_from(givers[key])) for key in wanted}
            pairs.append((replace(feature, via=via), typed))
    if not pairs:
        return None, {}
    features, typed_of = _named(name, pairs, {})
    return View(name, features, None, own, draw(st.sampled_from(ticks))), typed_of


def _named(
    prefix: str, pairs: list[tuple[Feature, Typed]], known: Mapping[str, Typed]
) -> tuple[tuple[Feature, ...], dict[str, Typed]]:
    names = [f"{prefix}_f{i}" for i in range(len(pairs))]
    features = tuple(replace(f, name=n) for n, (f, _) in zip(names, pairs, strict=True))
    return features, {**known, **{n: t for n, (_, t) in zip(names, pairs, strict=True)}}


@st.composite
def _spines(
    draw: st.DrawFn,
    keys: Mapping[str, str],
    drawn: list[Table],
    views: list[View],
    timestamp: str,
    form: str,
    extra: Mapping[str, str],
    anchor: int,
) -> list[dict[str, Any]]:
    distances = sorted({0, *(d for view in views for d in _distances(view))})
    seen = [(row, moment) for table in drawn for row, moment in _moments(table)]
    rows: list[dict[str, Any]] = []
    for _ in range(draw(st.sampled_from((1, 2, 4, 8, 16, 30)))):
        if rows and draw(st.integers(0, 5)) == 0:
            rows.append({**rows[draw(st.integers(0, len(rows) - 1))], **draw(_labels(extra))})
            continue
        row, moment = draw(st.sampled_from(seen)) if seen else ({}, anchor)
        instant = moment + draw(st.sampled_from(distances))
        instant = draw(_on_a_tick(views, instant)) + draw(st.sampled_from((0, 0, -1, 1)))
        part = {**draw(_spine_keys(keys, row)), timestamp: draw(stamps(instant, form))}
        rows.append({**part, **draw(_labels(extra))})
    return rows


def _labels(extra: Mapping[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    choices = {
        n: st.sampled_from((0, 1, None))
        if n == "label"
        else st.sampled_from((*KEY_VALUES[t], None))
        for n, t in extra.items()
    }
    return st.fixed_dictionaries(choices)


@st.composite
def _spine_keys(draw: st.DrawFn, keys: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    """Mostly the keys of a source's row; else known, unknown and null parts at random."""
    any_part = {n: draw(st.sampled_from((*KEY_VALUES[t], None))) for n, t in keys.items()}
    if draw(st.integers(0, 7)) == 0:
        return any_part
    return {n: row.get(n, any_part[n]) for n in keys}


def _moments(table: Table) -> list[tuple[Mapping[str, Any], int]]:
    """Each row with each of its times."""
    columns = ("event_time", "available_at")
    return [
        (row, source_instant(row[column]))
        for row in table.source.rows
        for column in columns
        if row.get(column) is not None
    ]


def _distances(view: View) -> list[int]:
    """How far after a row's times something may change: windows end, rows age, ticks come."""
    found = [microseconds(view.data_delay), microseconds(view.ttl or "0s")]
    for feature in view.features:
        offset = microseconds(feature.offset or "0s")
        window = 0 if feature.window in (None, "lifetime") else microseconds(feature.window)
        found += [offset, offset + window]
    return [*found, DAY, 3 * DAY]


@st.composite
def _on_a_tick(draw: st.DrawFn, views: list[View], instant: int) -> int:
    """The instant, or the moment when the tick before or after it becomes visible."""
    ticked = [view for view in views if view.ticks is not None]
    if not ticked or draw(st.booleans()):
        return instant
    view = draw(st.sampled_from(ticked))
    delay = microseconds(view.data_delay)
    near = instant + draw(st.sampled_from((0, 0, microseconds(view.ticks.every))))
    return view.ticks.latest(near) + delay


__all__ = ["FIRST_DAY", "KINDS", "TICKS", "Scenario", "scenarios"]
