"""Recursive lineage over a project of many features, as the REST service answers it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from bench.limits.lineage import upstream
from bench.timing import timed
from headwater import FeatureStore
from headwater.api.service import FeatureStoreService
from headwater.registry.records import FeatureRecord


def prepare(root: str, nodes: int) -> dict[str, Any]:
    """A registry on SQLite that holds the graph."""
    folder = Path(root)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "headwater.toml").write_text('project = "bench"\n')
    store = FeatureStore(folder)
    records = [FeatureRecord("f0", "raw", "float64")]
    records += [
        FeatureRecord(f"f{n}", "raw", "float64", upstream_features=(f"f{upstream(n)}",))
        for n in range(1, nodes)
    ]
    store.governance.create_many(records, author="bench")
    store.close()
    return {}


def recursive(root: str, calls: int) -> dict[str, Any]:
    """All that depends on the first feature, directly or not."""
    service = FeatureStoreService(FeatureStore(Path(root)))

    def ask() -> Any:
        return asyncio.run(service.get_feature_lineage("f0", recursive=True))

    return timed(ask, calls, lambda found: [float(found.total_dependents_count)])


def graph(root: str, calls: int) -> dict[str, Any]:
    """The same as a graph of nodes and edges, with columns, services and models looked for."""
    store = FeatureStore(Path(root))

    def ask() -> Any:
        lineage = store.lineage
        return lineage.graph([lineage.find("f0")])

    return timed(ask, calls, lambda found: [float(len(found.nodes) - 1)])
