"""Explain in words how requested features will be computed."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.compute.historical import Request
from headwater.definitions.durations import format_duration
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView


def describe(requests: Sequence[Request], *, knowledge: bool = True) -> str:
    """One paragraph a view, one line a feature."""
    lines: list[str] = []
    views: dict[tuple[int, str], AnalyzedView] = {}
    for request in requests:
        views[id(request.project), request.view] = request.project.views[request.view]
    for (number, name), view in views.items():
        lines.append(f"feature view {name} (revision {view.revision[:12]})")
        lines.extend(f"  {line}" for line in _view_lines(view, knowledge=knowledge))
        for request in requests:
            if (id(request.project), request.view) == (number, name):
                feature = view.feature(request.feature)
                lines.append(f"  {request.output}: {feature_line(feature)}")
    return "\n".join(lines)


def _view_lines(view: AnalyzedView, *, knowledge: bool) -> list[str]:
    keys = ", ".join(view.join_keys) or "no key"
    lines = [f"keyed by {keys}"]
    if view.source is None:
        lines.append(f"computed from {', '.join(view.inputs)}")
    else:
        lines.append(f"rows of source {view.source.name}, {_knowledge(view, knowledge=knowledge)}")
    ticks = view.view.ticks
    if ticks is None:
        lines.append("evaluated at the spine's time")
    else:
        delay = format_duration(view.view.data_delay)
        lines.append(
            f"evaluated at the latest tick (every {format_duration(ticks.period)}), visible "
            f"{delay} later"
        )
    if view.view.ttl is not None:
        lines.append(f"rows older than {format_duration(view.view.ttl)} are left out")
    return lines


def _knowledge(view: AnalyzedView, *, knowledge: bool) -> str:
    if not knowledge:
        return "every row taken as known at its event time (knowledge=False)"
    source = view.source
    if source is None or source.available_at is None:
        return "known at their event time"
    versions = ", the latest known version of each id" if source.id_columns else ""
    return f"known since {source.available_at}{versions}"


def feature_line(feature: AnalyzedFeature) -> str:
    """Kind, type, definition and frame of a feature."""
    made = feature.feature
    what = made.function.path if made.function is not None else made.definition
    frame = ""
    if made.window is not None:
        size = made.window if isinstance(made.window, str) else format_duration(made.window)
        frame = f" over {size}"
        if made.offset:
            frame += f", {format_duration(made.offset)} ago"
        if made.tail_hop:
            frame += f", left edge on hops of {format_duration(made.tail_hop)}"
    elif made.rows is not None:
        frame = f" over {made.rows} rows"
    frame += "".join(f", {key} = {name}" for key, name in made.via.items())
    return f"{feature.kind} {feature.dtype} = {what}{frame}"
