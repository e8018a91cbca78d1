"""Python code that came over the API: looked at and called in a process of its own, if at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from headwater.compute.engines.children import Kind
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.definitions.functions import FunctionRef
from headwater.errors import ComputeError, RefusedError
from headwater.expressions.analyzed import AnalyzedFeature

MODULE = "headwater.compute.foreign_child"


def check_trusted(engine: DuckDBEngine, feature: str, authors: Iterable[str | None]) -> None:
    """Raises RefusedError unless the operator lets the code of all these authors be run."""
    why = _why_not(engine, feature, authors)
    if why is not None:
        raise RefusedError(
            f"{why}. Declare the function in a module of the project, or leave out 'source' to "
            "keep the feature in the catalogue alone"
        )


def _why_not(engine: DuckDBEngine, feature: str, authors: Iterable[str | None]) -> str | None:
    trusted = engine.children.limits.trusted
    strangers = sorted({str(author) for author in authors if author not in trusted})
    if not strangers:
        return None
    named = ", ".join(f"'{name}'" for name in strangers)
    return (
        f"feature '{feature}': Python code that came over the API is kept and shown, not run: the "
        f"setting 'api.trusted_authors' does not name {named}"
    )


def look(
    engine: DuckDBEngine, feature: str, code: str, parameters: Mapping[str, Any]
) -> FunctionRef:
    """The function that code declares. Its author's trust has been checked.

    Raises ComputeError where the code fails, or declares none or several.
    """
    found = _ask(engine, feature, code, {"asks": "look"}, {}).to_pylist()[0]
    content = json.dumps([code, parameters], sort_keys=True, ensure_ascii=False)
    return FunctionRef(
        f"api_{_hash(code)[:16]}:{found['name']}",
        content_hash=_hash(content),
        mode=found["mode"],
        frame=found["frame"],
        inputs=found["inputs"],
        output=found["output"],
        code=code,
        parameters=parameters,
    )


def call_apart(
    engine: DuckDBEngine, ref: FunctionRef, feature: AnalyzedFeature, rows: pa.Table
) -> pa.ChunkedArray:
    """What the function of a feature makes of rows.

    Raises ComputeError where it fails, or its author is not trusted here.
    """
    why = _why_not(engine, feature.name, [feature.feature.code_by])
    if why is not None:
        raise ComputeError(why)
    if ref.code is None:
        raise ComputeError(f"feature '{feature.name}' has no code of its own")
    asked = {
        "asks": "call",
        "function": ref.model_dump(mode="json", exclude={"code"}),
        "dtype": feature.dtype,
    }
    return _ask(engine, feature.name, ref.code, asked, {"rows": rows})["value"]


def _ask(
    engine: DuckDBEngine,
    feature: str,
    code: str,
    asked: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
) -> pa.Table:
    place = _written(engine.scratch / "code", code)
    said = {**asked, "feature": feature, "module": str(place), "hash": _hash(code)}
    kind = Kind(MODULE, owner=_hash(code))
    return engine.children.ask(f"feature '{feature}'", kind, said, tables)


def _written(folder: Path, code: str) -> Path:
    """The file of a module, by the hash of its text."""
    place = folder / f"{_hash(code)}.py"
    if not place.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        half = place.with_suffix(f".{id(code)}")
        half.write_text(code, encoding="utf-8")
        half.replace(place)
    return place


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
