"""The columns of an offline table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from headwater.errors import DefinitionError, StoreError

if TYPE_CHECKING:  # the definitions are heavy, and a writer of rows needs none
    from headwater.expressions.analyzed import AnalyzedView

TICK = "tick"
EVENT_TIME = "event_time"
KNOWN_AT = "known_at"
RESERVED = (TICK, EVENT_TIME, KNOWN_AT)
TIMESTAMP = pa.timestamp("us", tz="UTC")


def offline_schema(view: AnalyzedView) -> pa.Schema:
    """Join keys, `tick` where the view has ticks, `event_time`, `known_at`, features; a vector as a
    list, since Delta knows no lists of one size.

    Raises DefinitionError where a key or a feature has the name of one of the times, or two differ
    in nothing but the case of letters: SQL engines take them for one.
    """
    columns = {**view.join_keys, **{f.name: f.dtype for f in view.row_features}}
    for name in RESERVED:
        if name in columns:
            raise DefinitionError(
                f"feature view '{view.name}': '{name}' is the name of a time in its offline table; "
                "choose another name for the join key or feature"
            )
    seen: dict[str, str] = {}
    for name in (*columns, *RESERVED):
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            raise DefinitionError(
                f"feature view '{view.name}': '{name}' and '{first}' differ in nothing but case; "
                "rename one of them"
            )
    times = [EVENT_TIME, KNOWN_AT] if view.view.ticks is None else list(RESERVED)
    keys = [pa.field(name, _arrow(dtype)) for name, dtype in view.join_keys.items()]
    values = [pa.field(f.name, _arrow(f.dtype)) for f in view.row_features]
    return pa.schema([*keys, *(pa.field(name, TIMESTAMP) for name in times), *values])


def _arrow(dtype: str) -> pa.DataType:
    from headwater.definitions.types import element, is_vector, list_of, to_arrow

    return to_arrow(list_of(element(dtype)) if is_vector(dtype) else dtype)


def time_column(schema: pa.Schema) -> str:
    """The time by which rows belong to intervals: the tick, else the event time.

    Raises StoreError where there is none, or of another type than UTC microseconds.
    """
    name = TICK if TICK in schema.names else EVENT_TIME
    if name not in schema.names or schema.field(name).type != TIMESTAMP:
        raise StoreError(
            f"an offline table needs a column '{EVENT_TIME}' or '{TICK}' of {TIMESTAMP}; "
            f"got {', '.join(f'{f.name}: {f.type}' for f in schema)}"
        )
    return name
