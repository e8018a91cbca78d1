"""The allow-list: every function and operator of the language, by canonical name."""

from __future__ import annotations

from headwater.expressions.functions.aggregates import AGGREGATES, SEQUENCES
from headwater.expressions.functions.arithmetic import ARITHMETIC
from headwater.expressions.functions.conditionals import CONDITIONALS
from headwater.expressions.functions.declare import CANNOT, AggregateFunction, Function, Row
from headwater.expressions.functions.logic import LOGIC

__all__ = [
    "AGGREGATE_FUNCTIONS",
    "CANNOT",
    "FAMILIES",
    "SCALAR_FUNCTIONS",
    "SEQUENCE_FUNCTIONS",
    "SPELLINGS",
    "AggregateFunction",
    "Function",
    "Row",
]

FAMILIES: dict[str, tuple[Function, ...]] = {
    "Arithmetic": ARITHMETIC,
    "Comparison and logic": LOGIC,
    "Conditionals": CONDITIONALS,
}
SCALAR_FUNCTIONS = {f.name: f for family in FAMILIES.values() for f in family}
AGGREGATE_FUNCTIONS = {f.name: f for f in AGGREGATES}
SEQUENCE_FUNCTIONS = {f.name: f for f in SEQUENCES}


def _spellings() -> dict[str, str]:
    named: list[Function | AggregateFunction] = [
        *(f for f in SCALAR_FUNCTIONS.values() if not f.text),
        *AGGREGATE_FUNCTIONS.values(),
        *SEQUENCE_FUNCTIONS.values(),
    ]
    found = {f.name: f.name for f in named}
    everything = [*SCALAR_FUNCTIONS.values(), *AGGREGATE_FUNCTIONS.values()]
    return found | {s: f.name for f in everything for s in f.spellings}


SPELLINGS = _spellings()
