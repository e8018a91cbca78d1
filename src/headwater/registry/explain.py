"""Prints a plan: as text for people, as a dictionary for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from headwater.registry.changes import (
    Downstream,
    FeatureChange,
    FieldChange,
    ObjectChange,
    RevisionChange,
)
from headwater.registry.comparisons import Comparison, Example, details, figures
from headwater.registry.plan import Plan

_SIGNS = {
    "added": "+",
    "changed": "~",
    "removed": "-",
    "new": "+",
    "revived": "+",
    "kept": "=",
    "retired": "-",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT = 12
_WIDTH = 60


def explain(plan: Plan) -> str:
    """The plan as readable text, without colour codes; one line where it changes nothing."""
    parts = [_headline(plan)]
    if plan.has_changes:
        parts.append(_lines(_change_lines(plan)))
        parts.append(_section("Revisions", _revision_lines(plan)))
        parts.append(_section("To compute afterwards", _backfill_lines(plan)))
    parts.append(_section("Notes", plan.notes))
    parts.append(_section("Errors: this plan can't be applied", plan.errors))
    if plan.has_changes:
        parts.append(f"Summary: {summarize(plan)}.")
    return "\n\n".join(part for part in parts if part)


def to_dict(plan: Plan) -> dict[str, Any]:
    """What a plan says, JSON-ready, without what only `apply` needs (`encode_plan` has all)."""
    found: dict[str, Any] = msgspec.to_builtins(plan)
    for payload in ("head", "puts"):
        del found[payload]
    return {**found, "has_changes": plan.has_changes, "summary": summarize(plan)}


def summarize(plan: Plan) -> str:
    """One line: how many objects and features come, change and go."""
    if not plan.has_changes:
        return "no changes"
    said = []
    for action in ("added", "changed", "removed"):
        counts = {
            "feature": sum(change.action == action for change in plan.features),
            **_counts(action, plan.objects),
        }
        named = [f"{n} {_plural(kind, n)}" for kind, n in counts.items() if n]
        if named:
            said.append(f"{', '.join(named)} {action}")
    return "; ".join(said) or "new revisions of the same definitions"


def _counts(action: str, changes: Iterable[ObjectChange]) -> dict[str, int]:
    kinds = [change.kind for change in changes if change.action == action]
    return {kind: kinds.count(kind) for kind in ("view", "service", "source", "entity")}


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return "entities" if kind == "entity" else f"{kind}s"


def _headline(plan: Plan) -> str:
    if not plan.has_changes:
        return f"Project {plan.project}: no changes (generation {plan.base_generation})"
    after = plan.head.generation
    return f"Project {plan.project}: generation {plan.base_generation} -> {after}"


def _change_lines(plan: Plan) -> Iterable[str]:
    """Entities and sources, then views with their features, then services."""
    by_view: dict[str, list[FeatureChange]] = {}
    for feature in plan.features:
        by_view.setdefault(feature.view, []).append(feature)
    views = {change.name: change for change in plan.objects if change.kind == "view"}
    for change in plan.objects:
        if change.kind in ("entity", "source"):
            yield from _object_lines(change)
    for name in sorted({*views, *by_view}):
        yield from _object_lines(views[name]) if name in views else [f"  view {name}"]
        for feature in by_view.get(name, []):
            yield from _indented(_feature_lines(feature))
    for change in plan.objects:
        if change.kind == "service":
            yield from _object_lines(change)


def _object_lines(change: ObjectChange) -> Iterable[str]:
    yield f"{_SIGNS[change.action]} {change.kind} {change.name}"
    yield from _detail_lines(change.fields, change.downstream)


def _feature_lines(change: FeatureChange) -> Iterable[str]:
    yield f"{_SIGNS[change.action]} feature {change.name} {_versions(change)}"
    if change.comparison is not None:
        yield from (f"    {line}" for line in comparison_lines(change.comparison))
    yield from _detail_lines(change.fields, change.downstream)


def comparison_lines(found: Comparison) -> Iterable[str]:
    """How values differ, in a line, then some of those that do."""
    if found.difference is None or found.sample is None:
        yield figures(found)
        return
    more, sample = details(found.difference), found.sample
    yield f"{figures(found)}{f' ({more})' if more else ''}"
    yield (
        f"  {sample.keys:,} {'key' if sample.keys == 1 else 'keys'} of "
        f"{', '.join(sample.sources)}, {_moment(sample.first)} to {_moment(sample.last)}"
    )
    for example in found.difference.examples:
        yield f"  {_example(example)}"


def _example(example: Example) -> str:
    key = ", ".join(f"{name}={_shown(value)}" for name, value in example.key.items())
    place = f"{key} at {_moment(example.at)}" if key else _moment(example.at)
    return f"{place}: {_shown(example.old)} -> {_shown(example.new)}"


def _shown(value: Any) -> str:
    return "null" if value is None else _value(value)


def _moment(at: int) -> str:
    try:
        text = (_EPOCH + timedelta(microseconds=at)).isoformat(sep=" ")
    except OverflowError:  # years that Python has no dates for
        return f"{at} us"
    return text.replace("+00:00", "Z")


def _versions(change: FeatureChange) -> str:
    old, new = change.old_version, change.new_version
    if old is None:
        return f"{new} ({change.dtype})"
    if new is None:
        return old
    bump = f"{change.bump}: " if change.bump else ""
    return f"{old} -> {new} ({bump}{change.reason})" if old != new else f"{old} ({change.reason})"


def _detail_lines(fields: Iterable[FieldChange], downstream: Downstream) -> Iterable[str]:
    for change in fields:
        yield f"    {change.field}: {_value(change.old)} -> {_value(change.new)}"
    for kind, names in (("features", downstream.features), ("services", downstream.services)):
        if names:
            yield f"    downstream {kind}: {', '.join(names)}"


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _revision_lines(plan: Plan) -> Iterable[str]:
    touched = {change.view for change in plan.features}
    touched |= {change.name for change in plan.objects if change.kind == "view"}
    for change in plan.revisions:
        if change.action != "kept" or change.view in touched:
            yield _revision_line(change)


def _revision_line(change: RevisionChange) -> str:
    why = f": {change.reason}" if change.reason else ""
    return (
        f"{_SIGNS[change.action]} {change.view} {change.revision[:_SHORT]} ({change.action}{why})"
    )


def _backfill_lines(plan: Plan) -> Iterable[str]:
    return (f"{b.view} {b.revision[:_SHORT]} ({b.reason})" for b in plan.backfills)


def _section(title: str, lines: Iterable[str]) -> str:
    shown = list(lines)
    return _lines([f"{title}:", *_indented(shown)]) if shown else ""


def _indented(lines: Iterable[str]) -> Iterable[str]:
    return (f"  {line}" for line in lines)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
