"""What a feature's values come from: views, and in the end sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.compute.reading import closure
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView

_BOTH = (False, True)


@dataclass(frozen=True)
class Reach:
    """The views and features that are read for some features of a view, those included.

    `here` names the views of which the view's own keys are read, `elsewhere` those that are read at
    values of features.
    """

    views: tuple[AnalyzedView, ...]
    features: tuple[AnalyzedFeature, ...]
    here: frozenset[str]
    elsewhere: frozenset[str]

    @property
    def leaves(self) -> tuple[AnalyzedView, ...]:
        """The views that read a source."""
        return tuple(view for view in self.views if view.source is not None)


def reach(project: AnalyzedProject, view: AnalyzedView, names: Iterable[str]) -> Reach:
    """All that is read for features of a view, directly or not."""
    views: dict[str, AnalyzedView] = {}
    seen: dict[tuple[str, bool], AnalyzedFeature] = {}
    waiting = [(view, set(names), False)]
    while waiting:
        at, wanted, away = waiting.pop()
        views[at.name] = at
        needed = closure(at, wanted)
        seen.update(((feature.name, away), feature) for feature in needed)
        for name in at.inputs:
            own = {feature.name for feature in project.views[name].features}
            read = {one for one in _read(needed, away=away) if one[0] in own and one not in seen}
            for is_away in sorted({gone for _, gone in read}):
                there = {read_name for read_name, gone in read if gone == is_away}
                waiting.append((project.views[name], there, is_away))
    homes = {away: frozenset(f.view for (_, a), f in seen.items() if a is away) for away in _BOTH}
    features = {feature.name: feature for feature in seen.values()}
    return Reach(tuple(views.values()), tuple(features.values()), homes[False], homes[True])


def _read(features: Iterable[AnalyzedFeature], *, away: bool) -> Iterable[tuple[str, bool]]:
    """What features read, and whether that is at other keys than those of the view at hand."""
    for feature in features:
        yield from ((name, away or name in feature.across) for name in feature.operands)
        yield from ((name, away) for name in feature.feature.via.values())
