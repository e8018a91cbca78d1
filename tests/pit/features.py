"""Generated features: an oracle expression and the type of its values; `pit.sql` prints the SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from oracle import (
    DAY,
    HOUR,
    Aggregate,
    Apply,
    AsOf,
    Column,
    Constant,
    Ema,
    Expression,
    Feature,
    Input,
    Lag,
    Over,
    Wma,
)
from oracle.scalars import (
    ADD,
    AND,
    CARDINALITY,
    CASE,
    COALESCE,
    COSINE,
    DISTANCE,
    DIVIDE,
    EPOCH,
    EQUAL,
    FIELD_A,
    GREATER,
    INNER_PRODUCT,
    IS_NULL,
    MAKE_MAP,
    MULTIPLY,
    NULL_IF,
    PACK,
    SECOND_ELEMENT,
    SUBTRACT,
    UNDER_A,
)
from oracle.scalars import MAP_KEYS as MAP_KEYS_OF


@dataclass(frozen=True)
class Typed:
    """An expression and the type of its values.

    `exact` is false where the contracts promise a tolerance only (variances).
    """

    expression: Expression
    dtype: str
    exact: bool = True


NUMBERS = ("float64", "float32", "int64", "int32")
MAP_KEYS = {"string": "string", "int32": "int64", "int64": "int64", "bool": "bool", "date": "date"}
WINDOWS = ("1us", "10m", "1h", "90m", "1d", "1d", "25h", "7d", "7d", "30d", "lifetime")
HOPS = ("1us", "7us", "10m", "1h", "7h", "1d", "7d", "14d")
SIMILARITIES = st.sampled_from((COSINE, DISTANCE, INNER_PRODUCT))
SPREADS = ("var_samp", "var_pop", "stddev_samp", "stddev_pop")
PAIRS = ("covar_samp", "covar_pop", "corr", "regr_slope")
CONSTANTS: dict[str, Any] = {
    "float64": 1.5,
    "int64": 1,
    "int32": 1,
    "float32": 0.5,
    "string": "a",
    "bool": True,
}


STRUCT = "struct[a: float64, b: string]"
MAP = "map[string, int64]"
VECTOR = "vector[float32, 2]"
VECTORS = (VECTOR, "vector[float64, 2]")
DTYPES = {"extreme": "int64", "struct": STRUCT, "map": MAP, "vector": VECTOR}
DEFAULTS: dict[str, Any] = {
    STRUCT: {"a": 1.5, "b": None},
    MAP: {"a": 1, "b": None},
    VECTOR: [0.5, -1.0],
}


def _dtype(kind: str) -> str:
    return DTYPES.get(kind, kind)


@st.composite
def conditions(draw: st.DrawFn, columns: Mapping[str, str]) -> Expression:
    """A predicate over a row's columns, null where a column is."""
    name, kind = draw(st.sampled_from(sorted(columns.items())))
    made: list[Expression] = [Apply(IS_NULL, Column(name))]
    if kind == "bool":
        made.append(Column(name))
    if kind in ("string", "int64", "int32", "float64"):
        made.append(Apply(GREATER, Column(name), Constant(CONSTANTS[kind])))
        made.append(Apply(EQUAL, Column(name), Constant(CONSTANTS[kind])))
    found = draw(st.sampled_from(made))
    other = draw(st.sampled_from((None, None, Apply(IS_NULL, Column(min(columns))))))
    return found if other is None else Apply(AND, found, other)


@st.composite
def row_values(draw: st.DrawFn, columns: Mapping[str, str]) -> Typed:
    """A row-level expression."""
    name, kind = draw(st.sampled_from(sorted(columns.items())))
    column = Column(name)
    plain = Typed(column, _dtype(kind))
    made = [plain, plain]
    other, of_other = draw(st.sampled_from(sorted(columns.items())))
    if "vector" not in (kind, of_other):  # these stand alone
        pair = f"struct[x: {plain.dtype}, y: {_dtype(of_other)}]"
        made.append(Typed(Apply(PACK, column, Column(other)), pair))
    if kind == "struct":
        made.append(Typed(Apply(FIELD_A, column), "float64"))
    if kind == "map":
        made.append(Typed(Apply(UNDER_A, column), "int64"))
        made.append(Typed(Apply(CARDINALITY, column), "int64"))
        made.append(Typed(Apply(MAP_KEYS_OF, column), "list[string]"))
    if kind == "vector":
        length = Apply(INNER_PRODUCT, column, column)
        made += [Typed(Apply(SECOND_ELEMENT, column), "float32"), Typed(length, "float64")]
    elif kind == of_other:
        both = Apply(MAKE_MAP, column, Column(other))
        made.append(Typed(both, f"map[string, {plain.dtype}]"))
    if kind in CONSTANTS and kind != "float32":
        constant = Constant(CONSTANTS[kind])
        made.append(Typed(Apply(NULL_IF, column, constant), "int64" if kind == "int32" else kind))
        if kind != "int32":
            made.append(Typed(Apply(COALESCE, column, constant), kind))
    if kind == "float64":
        made.append(Typed(Apply(MULTIPLY, column, Constant(0.5)), kind))
    if kind in ("float64", "int64"):
        made.append(Typed(Apply(DIVIDE, column, Constant(3)), "float64"))
        negative = Apply(SUBTRACT, Constant(CONSTANTS[kind]), column)
        condition = draw(conditions(columns))
        made.append(Typed(Apply(CASE, condition, negative, column), kind))
    return draw(st.sampled_from(made))


@st.composite
def timed_values(draw: st.DrawFn, columns: Mapping[str, str], moment: str | None) -> Typed:
    """A row-level expression that depends on the time for which it is computed.

    `moment` is the column of event times, where it holds times that are no dates.
    """
    now = Apply(EPOCH, AsOf())
    late = Apply(CASE, draw(conditions(columns)), AsOf(), Constant(None))
    made = [Typed(late, "timestamp")]
    if "v_timestamp" in columns:
        made.append(Typed(Apply(GREATER, AsOf(), Column("v_timestamp")), "bool"))
    if "v_float64" in columns:
        made.append(Typed(Apply(DIVIDE, Column("v_float64"), now), "float64"))
    if moment is not None:
        age = Apply(SUBTRACT, now, Apply(EPOCH, Column(moment)))
        made += [Typed(age, "int64"), Typed(Apply(DIVIDE, Constant(1.5), age), "float64")]
    return draw(st.sampled_from(made))


@st.composite
def timed_conditions(draw: st.DrawFn, columns: Mapping[str, str], moment: str | None) -> Expression:
    if moment is None:
        return Apply(GREATER, Apply(EPOCH, AsOf()), Constant(0))
    age = Apply(SUBTRACT, Apply(EPOCH, AsOf()), Apply(EPOCH, Column(moment)))
    young = Apply(GREATER, Constant(draw(st.sampled_from((1, HOUR, DAY)))), age)
    other = draw(st.one_of(st.none(), conditions(columns)))
    return young if other is None else Apply(AND, other, young)


@st.composite
def aggregates(
    draw: st.DrawFn,
    columns: Mapping[str, str],
    arg: Typed | None = None,
    where: Expression | None = None,
) -> Typed:
    """One aggregate, perhaps with FILTER; `arg` and `where` are its own where given."""
    if arg is None:
        arg = draw(row_values(columns))
    if where is None:
        where = draw(st.one_of(st.none(), conditions(columns)))
    over = arg.expression
    wide = {"int32": "int64", "float32": "float64"}.get(arg.dtype, arg.dtype)
    if arg.dtype in VECTORS:
        return draw(_of_vectors(arg, where))
    made: dict[str, tuple[str, Any]] = {
        "count": ("int64", None),
        "count_distinct": ("int64", None),
        "min": (arg.dtype, None),
        "max": (arg.dtype, None),
        "first": (arg.dtype, None),
        "last": (arg.dtype, None),
        "last_k": (f"list[{arg.dtype}]", draw(st.integers(1, 4))),
        "approx_count_distinct": ("int64", None),
        "mode": (arg.dtype, None),
        "mode_count": ("int64", None),
        "top_k": (f"list[{arg.dtype}]", draw(st.integers(1, 3))),
        "quantile_disc": (arg.dtype, draw(st.sampled_from((0.0, 0.1, 0.5, 0.55, 1.0)))),
    }
    if arg.dtype.endswith("]"):  # of lists, structs and maps there is no order
        made = {n: made[n] for n in ("count", "first", "last", "last_k")}
    if arg.dtype in MAP_KEYS:
        made["histogram"] = (f"map[{MAP_KEYS[arg.dtype]}, int64]", None)
    if arg.dtype in NUMBERS and not _has_extremes(over):
        made["sum"] = (wide, None)
        for name in ("avg", "avg_deviation", *SPREADS):
            made[name] = ("float64", None)
        made["approx_quantile"] = ("float64", draw(st.sampled_from((0.0, 0.5, 0.9))))
        made["quantile_cont"] = ("float64", draw(st.sampled_from((0.0, 0.25, 0.5, 0.9, 1.0))))
    if draw(st.integers(0, 9)) == 0:
        return Typed(Aggregate("count", None, where), "int64")
    other = draw(_others(columns)) if "sum" in made and draw(st.integers(0, 4)) == 0 else None
    if other is not None:
        name = draw(st.sampled_from(PAIRS))
        return Typed(Aggregate(name, over, where, None, other), "float64", exact=False)
    name = draw(st.sampled_from(sorted(made)))
    dtype, parameter = made[name]
    return Typed(Aggregate(name, over, where, parameter), dtype, name not in SPREADS)


@st.composite
def _of_vectors(draw: st.DrawFn, arg: Typed, where: Expression | None) -> Typed:
    """An aggregate of vectors: that of each element."""
    wide = "vector[float64, 2]"
    made = {
        "count": "int64",
        **dict.fromkeys(("min", "max", "first", "last"), arg.dtype),
        **dict.fromkeys(("sum", "avg"), wide),
    }
    name = draw(st.sampled_from(sorted(made)))
    return Typed(Aggregate(name, arg.expression, where), made[name])


@st.composite
def _others(draw: st.DrawFn, columns: Mapping[str, str]) -> Expression:
    """The second argument of an aggregate of pairs."""
    names = [n for n, kind in sorted(columns.items()) if kind in NUMBERS and n != "v_extreme"]
    return draw(st.sampled_from([Constant(1.5), *map(Column, names)]))


def _has_extremes(expression: Expression) -> bool:
    return "v_extreme" in repr(expression)


@st.composite
def around(draw: st.DrawFn, inner: Typed) -> Typed:
    """The expression as it is, or a scalar expression around it."""
    if inner.dtype in VECTORS and draw(st.booleans()):
        both = inner.expression, inner.expression
        return Typed(Apply(draw(SIMILARITIES), *both), "float64")
    if not inner.exact or inner.dtype not in ("float64", "int64") or draw(st.booleans()):
        return inner
    constant = Constant(CONSTANTS[inner.dtype])
    return draw(
        st.sampled_from(
            (
                Typed(Apply(COALESCE, inner.expression, constant), inner.dtype),
                Typed(Apply(DIVIDE, inner.expression, Constant(0)), "float64"),
                Typed(Apply(NULL_IF, inner.expression, constant), inner.dtype),
            )
        )
    )


@st.composite
def lookups(draw: st.DrawFn, columns: Mapping[str, str], *, ticked: bool) -> tuple[Feature, Typed]:
    typed = draw(row_values(columns))
    if ticked and "v_timestamp" in columns and draw(st.booleans()):
        condition = draw(conditions(columns))
        typed = Typed(Apply(CASE, condition, AsOf(), Column("v_timestamp")), "timestamp")
    return Feature("", typed.expression, default=draw(_defaults(typed))), typed


@st.composite
def windows(
    draw: st.DrawFn, columns: Mapping[str, str], moment: str | None
) -> tuple[Feature, Typed]:
    arg, where = None, None
    if draw(st.integers(0, 3)) == 0:
        arg = draw(st.one_of(st.none(), timed_values(columns, moment)))
        where = draw(st.one_of(st.none(), timed_conditions(columns, moment)))
    typed = draw(aggregates(columns, arg, where).flatmap(around))
    window = draw(st.sampled_from(WINDOWS))
    hop = None if window == "lifetime" else draw(st.sampled_from((None, None, *HOPS)))
    offset = draw(st.sampled_from((None, None, "1us", "1h", "1d")))
    default = draw(_defaults(typed))
    return Feature("", typed.expression, window, hop, offset, default=default), typed


@st.composite
def sequences(draw: st.DrawFn, columns: Mapping[str, str]) -> tuple[Feature, Typed]:
    values = draw(row_values(columns))
    lag = Typed(Lag(values.expression, draw(st.integers(1, 3))), values.dtype)
    made = [lag]
    if values.dtype in NUMBERS and not _has_extremes(values.expression):
        smooth = Ema(values.expression, draw(st.integers(1, 4)), draw(st.booleans()))
        made.append(Typed(smooth, "float64"))
        made.append(Typed(Wma(values.expression, draw(st.integers(1, 4))), "float64"))
    over = draw(overs(columns, values))
    made += [over, over]
    if values.dtype == "float64":
        change = Typed(Apply(SUBTRACT, values.expression, Lag(values.expression)), "float64")
        made += [change, Typed(Ema(change.expression, 2), "float64")]
        values = draw(st.sampled_from((values, change)))
    rows = draw(st.one_of(st.none(), st.integers(1, 5)))
    if rows is None:
        typed = draw(st.sampled_from(made))
        return Feature("", typed.expression, default=draw(_defaults(typed))), typed
    framed = draw(aggregates(columns, values).flatmap(around))
    typed = draw(st.sampled_from((framed, framed, *made)))
    least = draw(st.one_of(st.none(), st.integers(1, rows)))
    default = draw(_defaults(typed))
    return Feature("", typed.expression, rows=rows, min_rows=least, default=default), typed


@st.composite
def overs(draw: st.DrawFn, columns: Mapping[str, str], values: Typed) -> Typed:
    """An aggregate with a frame of its own, perhaps inside another function of rows."""
    sizes = st.one_of(st.none(), st.integers(1, 4))
    inner = draw(aggregates(columns, values))
    over = Typed(Over(inner.expression, draw(sizes)), inner.dtype, inner.exact)
    if not over.exact or over.dtype not in ("float64", "int64") or draw(st.booleans()):
        return over
    outer = Aggregate(draw(st.sampled_from(("sum", "min", "max", "first", "count"))))
    around = Over(replace(outer, arg=over.expression), draw(sizes))
    dtype = "int64" if outer.name == "count" else over.dtype
    made = [
        Typed(around, dtype),
        Typed(Lag(over.expression), over.dtype),
        Typed(Ema(over.expression, 2), "float64"),
    ]
    return draw(st.sampled_from(made))


@st.composite
def derived(draw: st.DrawFn, known: Mapping[str, Typed], *, as_of: bool) -> tuple[Feature, Typed]:
    """An expression over other features; numbers meet numbers, anything can be tested for null."""
    numbers = sorted(n for n, t in known.items() if t.dtype in ("float64", "int64") and t.exact)
    name = draw(st.sampled_from(sorted(known)))
    made = [Typed(Apply(IS_NULL, Input(name)), "bool")]
    exact = sorted(n for n, t in known.items() if t.exact and t.dtype not in VECTORS)
    if exact:
        one, two = draw(st.sampled_from(exact)), draw(st.sampled_from(exact))
        dtype = f"struct[x: {known[one].dtype}, y: {known[two].dtype}]"
        made.append(Typed(Apply(PACK, Input(one), Input(two)), dtype))
    if numbers:
        left, right = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
        both = Input(left), Input(right)
        quotient = Typed(Apply(DIVIDE, *both), "float64")
        made += [quotient, Typed(Apply(GREATER, *both), "bool")]
        if known[left].dtype == known[right].dtype == "float64":
            made.append(Typed(Apply(ADD, *both), "float64"))
        default = Constant(CONSTANTS[known[left].dtype])
        made.append(Typed(Apply(COALESCE, Input(left), default), known[left].dtype))
        if as_of:
            late = Apply(CASE, Apply(GREATER, *both), AsOf(), Constant(None))
            made.append(Typed(late, "timestamp"))
    if as_of:
        without = Apply(CASE, Apply(IS_NULL, Input(name)), AsOf(), Constant(None))
        made.append(Typed(without, "timestamp"))
    vectors = sorted(n for n, t in known.items() if t.dtype in VECTORS)
    if vectors:
        pair = (Input(draw(st.sampled_from(vectors))) for _ in range(2))
        made.append(Typed(Apply(draw(SIMILARITIES), *pair), "float64"))
    typed = draw(st.sampled_from(made))
    return Feature("", typed.expression, default=draw(_defaults(typed))), typed


def _defaults(typed: Typed) -> st.SearchStrategy[Any]:
    found = CONSTANTS.get(typed.dtype, DEFAULTS.get(typed.dtype))
    return st.sampled_from((None, None, None, found))
