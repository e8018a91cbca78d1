"""What a plan must pass that the analysis of definitions can't see."""

from __future__ import annotations

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


def check_project(
    engine: DuckDBEngine, analyzed: AnalyzedProject, head: Head, *, database: Path
) -> None:
    """Check rules and names in the DuckDB file; try functions and foreign expressions of new
    revisions.

    Raises DefinitionError for what can't be filled or checked, and for a function whose values
    depend on rows that it may not see.
    """
    views = analyzed.views.values()
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
