"""How features that were declared one by one are computed: they join views of their own making.

Those with one entity, source, frequency and age stand in one view; windows apart from latest
rows, which no view holds together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headwater.definitions.collection import collect
from headwater.definitions.feature import Feature
from headwater.definitions.functions import FunctionRef
from headwater.definitions.source import Source
from headwater.definitions.view import IMPLICIT, FeatureView
from headwater.errors import (
    DefinitionError,
    HeadwaterError,
    RefusedError,
    SourceError,
    StoreError,
)
from headwater.registry.head import Head
from headwater.registry.plan import Plan
from headwater.registry.records import FeatureRecord
from headwater.registry.state import load_definitions
from headwater.registry.versions import Wanted

if TYPE_CHECKING:
    from headwater.store import FeatureStore

_SAME = (
    "description",
    "owner",
    "tags",
    "validation_rules",
    "duckdb_table",
    "duckdb_view",
    "feature_type",
    "value_kind",
    "data_source",
    "computation_logic",
    "upstream_features",
)


class ViewPlanner:
    """Plans changes of single features in the project of a store, one after the other.

    `open_store` is called when the first plan needs it.
    """

    def __init__(self, open_store: Callable[[], FeatureStore]) -> None:
        self._open_store = open_store
        self._one = threading.RLock()

    @cached_property
    def _store(self) -> FeatureStore:
        return self._open_store()

    def activation(self, head: Head, record: FeatureRecord, author: str) -> Plan | None:
        """The plan that computes a draft; None where it has no code, or nothing to compute from.

        Raises RefusedError for code that is not run, DefinitionError for what is wrong in it.
        """
        code = record.transformation
        if code is None or not self._is_computable(head, record):
            return None
        if code.transformation_type == "spark":
            raise RefusedError(
                f"feature '{record.name}': spark code that came over the API is kept and shown, "
                "not run; leave out 'source' to keep it in the catalogue alone"
            )
        entry = head.features[record.name]
        writer = entry.versions[entry.current].made_by
        with self._one:
            function = self._function(record, (writer, author))
            feature = feature_of(record, writer, function)
            source = None if self._has_rows(head, record) else self._table_of(head, record)
            with _told_of(record):
                return self._plan(head, self._view_of(head, feature, record, source))

    def _function(self, record: FeatureRecord, authors: Iterable[str]) -> FunctionRef | None:
        """The function of a record's Python code, as its own process tells it; None for SQL.

        Raises RefusedError unless the operator trusts all its authors.
        """
        code = record.transformation
        if code is None or code.transformation_type != "python":
            return None
        from headwater.compute.foreign import check_trusted, look

        check_trusted(self._store.engine, record.name, authors)
        return look(self._store.engine, record.name, code.code, code.parameters)

    def edition(
        self, head: Head, record: FeatureRecord, author: str, wanted: Wanted | None = None
    ) -> Plan:
        """The plan that makes a computed feature what its record says."""
        with self._one:
            stored = load_definitions(self._store.registry, self._store.project, head)
            view = stored.views[head.features[record.name].view]
            changed = self._edited(view.feature(record.name), record, author)
            features = tuple(
                changed if feature.name == record.name else feature for feature in view.features
            )
            numbers = None if wanted is None else {record.name: wanted}
            with _told_of(record):
                return self._plan(head, view.model_copy(update={"features": features}), numbers)

    def _edited(self, feature: Feature, record: FeatureRecord, author: str) -> Feature:
        code, ref = record.transformation, feature.function
        if ref is None or ref.code is None or code is None:
            return edited(feature, record, author)
        if (ref.code, ref.parameters) != (code.code, code.parameters):
            feature = feature.model_copy(
                update={"function": self._function(record, (author,)), "code_by": author}
            )
        return edited(feature, record, author)

    def applied(self, plan: Plan | None = None) -> None:
        """Let what changed be served, and tell of the plan that changed it.

        Raises StoreError where the change is made, and not served yet.
        """
        try:
            with self._one, self._store.events.applying(plan) if plan else nullcontext():
                self._store.publish_all()
        except HeadwaterError as error:
            raise StoreError(
                f"the change is made, and is not served yet: {error}; 'headwater apply' publishes "
                "it again"
            ) from error

    def is_filled(self, revision: str) -> bool:
        """Whether a run has published values of a revision."""
        return self._store.is_filled(revision)

    def _plan(
        self, head: Head, view: FeatureView, numbers: dict[str, Wanted] | None = None
    ) -> Plan:
        stored = load_definitions(self._store.registry, self._store.project, head)
        plan = self._store.plan_definitions(collect([view], known=stored), head, numbers)
        if plan.errors:
            raise DefinitionError("\n".join(plan.errors))
        return plan

    def _is_computable(self, head: Head, record: FeatureRecord) -> bool:
        """Whether there is something from which its code can be computed."""
        code = record.transformation
        if record.source is not None or code is None or code.transformation_type != "sql":
            return record.source is not None
        reads_table = record.duckdb_table is not None and record.entity is not None
        return reads_table or self._has_rows(head, record)

    def _has_rows(self, head: Head, record: FeatureRecord) -> bool:
        """Whether it has a source, values of requests, or features with values to compute from."""
        if record.source is not None or record.frame.get("request"):
            return True
        above = [head.features.get(name) for name in record.upstream_features]
        return bool(above) and all(entry is not None and entry.view for entry in above)

    def _table_of(self, head: Head, record: FeatureRecord) -> Source:
        """The source whose rows are those of a feature's `duckdb_table`.

        Raises SourceError that names the field where these can't be read.
        """
        from headwater.offline.duckdb_tables import table_source, with_times

        settings = self._store.settings
        database = os.path.relpath(self._store.names.database, settings.root)
        try:
            made = table_source(record.duckdb_table or "", database)
            found = with_times(made, self._store.engine.schema(made))
        except (ValueError, SourceError) as error:
            raise SourceError(
                f"feature '{record.name}': field 'duckdb_table': without a source its rows are "
                f"those of this table in '{database}', and: {error}"
            ) from None
        stored = load_definitions(self._store.registry, self._store.project, head)
        known = stored.sources.get(found.name, found)
        if known != found:
            raise RefusedError(
                f"feature '{record.name}': field 'duckdb_table': the project has another source "
                f"'{found.name}'; name it in 'source' to read that one"
            )
        return found

    def _view_of(
        self, head: Head, feature: Feature, record: FeatureRecord, table: Source | None
    ) -> FeatureView:
        """The view that a feature joins, with it."""
        entity = record.entity or self._shared_entity(head, record)
        source = table.name if table is not None else record.source
        parts = [entity or "all", source or "features", record.update_frequency or ""]
        parts += [f"ttl_{record.ttl}" if record.ttl else ""]
        parts += ["" if record.frame.get("window") else "rows"]
        name = (IMPLICIT + "__".join(part for part in parts if part))[:128]
        known = head.views.get(name)
        if known is not None:
            stored = load_definitions(self._store.registry, self._store.project, head).views[name]
            return stored.model_copy(update={"features": (*stored.features, feature)})
        fields: dict[str, Any] = {"entity": entity, "source": table or source, "ttl": record.ttl}
        if record.update_frequency is not None:
            fields["update_frequency"] = record.update_frequency
        return FeatureView(name, features=[feature], **fields)

    def _shared_entity(self, head: Head, record: FeatureRecord) -> str | None:
        """The entity of all that a derived feature reads. Raises DefinitionError if they differ."""
        if record.source is not None:
            return None
        views = self._store.analyzed(head).views
        above = [head.features[name].view for name in record.upstream_features]
        names = {views[view].view.entity_name for view in above if view}
        if len(names) > 1:
            raise DefinitionError(
                f"feature '{record.name}': field 'entity': is required, since what it reads has "
                f"several: {', '.join(sorted(str(name) for name in names))}"
            )
        return names.pop() if names else None


@contextmanager
def _told_of(record: FeatureRecord) -> Iterator[None]:
    """What is wrong in the code of a record, in the words of who sent it."""
    mine, named = f"feature '{record.name}': field ", "'transformation.code'"
    try:
        yield
    except DefinitionError as error:
        text = str(error)
        for field in ("'expression'", "'function'"):
            text = text.replace(mine + field, mine + named)
        if text == str(error):
            raise
        raise type(error)(text) from None


def feature_of(record: FeatureRecord, author: str, function: FunctionRef | None) -> Feature:
    """The definition of a feature that a record declares in SQL, or by a function."""
    code = record.transformation
    fields: dict[str, Any] = {name: getattr(record, name) for name in _SAME}
    fields |= {
        **record.frame,
        "expression": None if code is None or function is not None else code.code,
        "function": function,
        "code_by": author,
    }
    return Feature(record.name, dtype=record.data_type, **_given(fields))


def edited(feature: Feature, record: FeatureRecord, author: str) -> Feature:
    """A feature as its view defines it, with the description, rules and code of a record; other
    code is the author's.

    Raises RefusedError where code is put in place of a function, or the other way.
    """
    code = record.transformation
    fields = feature.to_dict()
    fields |= {
        "description": record.description,
        "tags": record.tags,
        "validation_rules": record.validation_rules,
    }
    if feature.function is not None:
        named = feature.function.code or feature.function.path
        if code is None or code.code != named:
            raise RefusedError(
                f"feature '{record.name}': it is computed by the function "
                f"'{feature.function.path}'; change it in its module, and apply"
            )
    elif code is None or code.transformation_type != "sql":
        raise RefusedError(
            f"feature '{record.name}': field 'transformation': its values are computed by SQL; "
            "give SQL"
        )
    elif code.code != feature.definition:
        fields |= {"expression": code.code, "code_by": author}
    return Feature.from_dict(_given(fields))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value not in (None, (), "")
    }
