"""The allow-list: every function and operator of the language, by canonical name."""

from __future__ import annotations

from headwater.expressions.functions.aggregates import AGGREGATES, SEQUENCES
from headwater.expressions.functions.arithmetic import ARITHMETIC
from headwater.expressions.functions.conditionals import CONDITIONALS
from headwater.expressions.functions.declare import CANNOT, AggregateFunction, Function, Row
from headwater.expressions.functions.lists import HIDDEN_LISTS, LISTS
from headwater.expressions.functions.logic import LOGIC
from headwater.expressions.functions.maps import MAPS
from headwater.expressions.functions.matching import MATCHING
from headwater.expressions.functions.numbers import BITS, NUMBERS
from headwater.expressions.functions.strings import STRINGS
from headwater.expressions.functions.structs import STRUCTS
from headwater.expressions.functions.texts import TEXTS
from headwater.expressions.functions.times import TIMES
from headwater.expressions.functions.vectors import CASTS, VECTORS

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
    "Numbers": NUMBERS,
    "Bits": BITS,
    "Strings": STRINGS,
    "Matching": MATCHING,
    "Times": TIMES,
    "Lists": LISTS,
    "Structs": STRUCTS,
    "Maps": MAPS,
    "Vectors": VECTORS,
}
_HIDDEN = (TEXTS, HIDDEN_LISTS, CASTS)
SCALAR_FUNCTIONS = {f.name: f for family in (*FAMILIES.values(), *_HIDDEN) for f in family}
AGGREGATE_FUNCTIONS = {f.name: f for f in AGGREGATES}
SEQUENCE_FUNCTIONS = {f.name: f for f in SEQUENCES}


def _spellings() -> dict[str, str]:
    """Every name that may be called, and the canonical name that it means."""
    found: dict[str, str] = {}
    everything: list[Function | AggregateFunction] = [*AGGREGATES, *SEQUENCES]
    everything += [f for family in FAMILIES.values() for f in family]
    for function in everything:
        operator = isinstance(function, Function) and bool(function.text)
        names = function.spellings if operator else (function.name, *function.spellings)
        found.update(dict.fromkeys(names, function.name))
    return found


SPELLINGS = _spellings()
