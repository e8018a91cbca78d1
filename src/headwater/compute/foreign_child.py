"""The child process in which Python code that came over the API is run.

    python -m headwater.compute.foreign_child

It runs the code of one module, which it imports from the file that it is told, and of which it
checks the hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from headwater.compute.engines.child import Worker, serve
from headwater.compute.functions import Labelled, values_of
from headwater.definitions.functions import FeatureFunction, FunctionRef
from headwater.errors import ComputeError


class PythonWorker(Worker):
    """Looks at a module, and calls its function."""

    def warm_up(self) -> None:
        for library in ("pandas", "polars"):  # what they reserve is not to count as theirs
            with contextlib.suppress(ImportError):
                importlib.import_module(library)

    def found(
        self, request: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> pa.RecordBatchReader:
        feature = request["feature"]
        try:
            function = _function(feature, Path(request["module"]), request["hash"])
            if request["asks"] == "look":
                return _look(function).to_reader()
            return _call(function, request, tables).to_reader()
        except ComputeError as error:
            if isinstance(error.__cause__, MemoryError):
                raise error.__cause__ from None
            raise


def _look(function: FeatureFunction) -> pa.Table:
    ref = function.ref
    _, _, name = ref.path.partition(":")
    return pa.Table.from_pylist(
        [
            {
                "name": name,
                "mode": ref.mode,
                "frame": ref.frame,
                "inputs": list(ref.inputs),
                "output": ref.output,
            }
        ]
    )


def _call(
    function: FeatureFunction, request: Mapping[str, Any], tables: Mapping[str, pa.Table]
) -> pa.Table:
    ref = FunctionRef.from_dict(request["function"])
    wanted = Labelled(request["feature"], request["dtype"])
    given = partial(function.function, **ref.parameters)
    return pa.table({"value": values_of(given, ref, wanted, tables["rows"])})


def _function(feature: str, place: Path, wanted: str) -> FeatureFunction:
    """The one function that a module declares."""
    module = _imported(feature, place, wanted)
    found = [item for item in vars(module).values() if isinstance(item, FeatureFunction)]
    own = [function for function in found if function.function.__module__ == module.__name__]
    if len(own) != 1:
        named = ", ".join(function.__name__ for function in own) or "none"
        raise ComputeError(
            f"feature '{feature}': its code should declare one function with @feature_function "
            f"(from headwater import feature_function); found {named}"
        )
    return own[0]


def _imported(feature: str, place: Path, wanted: str) -> Any:
    name = f"api_{wanted[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if hashlib.sha256(place.read_bytes()).hexdigest() != wanted:
        raise ComputeError(f"feature '{feature}': the file of its code was changed")
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ComputeError(f"feature '{feature}': its code can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's code may raise anything
        del sys.modules[name]
        raise ComputeError(
            f"feature '{feature}': its code can't be imported: {type(error).__name__}: {error}"
        ) from error
    return module


if __name__ == "__main__":
    sys.exit(serve(PythonWorker))
