"""What each feature is worth: how much it is used, by whom, what it costs, and what to do about it.

The rule, for a period of days:

- value = uses x importance (the mean that was told; where nobody told, the mean over the features
  of which somebody did, 1 where there is none);
- cost = the mean of a feature's share of the seconds that runs took and of the bytes that are
  kept online; a run's seconds are shared equally by the features of its revision;
- worth = share of the value / share of the cost: 1 where a feature brings as much as it costs.

`retire` is said only of what nobody used in the period, no service lists, and nothing live reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headwater.definitions.service import FeatureService
from headwater.registry.counts import DAY
from headwater.registry.head import APPLIED, FeatureEntry, Head
from headwater.registry.kinds import Run, now_us
from headwater.registry.lineage import FeatureGraph
from headwater.registry.listed import UsageGroup, UsageTotal
from headwater.registry.records import FeatureRecord
from headwater.registry.state import fetch
from headwater.registry.store import Registry
from headwater.registry.usage import mean_importance, usage_totals

Hint = Literal["keep", "watch", "retire"]
LOW_WORTH = 0.1
"""Below it a feature that is used is to be watched: it costs ten times what it brings."""
_RUNS = 10_000
_SHOWN = 3
_WIDTHS = {"bool": 1, "int32": 5, "date": 5}
_WIDTH = 9
_TEXT_WIDTH = 33
_LIST_WIDTH = 90
"""Bytes of a value in an online row: MessagePack's for numbers and times; a text is taken to have
32 letters, a list ten numbers."""


@dataclass(frozen=True, kw_only=True)
class RankedFeature:
    """How a feature was used in a period, what it cost, and whether it deserves to stay.

    `uses` are those of training sets, online requests, and those that were told of; `rows` the
    entities of the first two. `seconds` and `bytes` are its share of runs and of the online store;
    `last_used_at` is in microseconds UTC, whenever that was.
    """

    feature_name: str
    current_version: str
    status: str
    owner: str | None
    uses: int
    training: int
    online: int
    rows: int
    models: tuple[str, ...]
    services: tuple[str, ...]
    environments: tuple[str, ...]
    last_used_at: int | None
    importance: float | None
    seconds: float
    bytes: int
    worth: float | None
    hint: Hint
    reason: str


@dataclass(frozen=True)
class _Cost:
    seconds: float = 0.0
    bytes: int = 0


@dataclass(frozen=True)
class _Facts:
    """What is known of a project's features and their use in a period."""

    graph: FeatureGraph
    records: Mapping[str, FeatureRecord]
    groups: Mapping[str, Sequence[UsageGroup]]
    totals: Mapping[str, UsageTotal]
    costs: Mapping[str, _Cost]
    listing: Mapping[str, Sequence[str]]
    since: int
    values: Mapping[str, float] = field(default_factory=dict)


def rank_features(registry: Registry, project: str, *, days: int = 90) -> list[RankedFeature]:
    """The active and deprecated features, those of the greatest value first.

    Of those without any, the ones that cost most come first.
    """
    head = registry.head(project)
    entries = {name: e for name, e in head.features.items() if e.status in APPLIED}
    facts = _facts(registry, project, head, entries, now_us() - days * DAY)
    used = {name for name in entries if facts.groups.get(name)}
    read_by_used = _reached(facts.graph, used)
    read_by_listed = _reached(facts.graph, facts.listing)
    worths = _worths(facts)
    ranked = []
    for name, entry in entries.items():
        worth = worths.get(name)
        hint, reason = (
            _hint_used(entry, worth)
            if name in used
            else _hint_unused(name, entry, facts, read_by_used, read_by_listed)
        )
        ranked.append(_ranked(name, entry, facts, worth, hint, reason))
    ranked.sort(key=lambda one: _order(one, facts))
    return ranked


def _order(one: RankedFeature, facts: _Facts) -> tuple[float, float, int, str]:
    return -facts.values.get(one.feature_name, 0.0), -one.seconds, -one.bytes, one.feature_name


def _facts(
    registry: Registry, project: str, head: Head, entries: Mapping[str, FeatureEntry], since: int
) -> _Facts:
    groups: defaultdict[str, list[UsageGroup]] = defaultdict(list)
    for group in registry.usage_groups(project, since=since):
        if group.feature_name in entries:
            groups[group.feature_name].append(group)
    records = fetch(registry, project, FeatureRecord, {n: e.record for n, e in entries.items()})
    services = fetch(registry, project, FeatureService, head.services)
    listing: defaultdict[str, list[str]] = defaultdict(list)
    for name, service in services.items():
        for ref in dict.fromkeys(ref.feature for ref in service.features):
            listing[ref].append(name)
    return _Facts(
        graph=FeatureGraph(head),
        records=records,
        groups=dict(groups),
        totals=usage_totals(registry, project, entries),
        costs=_costs(registry, project, entries, records, since),
        listing=dict(listing),
        since=since,
        values=_values(groups),
    )


def _values(groups: Mapping[str, Sequence[UsageGroup]]) -> dict[str, float]:
    """Uses x importance of each feature that was used."""
    told = {name: mean_importance(found) for name, found in groups.items()}
    given = [abs(value) for value in told.values() if value is not None]
    usual = sum(given) / len(given) if given else 1.0
    return {
        name: sum(group.count for group in found)
        * (usual if (value := told[name]) is None else abs(value))
        for name, found in groups.items()
    }


def _costs(
    registry: Registry,
    project: str,
    entries: Mapping[str, FeatureEntry],
    records: Mapping[str, FeatureRecord],
    since: int,
) -> dict[str, _Cost]:
    """What runs since a time cost, and what the latest of each revision keep online."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for name, entry in entries.items():
        for version in entry.versions.values():
            members[version.revision].add(name)
    seconds: defaultdict[str, float] = defaultdict(float)
    keys: defaultdict[str, int] = defaultdict(int)
    for run in registry.list(project, Run, limit=_RUNS):
        if run.finished_at is None or run.started_at < since or run.revision not in members:
            continue
        share = (run.finished_at - run.started_at) / 1e6 / len(members[run.revision])
        for name in members[run.revision]:
            seconds[name] += share
        if run.operation == "materialize":
            keys[run.revision] = max(keys[run.revision], run.rows)
    return {
        name: _Cost(
            seconds[name],
            keys[entry.versions[entry.current].revision] * width(records[name].data_type),
        )
        for name, entry in entries.items()
    }


def width(dtype: str) -> int:
    """About how many bytes a value of a type takes in an online row."""
    if dtype.startswith("list"):
        return _LIST_WIDTH
    return _TEXT_WIDTH if dtype in {"string", "bytes"} else _WIDTHS.get(dtype, _WIDTH)


def _worths(facts: _Facts) -> dict[str, float]:
    """Share of the value over share of the cost, of what costs anything."""
    value = sum(facts.values.values())
    totals = (
        sum(cost.seconds for cost in facts.costs.values()),
        sum(cost.bytes for cost in facts.costs.values()),
    )
    kinds = sum(total > 0 for total in totals)
    found: dict[str, float] = {}
    for name, cost in facts.costs.items():
        parts = zip((cost.seconds, cost.bytes), totals, strict=True)
        share = sum(part / total for part, total in parts if total > 0) / max(kinds, 1)
        if share > 0 and value > 0:
            found[name] = facts.values.get(name, 0.0) / value / share
    return found


def _reached(graph: FeatureGraph, starts: Iterable[str]) -> dict[str, str]:
    """What features need, directly or not: each with one that reads it on the way to a start."""
    found: dict[str, str] = {}
    waiting = list(starts)
    while waiting:
        reader = waiting.pop()
        for name in graph.upstream(reader):
            if name not in found:
                found[name] = reader
                waiting.append(name)
    return found


def _hint_used(entry: FeatureEntry, worth: float | None) -> tuple[Hint, str]:
    if entry.status == "deprecated":
        return "watch", "is deprecated, and still used"
    if worth is not None and worth < LOW_WORTH:
        return "watch", f"brings {worth:.2g} of what it costs"
    return "keep", "is used"


def _hint_unused(
    name: str,
    entry: FeatureEntry,
    facts: _Facts,
    read_by_used: Mapping[str, str],
    read_by_listed: Mapping[str, str],
) -> tuple[Hint, str]:
    if name in read_by_used:
        return "keep", f"feature '{read_by_used[name]}' reads it, which is used"
    if name in facts.listing:
        return "watch", f"not used, but service {_named(facts.listing[name])} lists it"
    if name in read_by_listed:
        return "watch", f"not used, but feature '{read_by_listed[name]}' reads it, for a service"
    readers = facts.graph.live_downstream(name)
    if readers:
        return "watch", f"not used; feature {_named(readers)} reads it, retire that first"
    if entry.created_at >= facts.since:
        return "watch", "not used yet; it is younger than the period"
    if entry.status == "deprecated":
        return "retire", "deprecated, not used, and nothing reads it; archive it"
    return "retire", "not used, and nothing reads it; deprecate it"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more


def _ranked(  # noqa: PLR0917 (what was found out, put together)
    name: str, entry: FeatureEntry, facts: _Facts, worth: float | None, hint: Hint, reason: str
) -> RankedFeature:
    groups, cost = facts.groups.get(name, ()), facts.costs[name]
    return RankedFeature(
        feature_name=name,
        current_version=entry.current,
        status=entry.status,
        owner=facts.records[name].owner,
        uses=sum(group.count for group in groups),
        training=sum(group.count for group in groups if group.operation == "training"),
        online=sum(group.count for group in groups if group.operation == "online"),
        rows=sum(group.rows for group in groups),
        models=_distinct(group.used_by_model for group in groups),
        services=_distinct(group.service for group in groups),
        environments=_distinct(group.environment for group in groups),
        last_used_at=facts.totals[name].last_used_at,
        importance=mean_importance(groups),
        seconds=cost.seconds,
        bytes=cost.bytes,
        worth=worth,
        hint=hint,
        reason=reason,
    )


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
