"""What a log holds that no feature counts."""

from __future__ import annotations

from headwater.definitions.rules import Range
from headwater.library.ads.family import Features, windowed
from headwater.library.ads.schema import Events
from headwater.library.columns import grouped, quoted


def log_quality(events: Events, window: str = "1d", *, name: str = "ad_log") -> Features:
    """Rows that no feature counts: `_unknown_kinds`, `_negative_amounts`, `_without_user`.

    View: without entity, over the events. Each has a rule that wants it to be 0, so that a run
    reports what other features would pass over in silence.
    Formula: the rows of the window whose kind the library does not know (or that have none), whose
    amount or cost is below 0, that have no user.
    Unit: rows.
    Null: never; 0 without rows.
    Source: none; a count.
    """
    kind, user = grouped(events.kind), grouped(events.user)
    known = ", ".join(quoted(one) for one in events.kinds)
    parts = {
        "unknown_kinds": f"{kind} IS NULL OR {kind} NOT IN ({known})",
        "negative_amounts": f"{grouped(events.amount)} < 0 OR {grouped(events.cost)} < 0",
        "without_user": f"{user} IS NULL",
    }
    return tuple(
        windowed(
            f"{name}_{part}_{window}",
            f"count(*) FILTER (WHERE {condition})",
            f"Rows with {part.replace('_', ' ')}, {window}",
            window,
            validation_rules=[Range(max=0)],
        )
        for part, condition in parts.items()
    )
