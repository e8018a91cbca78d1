"""The oracle: Headwater's contracts C1 to C13 once more, slow, obvious and row by row.

It shares no code with the product. Describe a project (`Source`, `View`, `Feature` with an
expression of a few nodes over Python callables), then ask `Oracle` for the value of a feature at
an instant or for a training set, and `Online` for what an online store answers:

    clicks = Source("clicks", rows=({"user": "u1", "event_time": 5 * HOUR},))
    view = View("v", (Feature("n", Aggregate("count"), window="7d"),), clicks, keys=("user",))
    Oracle([view]).value("n", {"user": "u1"}, 6 * HOUR)      # Reading(1, "PRESENT", 6 * HOUR)
"""

from oracle.aggregates import Near, aggregate
from oracle.compare import agrees
from oracle.expressions import (
    Aggregate,
    Apply,
    AsOf,
    Column,
    Constant,
    Ema,
    Expression,
    Input,
    Lag,
    Over,
    Wma,
)
from oracle.model import Feature, Ref, Source, View
from oracle.offline import Oracle, Reading
from oracle.online import Online, Rejected
from oracle.times import DAY, HOUR, MINUTE, SECOND, WEEK, Nanos, Ticks

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "WEEK",
    "Aggregate",
    "Apply",
    "AsOf",
    "Column",
    "Constant",
    "Ema",
    "Expression",
    "Feature",
    "Input",
    "Lag",
    "Nanos",
    "Near",
    "Online",
    "Oracle",
    "Over",
    "Reading",
    "Ref",
    "Rejected",
    "Source",
    "Ticks",
    "View",
    "Wma",
    "aggregate",
    "agrees",
]
