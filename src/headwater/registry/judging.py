"""What the step from a feature's version to its definition deserves, and why."""

from __future__ import annotations

from typing import NamedTuple

from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.registry.changes import Bump
from headwater.registry.comparisons import Comparison, figures
from headwater.registry.diff import same, same_rules
from headwater.registry.head import FeatureEntry
from headwater.registry.kinds import FeatureVersion
from headwater.registry.plan import Plan
from headwater.registry.versions import judge, next_version

UNCHANGED = "the same content"


class Judged(NamedTuple):
    """The bump that a change deserves, None for none; `cause` tells what it was judged by.

    One that is not certain is a careful guess: it is proposed, and not insisted on.
    """

    bump: Bump | None
    cause: str = ""
    comparison: Comparison | None = None
    is_certain: bool = True


class Proposal(NamedTuple):
    """The version that a feature would get, and why; nothing is made of it.

    Without a bump nothing changes that a version holds; one may be made all the same.
    """

    feature: str
    current: str
    version: str
    bump: Bump | None
    reason: str
    comparison: Comparison | None = None


def proposed(name: str, entry: FeatureEntry, plan: Plan) -> Proposal:
    """What a plan makes of a feature."""
    change = next((found for found in plan.features if found.name == name), None)
    number = change.new_version if change is not None else None
    if change is None or number is None or number == entry.current:
        reason = change.reason if change is not None else UNCHANGED
        return Proposal(name, entry.current, next_version(entry.versions, "patch"), None, reason)
    bump = change.bump or "patch"
    return Proposal(name, entry.current, number, bump, change.reason, change.comparison)


def judged(
    old: FeatureVersion,
    view: AnalyzedView,
    feature: AnalyzedFeature,
    comparison: Comparison | None,
) -> Judged:
    """The bump of a feature that was `old`.

    Other definitions of its values are major, unless a sample shows no difference. Another type
    is major in any case.
    """
    rules = not same_rules(old.definition, feature.feature.to_dict())
    if old.data_hash == feature.data_hash:
        served = old.serving_hash != feature.serving_hash
        return Judged(judge(data=False, serving=served, rules=rules))
    if comparison is None:
        return Judged("major")
    if not comparison.is_equal:
        return Judged("major", figures(comparison), comparison)
    bump = judge(data=False, serving=_is_served_otherwise(old, view, feature), rules=rules)
    return Judged(bump or "patch", figures(comparison), comparison)


def is_unchanged(old: FeatureVersion, feature: AnalyzedFeature) -> bool:
    """Whether a definition says what a version says."""
    hashes = (old.data_hash, old.serving_hash) == (feature.data_hash, feature.serving_hash)
    return hashes and same_rules(old.definition, feature.feature.to_dict())


def _is_served_otherwise(old: FeatureVersion, view: AnalyzedView, feature: AnalyzedFeature) -> bool:
    """Whether `ttl` or `default` change, whatever the values do."""
    default = feature.feature.to_dict().get("default")
    return old.ttl != view.view.ttl or not same(old.definition.get("default"), default)
