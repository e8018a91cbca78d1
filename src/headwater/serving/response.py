"""What an online read answers: values, statuses, event times and versions, column by column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.serving.execute import Cell, settled
from headwater.serving.keys import check_column
from headwater.serving.plan import Plan
from headwater.serving.statuses import PRESENT

if TYPE_CHECKING:
    import pyarrow as pa


class OnlineResponse(msgspec.Struct):
    """The answer to an online read: rows in the request's order, columns as asked for.

    `entities` are the columns that the caller gave, `found` the cells that `execute` made, parallel
    to `plan.outputs`, `now` the request's time in microseconds since the epoch. Not to be changed.
    """

    plan: Plan
    entities: Mapping[str, Sequence[Any]]
    count: int
    found: list[Cell]
    now: int

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"OnlineResponse({self.count} rows: {', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The join key columns as given, then the features in the order of the request."""
        return (*self.entities, *self.plan.versions)

    @property
    def cells(self) -> list[Cell]:
        """A cell for each of `plan.outputs`, nulls told."""
        return settled(self.plan, self.found, self.count)

    def to_dict(self) -> dict[str, Any]:
        """`values`, `statuses` and `event_timestamps` by column, and `versions` by feature.

        Values hold the join keys too. A status is PRESENT, NULL_VALUE, NOT_FOUND or
        OUTSIDE_MAX_AGE; an event timestamp is an aware datetime, None where nothing was found.
        """
        values = {name: [*given] for name, given in self.entities.items()}
        statuses: dict[str, list[str]] = {}
        times: dict[str, list[dt.datetime | None]] = {}
        present = [PRESENT] * self.count
        versions = self.plan.versions
        for name, (column, told, at) in zip(versions, self.cells):  # noqa: B905 (one call in ten)
            values[name] = [*column]
            statuses[name] = [*(told or present)]
            times[name] = [*at]
        return {
            "values": values,
            "statuses": statuses,
            "event_timestamps": times,
            "versions": versions.copy(),
        }

    def to_arrow(self, *, metadata: bool = False) -> pa.Table:
        """The values as an Arrow table with the features' types.

        With `metadata` each feature is followed by `<name>__status` and
        `<name>__event_timestamp`. A join key has the type that the features' entity gives it.
        """
        import pyarrow as pa

        from headwater.definitions.types import to_arrow

        columns: dict[str, pa.Array] = {}
        for name, given in self.entities.items():
            dtype = self.plan.columns.get(name)
            columns[name] = (
                pa.array(given)
                if dtype is None
                else pa.array(check_column(name, dtype, given), to_arrow(dtype))
            )
        for output, (values, told, at) in zip(self.plan.outputs, self.cells, strict=True):
            columns[output.name] = pa.array(values, to_arrow(output.dtype))
            if metadata:
                shown = [PRESENT] * self.count if told is None else told
                columns[f"{output.name}__status"] = pa.array(shown, pa.string())
                columns[f"{output.name}__event_timestamp"] = pa.array(at, to_arrow("timestamp"))
        return pa.table(columns)
