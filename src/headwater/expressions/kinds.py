"""What one feature is: its kind, its type and its dependencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from headwater.definitions.defaults import typed
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.types import (
    FLOATS,
    INTEGERS,
    MAX_SIZE,
    NUMBERS,
    holds,
    is_decimal,
    is_nested,
    is_vector,
    size,
)
from headwater.errors import ComputeError, DefinitionError
from headwater.expressions.analyzed import AnalyzedFeature, Hop, Kind
from headwater.expressions.casts import can_cast
from headwater.expressions.closures import compile_row
from headwater.expressions.drafts import Draft, hint
from headwater.expressions.functions import Row
from headwater.expressions.hashes import Content, data_hash, serving_hash
from headwater.expressions.nested import has_no_type
from headwater.expressions.on_demand import check_request, needed_request
from headwater.expressions.printing import duckdb_type
from headwater.expressions.tree import Aggregate, Call, Case, Cast, Column, Literal, Node, Over
from headwater.expressions.types import resolve, type_of
from headwater.expressions.value_kinds import check_value_kind
from headwater.expressions.walk import (
    aggregates_of,
    children,
    columns_of,
    replace,
    sequence_calls_of,
    uses,
)

INSTANTS = tuple(datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC) for year in (1, 1970, 2024, 2050, 9998))
"""At which an expression is tried; hardly any has a value for a key without rows at others only."""


def analyze_feature(
    draft: Draft,
    feature: Feature,
    known: Mapping[str, AnalyzedFeature],
    across: Mapping[str, Hop],
) -> AnalyzedFeature:
    tree = draft.trees[feature.name]
    if tree is not None and _is_row_level(draft, feature, tree):
        tree = _inline(draft, tree, known)
    if feature.request:
        check_request(draft, feature)
    kind = _kind(draft, feature, tree)
    types = {**{name: f.dtype for name, f in known.items()}, **draft.schema, **feature.request}
    dtype = _dtype(draft, feature, tree, types)
    if tree is not None:
        where = draft.where(feature.name)
        tree, found = resolve(tree, types, where)
        if found != dtype:
            tree, _ = resolve(Cast(tree, dtype), types, where)
    names = feature.function.inputs if feature.function is not None else ()
    names = columns_of(tree) if tree is not None else names
    columns = tuple(name for name in names if name in draft.schema)
    operands = [n for n in names if n not in draft.schema and n not in feature.request]
    inputs = tuple(dict.fromkeys([*operands, *feature.via.values()]))
    _check_default(draft, feature, dtype)
    check_value_kind(draft, feature, dtype)
    read = tuple(known[name] for name in inputs)
    request = needed_request(draft, feature, read)
    if request:
        kind = "on_demand"
    values = data_hash(draft, Content(feature, kind, dtype, tree, read))
    return AnalyzedFeature(
        feature=feature,
        view=draft.view.name,
        kind=kind,
        dtype=dtype,
        tree=tree,
        columns=columns,
        inputs=inputs,
        data_hash=values,
        serving_hash=serving_hash(draft, feature, values),
        on_read=_on_read(draft, kind, tree, read),
        request=request,
        across=across,
        named=len(operands),
    )


def _is_row_level(draft: Draft, feature: Feature, tree: Node) -> bool:
    """Whether the expression works on rows, and not on the values of features alone."""
    framed = feature.window is not None or feature.rows is not None
    computes = bool(aggregates_of(tree) or sequence_calls_of(tree))
    return framed or computes or any(name in draft.schema for name in columns_of(tree))


def _inline(draft: Draft, tree: Node, known: Mapping[str, AnalyzedFeature]) -> Node:
    """Put the expression of a row-level feature of this view where its name stands.

    So an aggregate or a sequence may work on a lookup feature by its name. Where an expression
    reads features alone it stays as it is: then their defaults count (C10).
    """

    def expand(node: Node) -> Node | None:
        if not isinstance(node, Column) or node.name in draft.schema:
            return None
        found = known.get(node.name)
        if found is None or found.view != draft.view.name or found.tree is None:
            return None
        return _framed(found.tree, found) if found.kind in ("lookup", "sequence") else None

    return replace(tree, expand)


def _framed(tree: Node, feature: AnalyzedFeature) -> Node:
    """The expression with the frame of its feature written into it: rows= and min_rows=."""
    rows = feature.feature.rows
    if rows is None:
        return tree
    framed = replace(tree, lambda n: Over(n, rows) if isinstance(n, Aggregate) else None)
    count = Over(Aggregate("count"), rows)
    is_full = Call("ge", (count, Literal(feature.feature.min_rows or rows, "int64")))
    return Case(((is_full, framed),))


def _kind(draft: Draft, feature: Feature, tree: Node | None) -> Kind:
    if tree is None:
        return _function(draft, feature)
    if feature.window is not None:
        return _windowed(draft, feature, tree)
    where = draft.where(feature.name)
    columns, features = _split(draft, columns_of(tree))
    if feature.rows is not None or sequence_calls_of(tree):
        _check_sequence(tree, features, where)
        if feature.rows is None:
            _check_frames(tree, where)
        return "sequence"
    _check_frames(tree, where)
    if features and columns:
        raise DefinitionError(
            f"{where}: mixes the column '{columns[0]}' with the feature '{features[0]}'; make the "
            "column a feature of its own first"
        )
    if features or draft.source is None:
        return "derived"
    _check_as_of(draft, tree, where)
    return "lookup"


def _check_frames(tree: Node, where: str) -> None:
    aggregates = aggregates_of(tree)
    if aggregates:
        raise DefinitionError(
            f"{where}: aggregate '{aggregates[0].name}' needs a frame; give window='7d' (or "
            "'lifetime') for a window of time, or rows=20 for a number of rows"
        )


def _split(draft: Draft, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names of columns of the source, and the others, which are features."""
    given = list(names)
    columns = [name for name in given if name in draft.schema]
    return columns, [name for name in given if name not in draft.schema]


def _function(draft: Draft, feature: Feature) -> Kind:
    assert feature.function is not None  # noqa: S101
    if draft.source is None:
        if feature.function.mode != "row":
            raise DefinitionError(
                f"{draft.where(feature.name, 'function')}: reads features, which have no rows "
                "before them; declare it with mode='row'"
            )
        if draft.view.ticks is not None:
            raise DefinitionError(
                f"{draft.where(feature.name, 'function')}: a function that reads features is "
                "called when they are read; put it into a view without 'update_frequency'"
            )
        return "derived"
    _, outside = _split(draft, feature.function.inputs)
    if outside:
        raise DefinitionError(
            f"{draft.where(feature.name, 'function')}: input '{outside[0]}' is no column of "
            f"source '{draft.source.name}'{hint(outside[0], draft.schema)}"
        )
    return "sequence" if feature.function.mode == "sequence" else "lookup"


def _check_sequence(tree: Node, features: list[str], where: str) -> None:
    if uses(tree, "as_of"):
        raise DefinitionError(
            f"{where}: as_of() can't stand in a sequence; use it in another feature that reads "
            "this one"
        )
    if features:
        raise DefinitionError(
            f"{where}: '{features[0]}' is no column of the source; a sequence feature reads "
            "columns and row-level features of its own view"
        )


def _check_as_of(draft: Draft, tree: Node, where: str) -> None:
    if uses(tree, "as_of") and draft.view.ticks is None:
        raise DefinitionError(
            f"{where}: as_of() is the time of reading, and the row's value is stored earlier; make "
            "the column a feature, and use as_of() in another feature that reads it"
        )


def _on_read(
    draft: Draft, kind: Kind, tree: Node | None, inputs: tuple[AnalyzedFeature, ...]
) -> bool:
    """Whether a stored row can't hold the value (see AnalyzedFeature)."""
    if kind != "derived" or tree is None or draft.source is None or _has_windows(draft):
        return False
    if any(feature.on_read for feature in inputs):
        return True
    if uses(tree, "as_of") and draft.view.ticks is None:
        return True
    run = compile_row(tree, (*(feature.name for feature in inputs), "as_of()"))
    defaults = [feature.default for feature in inputs]
    return any(_has_value(run, [*defaults, at]) for at in INSTANTS)


def _has_value(run: Row, row: Sequence[Any]) -> bool:
    try:
        return run(row) is not None
    except ComputeError:
        return False


def _has_windows(draft: Draft) -> bool:
    return any(feature.window is not None for feature in draft.view.features)


def _windowed(draft: Draft, feature: Feature, tree: Node) -> Kind:
    where = draft.where(feature.name)
    if draft.source is None:
        raise DefinitionError(
            f"{draft.where(feature.name, 'window')}: view '{draft.view.name}' has no source whose "
            "rows a window could hold"
        )
    if sequence_calls_of(tree):
        raise DefinitionError(f"{where}: a sequence function and OVER have no 'window'; use rows=")
    if not aggregates_of(tree):
        raise DefinitionError(
            f"{where}: 'window' is given, but the expression holds no aggregate; write one, as "
            "last(x), or leave 'window' out"
        )
    columns, features = _split(draft, columns_of(_without_aggregates(tree)))
    if columns:
        raise DefinitionError(
            f"{where}: column '{columns[0]}' stands outside an aggregate; a window has many rows"
        )
    if features:
        raise DefinitionError(
            f"{where}: mixes an aggregate with the feature '{features[0]}'; name the aggregate as "
            "a feature of its own, then combine the two in a feature without 'window'"
        )
    for aggregate in aggregates_of(tree):
        _check_aggregate(draft, draft.source, aggregate, where)
    return "windowed"


def _check_aggregate(draft: Draft, source: Source, aggregate: Aggregate, where: str) -> None:
    """What an aggregate works on are rows of the source."""
    for part in children(aggregate):
        _, features = _split(draft, columns_of(part))
        if features:
            raise DefinitionError(
                f"{where}: '{features[0]}' inside an aggregate is no column of source "
                f"'{source.name}'{hint(features[0], draft.schema)}"
            )


def _without_aggregates(tree: Node) -> Node:
    return replace(tree, lambda n: Literal(None, "null") if isinstance(n, Aggregate) else None)


def _dtype(draft: Draft, feature: Feature, tree: Node | None, types: Mapping[str, str]) -> str:
    if tree is None:
        assert feature.function is not None  # noqa: S101
        found = feature.function.output
    else:
        found = type_of(tree, types, draft.where(feature.name))
    if feature.dtype is None:
        if has_no_type(found):
            what = "the expression" if found == "null" else f"a part of {found}"
            raise DefinitionError(
                f"{draft.where(feature.name, 'dtype')}: {what} is always null; give a type"
            )
        if holds(found, "vector") and not (is_vector(found) and size(found) <= MAX_SIZE):
            raise DefinitionError(
                f"{draft.where(feature.name, 'dtype')}: would be {found}; a vector is a feature of "
                f"its own, with at most {MAX_SIZE} elements"
            )
        return found
    fits = found in (feature.dtype, "null")
    has_parts = is_nested(found) or is_decimal(found)
    fits = fits or (has_parts and can_cast(found, feature.dtype))
    if not fits and not (feature.dtype in NUMBERS and found in NUMBERS and tree is not None):
        raise DefinitionError(
            f"{draft.where(feature.name, 'dtype')}: is {feature.dtype}, but the definition gives "
            f"{found}; write a cast (x::{duckdb_type(feature.dtype)}) or declare {found}"
        )
    return feature.dtype


def _check_default(draft: Draft, feature: Feature, dtype: str) -> None:
    value = feature.default
    if value is None:
        return
    if is_nested(dtype):
        _check_parts(draft, feature, dtype)
        return
    python: dict[str, type | tuple[type, ...]] = {
        **dict.fromkeys(INTEGERS, int),
        **dict.fromkeys(FLOATS, (int, float)),
        "bool": bool,
        "string": str,
    }
    expected = python.get(dtype)
    wrong_bool = isinstance(value, bool) and dtype != "bool"
    if expected is None or not isinstance(value, expected) or wrong_bool:
        raise DefinitionError(
            f"{draft.where(feature.name, 'default')}: {value!r} does not fit the type {dtype}"
            + ("" if expected is not None else "; only bool, numbers and strings have defaults")
        )


def _check_parts(draft: Draft, feature: Feature, dtype: str) -> None:
    try:
        typed(feature.default, dtype)
    except (ValueError, KeyError) as error:
        raise DefinitionError(
            f"{draft.where(feature.name, 'default')}: {feature.default!r} does not fit the type "
            f"{dtype}: {error}"
        ) from None
