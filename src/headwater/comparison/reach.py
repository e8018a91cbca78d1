"""What a feature's values come from: views, and in the end sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.compute.reading import closure
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView


@dataclass(frozen=True)
class Reach:
    """The views and features that are read for some features of a view, those included."""

    views: tuple[AnalyzedView, ...]
    features: tuple[AnalyzedFeature, ...]

    @property
    def leaves(self) -> tuple[AnalyzedView, ...]:
        """The views that read a source."""
        return tuple(view for view in self.views if view.source is not None)


def reach(project: AnalyzedProject, view: AnalyzedView, names: Iterable[str]) -> Reach:
    """All that is read for features of a view, directly or not."""
    views: dict[str, AnalyzedView] = {}
    features: dict[str, AnalyzedFeature] = {}
    waiting = [(view, set(names))]
    while waiting:
        at, wanted = waiting.pop()
        views[at.name] = at
        needed = closure(at, wanted)
        features.update((feature.name, feature) for feature in needed)
        read = {name for feature in needed for name in feature.inputs if name not in features}
        for name in at.inputs:
            there = read & {feature.name for feature in project.views[name].features}
            if there:
                waiting.append((project.views[name], there))
    return Reach(tuple(views.values()), tuple(features.values()))
