"""What a plan refuses, so that nothing that was applied is left without what it reads."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.definitions.rules import BUILT
from headwater.errors import NotFoundError, RefusedError, near_miss
from headwater.expressions.analyzed import AnalyzedProject
from headwater.registry.audit import utc_text
from headwater.registry.base import Base
from headwater.registry.changes import ObjectChange
from headwater.registry.head import Head
from headwater.registry.lineage import LIVE, refuse_cycle
from headwater.registry.records import upstream_of
from headwater.registry.state import resolve
from headwater.registry.versions import known_version


def plan_errors(desired: AnalyzedProject, after: Head) -> Iterable[str]:
    """One line for each reason why a project can't become what is wanted."""
    yield from _broken_inputs(desired, after)
    yield from _broken_upstream(desired, after)
    yield from _broken_services(desired, after)
    yield from _unbuilt_rules(desired)


def _broken_inputs(desired: AnalyzedProject, after: Head) -> Iterable[str]:
    features = desired.features()
    for feature in features.values():
        for name in feature.inputs:
            if name in features:
                continue
            gone = "which this plan removes" if name in after.features else "which does not exist"
            yield f"feature '{feature.name}' reads feature '{name}', {gone}"


def _broken_upstream(desired: AnalyzedProject, after: Head) -> Iterable[str]:
    """What features name beside what they read (the analysis has seen to that)."""
    for feature in desired.features().values():
        where = f"feature '{feature.name}': field 'upstream_features'"
        for name in feature.feature.upstream_features:
            entry = after.features.get(name)
            if entry is None:
                yield f"{where}: there is no feature '{name}'{near_miss(name, after.features)}"
            elif entry.status not in LIVE:
                yield f"{where}: feature '{name}' is {entry.status}"
        if feature.feature.upstream_features:
            try:
                refuse_cycle(after, feature.name, upstream_of(feature))
            except RefusedError as error:
                yield str(error)


def _broken_services(desired: AnalyzedProject, after: Head) -> Iterable[str]:
    for service in desired.services.values():
        for ref in service.features:
            entry = after.features.get(ref.feature)
            if entry is not None and entry.status == "archived":
                yield (
                    f"feature service '{service.name}' reads feature '{ref.feature}', which this "
                    "plan removes; take it out of the service first"
                )
                continue
            try:
                resolve(after, ref)
            except NotFoundError as error:
                yield f"feature service '{service.name}': {error}"


def pin_notes(
    base: Base, desired: AnalyzedProject, changes: Iterable[ObjectChange]
) -> Iterable[str]:
    """One line for each pin that a plan moves to a version which was rolled back."""
    for change in changes:
        if change.kind != "service" or change.action == "removed":
            continue
        before = base.definitions["service"].get(change.name)
        known = [] if before is None else list(map(str, before.to_dict()["features"]))
        for ref in desired.services[change.name].features:
            entry = base.head.features.get(ref.feature)
            version = known_version(entry, ref.version) if entry and ref.version else None
            if entry is None or version is None or str(ref) in known:
                continue
            at = entry.versions[version].rolled_back_at
            if at is not None:
                yield (
                    f"feature service '{change.name}' would read {ref.feature}@{version}, which "
                    f"was rolled back at {utc_text(at)}; if that is not meant, pin it to another "
                    f"version where it is declared (the current one is {entry.current})"
                )


def _unbuilt_rules(desired: AnalyzedProject) -> Iterable[str]:
    for feature in desired.features().values():
        for rule in feature.feature.validation_rules:
            if not rule.is_built:
                yield (
                    f"feature '{feature.name}': field 'validation_rules': rule "
                    f"'{rule.rule_type}' is not built, so it could not be checked "
                    f"(built: {BUILT})"
                )
