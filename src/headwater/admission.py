"""What a plan must pass that the analysis of definitions can't see."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.function_check import check_functions
from headwater.compute.trial import try_expressions
from headwater.errors import DefinitionError
from headwater.expressions.analyzed import AnalyzedProject
from headwater.offline.duckdb_names import check_duckdb_names, named_features, written
from headwater.offline.duckdb_tables import check_not_overwritten
from headwater.offline.layout import offline_schema
from headwater.pipeline.backfill import no_history
from headwater.quality.conditions import check_rules
from headwater.registry.head import Head

LONGEST_CHAIN = 150


def check_project(
    engine: DuckDBEngine, analyzed: AnalyzedProject, head: Head, *, database: Path
) -> None:
    """Check rules and names in the DuckDB file; try functions and foreign expressions of new
    revisions.

    Raises DefinitionError for what can't be filled or checked, and for a function whose values
    depend on rows that it may not see.
    """
    views = analyzed.views.values()
    _check_depth(analyzed)
    check_duckdb_names(feature for view in views for feature in written(view))
    for view in views:
        check_not_overwritten(view, database, engine.base)
        for feature in view.features:
            check_rules(feature.feature, feature.dtype)
        offline_schema(view)
        reason = no_history(view)
        named = [item.name for item in named_features(view)]
        if named and reason is not None:
            raise DefinitionError(
                f"feature view '{view.name}': '{named[0]}' can't be filled, since the view {reason}"
            )
        if view.revision not in head.revisions:
            check_functions(engine, view)
            try_expressions(engine, view)


def _check_depth(analyzed: AnalyzedProject) -> None:
    """Refuse what would be read through more features, or views, than one read can follow."""
    features = analyzed.features()
    order = TopologicalSorter({name: f.inputs for name, f in features.items()}).static_order()
    depths: dict[str, int] = {}
    for name in order:
        feature = features[name]
        home = analyzed.views[feature.view]
        stored = not feature.reads_features or (home.stored and not feature.on_read)
        depths[name] = 0 if stored else 1 + max((depths[n] for n in feature.inputs), default=0)
        if depths[name] > LONGEST_CHAIN:
            raise DefinitionError(
                f"feature '{name}': is computed on read, from {LONGEST_CHAIN} others that are, one "
                "behind the other; give one of their views an 'update_frequency', so that its "
                "values are stored"
            )
    _check_views(analyzed)


def _check_views(analyzed: AnalyzedProject) -> None:
    order = TopologicalSorter({name: v.inputs for name, v in analyzed.views.items()})
    depths: dict[str, int] = {}
    for name in order.static_order():
        depths[name] = 1 + max((depths[n] for n in analyzed.views[name].inputs), default=0)
        if depths[name] > LONGEST_CHAIN:
            raise DefinitionError(
                f"feature view '{name}': reads {LONGEST_CHAIN} views, one behind the other; put "
                "features that read one another into one view"
            )
