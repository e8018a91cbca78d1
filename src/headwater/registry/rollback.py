"""Going back to an earlier version: pointers move, nothing is computed again (C14)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from headwater.errors import RefusedError
from headwater.registry.audit import utc_text
from headwater.registry.changes import FeatureChange
from headwater.registry.edits import PENDING, Edit, record_changes
from headwater.registry.head import FeatureEntry, Head
from headwater.registry.kinds import FeatureVersion, content_key
from headwater.registry.records import FeatureRecord, restored, upstream_of_version
from headwater.registry.versions import rollback_name


def refuse_collected(head: Head, name: str, version: str) -> None:
    """Raises RefusedError where gc has removed the values of a version: they can't be served."""
    entry = head.revisions.get(head.features[name].versions[version].revision)
    if entry is not None and entry.collected_at is not None:
        raise RefusedError(
            f"feature '{name}': the values of version '{version}' were removed by gc on "
            f"{utc_text(entry.collected_at)}; compute them first: apply a feature service that "
            f"reads '{name}@{version}', and run 'headwater materialize'"
        )


def refuse_empty(head: Head, name: str, version: str, is_filled: Callable[[str], bool]) -> None:
    """Raises RefusedError where nothing would be served of what is served now, since no run has
    computed the version.
    """
    versions = head.features[name].versions
    home = versions[version]
    entry = head.revisions.get(home.revision)
    if entry is None or not entry.stored or any(map(is_filled, (home.revision, *home.earlier))):
        return
    if any(is_filled(found.revision) for found in versions.values() if found.revision):
        raise RefusedError(
            f"feature '{name}': version '{version}' has no values online, so nothing would be "
            f"served until 'headwater materialize {entry.view}' has computed them (force it if "
            "that is meant)"
        )


def rolled_back(
    entry: FeatureEntry,
    target: str,
    content: FeatureVersion,
    record: FeatureRecord,
    at: int,
) -> Edit:
    """A feature whose current version is a rollback to `target`, of the content `content`.

    The version that was current is marked as rolled back at `at` (microseconds UTC). Raises
    RefusedError where the target is what is current, or the feature is no longer changed.
    """
    if entry.status in ("deprecated", "archived"):
        raise RefusedError(f"feature '{record.name}': it is {entry.status}; nothing is rolled back")
    if target == entry.current:
        raise RefusedError(
            f"feature '{record.name}': version '{target}' is the current one; name an earlier one"
        )
    name = rollback_name(target, entry.versions)
    reason = f"{entry.current} rolled back to {target}"
    made = replace(
        content, version=name, bump=None, reason=reason, changelog=reason, comparison=None
    )
    after = restored(record, content)
    home = entry.versions[target]
    versions = {
        **entry.versions,
        entry.current: replace(entry.versions[entry.current], rolled_back_at=at),
        name: replace(
            home,
            object=content_key(made),
            since=PENDING,
            after=entry.current,
            rolled_back_at=None,
        ),
    }
    held = entry.declared if entry.view else None
    changed = replace(
        entry,
        current=name,
        versions=versions,
        record=content_key(after),
        upstream=upstream_of_version(content, after) if entry.view else entry.upstream,
        held=held,
    )
    change = FeatureChange(
        "changed",
        record.name,
        entry.view,
        old_version=entry.current,
        new_version=name,
        dtype=content.dtype,
        reason=reason,
        fields=record_changes(record, after),
    )
    revived = (home.revision,) if home.revision else ()
    return Edit({record.name: changed}, (change,), (after, made), revived)
