"""The aggregates and the functions of a row and its predecessors."""

from __future__ import annotations

from headwater.expressions.functions.declare import AggregateFunction

COUNTS = frozenset({"count", "mode_count", "approx_count_distinct"})
"""Aggregates that are 0 over no rows, where the others are null."""

AGGREGATES = (
    AggregateFunction(
        "count",
        "aggregate",
        ("any?",),
        "int64",
        "Number of rows, `count(*)`; of values that are not null, `count(x)`; of different "
        "values, `count(DISTINCT x)`. 0 over no rows. `count_if(c)` counts where c is true.",
    ),
    AggregateFunction(
        "sum",
        "aggregate",
        ("number",),
        "wide",
        "Sum: of integers an exact int64, or an error; of floats the exact sum, rounded once. "
        "Of vectors, as `avg`, `min` and `max`, the vector of the sums of each element.",
        elementwise=True,
    ),
    AggregateFunction(
        "avg",
        "aggregate",
        ("number",),
        "float64",
        "Mean: the sum over the count.",
        ("mean",),
        elementwise=True,
    ),
    AggregateFunction(
        "min",
        "aggregate",
        ("ordered",),
        "T",
        "Smallest value; strings by code point, false before true.",
        elementwise=True,
    ),
    AggregateFunction(
        "max",
        "aggregate",
        ("ordered",),
        "T",
        "Greatest value; NaN is the greatest.",
        elementwise=True,
    ),
    AggregateFunction(
        "stddev_samp",
        "aggregate",
        ("number",),
        "float64",
        "Standard deviation of a sample (n - 1); null for fewer than two values.",
        ("stddev",),
    ),
    AggregateFunction(
        "stddev_pop", "aggregate", ("number",), "float64", "Standard deviation of a whole (n)."
    ),
    AggregateFunction(
        "var_samp",
        "aggregate",
        ("number",),
        "float64",
        "Variance of a sample (n - 1); null for fewer than two values.",
        ("variance",),
    ),
    AggregateFunction("var_pop", "aggregate", ("number",), "float64", "Variance of a whole (n)."),
    AggregateFunction(
        "avg_deviation",
        "aggregate",
        ("number",),
        "float64",
        "Mean distance from the mean: avg(|x - avg(x)|), summed from the oldest value on.",
    ),
    AggregateFunction(
        "covar_samp",
        "aggregate",
        ("number", "number"),
        "float64",
        "Covariance of a sample (n - 1) of pairs without null; null for fewer than two.",
    ),
    AggregateFunction(
        "covar_pop",
        "aggregate",
        ("number", "number"),
        "float64",
        "Covariance of a whole (n) of pairs without null.",
    ),
    AggregateFunction(
        "corr",
        "aggregate",
        ("number", "number"),
        "float64",
        "Correlation of pairs without null, from -1 to 1; null where y or x does not vary.",
    ),
    AggregateFunction(
        "regr_slope",
        "aggregate",
        ("number", "number"),
        "float64",
        "Slope of the regression of y on x over pairs without null; null where x does not vary.",
    ),
    AggregateFunction(
        "first", "aggregate", ("any",), "T", "Value of the first row, null included."
    ),
    AggregateFunction("last", "aggregate", ("any",), "T", "Value of the last row, null included."),
    AggregateFunction(
        "last_k",
        "aggregate",
        ("any", "positive"),
        "list[T]",
        "The last k values, oldest first, nulls included; null over no rows.",
        constants=1,
    ),
    AggregateFunction(
        "mode",
        "aggregate",
        ("ordered",),
        "T",
        "The most frequent value; of several the smallest.",
    ),
    AggregateFunction(
        "mode_count",
        "aggregate",
        ("ordered",),
        "int64",
        "How often the most frequent value occurs; 0 over no rows.",
    ),
    AggregateFunction(
        "top_k",
        "aggregate",
        ("ordered", "positive"),
        "list[T]",
        "The k most frequent values, the most frequent first, of equally frequent ones the "
        "smaller first; fewer where there are fewer; null over no rows.",
        constants=1,
    ),
    AggregateFunction(
        "histogram",
        "aggregate",
        ("key",),
        "map[T, int64]",
        "How often each value occurs, as a map in the order of the values; null over no rows.",
    ),
    AggregateFunction(
        "quantile_cont",
        "aggregate",
        ("number", "fraction"),
        "float64",
        "Quantile with linear interpolation. `median(x)` is `quantile_cont(x, 0.5)`.",
        constants=1,
    ),
    AggregateFunction(
        "approx_count_distinct",
        "aggregate",
        ("ordered",),
        "int64",
        "About how many different values: HyperLogLog of 2048 registers, a standard error of 2.3 % "
        "(few values nearly exactly), the same whatever the order of rows. 0 over no rows.",
    ),
    AggregateFunction(
        "approx_quantile",
        "aggregate",
        ("number", "fraction"),
        "float64",
        "`quantile_disc` of the values rounded to 7 binary digits: within 1/128 (0.8 %) of it, "
        "exact for integers up to 128, the same whatever the order of rows.",
        constants=1,
    ),
    AggregateFunction(
        "quantile_disc",
        "aggregate",
        ("ordered", "fraction"),
        "T",
        "Quantile that is one of the values: element ceil(f * n) of the sorted ones.",
        constants=1,
    ),
)

SEQUENCES = (
    AggregateFunction(
        "lag",
        "sequence",
        ("any", "positive?"),
        "T",
        "The value k rows before (1 unless given); null where there is none.",
        constants=1,
    ),
    AggregateFunction(
        "ema",
        "sequence",
        ("float64", "positive"),
        "float64",
        "Exponential moving average, alpha = 2 / (n + 1), from the mean of the first n values; "
        "null until there are n. Nulls are skipped.",
        constants=1,
    ),
    AggregateFunction(
        "wilder",
        "sequence",
        ("float64", "positive"),
        "float64",
        "Wilder's smoothing: as `ema`, with alpha = 1 / n.",
        constants=1,
    ),
    AggregateFunction(
        "wma",
        "sequence",
        ("float64", "positive"),
        "float64",
        "Moving average of the last n rows with the weights 1 (the oldest) to n; null until there "
        "are n, and where one of them is null.",
        constants=1,
    ),
)
