"""What the processes apply that tests kill: one project, and what it becomes."""

from __future__ import annotations

from typing import Any

from headwater import Feature, FeatureService, FeatureView, Range
from store import shop

USERS = [f"u{number}" for number in range(26)]
NEVER_50 = Range(max=49, is_blocking=True)
WINDOWED = FeatureView(
    "windowed",
    entity=shop.USER,
    source=shop.SOURCE,
    update_frequency="hourly",
    features=[
        Feature("count_1d", "count(*)", window="1d", duckdb_table="counts"),
        Feature("total_1d", "sum(amount)", window="1d"),
        Feature("top_1d", "max(amount)", window="1d", validation_rules=[NEVER_50]),
    ],
)
LAST = shop.latest()
TREND = shop.trend()


def before() -> list[Any]:
    return [WINDOWED, LAST, TREND, FeatureService("model", ["count_1d@1.0.0"])]


def after() -> list[Any]:
    """A sibling comes, a value changes, a name in DuckDB changes, a view comes."""
    count = Feature("count_1d", "count(amount)", window="1d", duckdb_table="amounts")
    changed = WINDOWED.model_copy(
        update={"features": (count, *WINDOWED.features[1:], Feature("twice", "total_1d * 2"))}
    )
    rate = FeatureView("rate", entity=shop.USER, features=[Feature("rate", "last_amount / 2")])
    return [changed, LAST, TREND, rate]


PROJECTS = {"before": before, "after": after}
