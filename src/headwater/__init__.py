"""Headwater: a feature store. Define a feature once, get the same value in training and online.

Names are imported when they are first used, so `import headwater` loads no engine, server or
dataframe library, and declaring features loads none either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.computing import FeatureValue
    from headwater.definitions.entity import Entity
    from headwater.definitions.feature import Feature
    from headwater.definitions.functions import feature_function
    from headwater.definitions.rules import Enum, NotNull, Range, Regex, ValidationRule
    from headwater.definitions.service import FeatureRef, FeatureService
    from headwater.definitions.source import Source
    from headwater.definitions.view import FeatureView
    from headwater.errors import HeadwaterError
    from headwater.spines import label_spine, sample_negatives
    from headwater.splits import RandomSplit, TimeSplit
    from headwater.store import FeatureStore

__version__ = "0.1.0"

__all__ = [
    "Entity",
    "Enum",
    "Feature",
    "FeatureRef",
    "FeatureService",
    "FeatureStore",
    "FeatureValue",
    "FeatureView",
    "HeadwaterError",
    "NotNull",
    "RandomSplit",
    "Range",
    "Regex",
    "Source",
    "TimeSplit",
    "ValidationRule",
    "__version__",
    "feature_function",
    "label_spine",
    "sample_negatives",
]

_HOMES = {
    "Entity": "definitions.entity",
    "Enum": "definitions.rules",
    "Feature": "definitions.feature",
    "FeatureRef": "definitions.service",
    "FeatureService": "definitions.service",
    "FeatureStore": "store",
    "FeatureValue": "computing",
    "FeatureView": "definitions.view",
    "HeadwaterError": "errors",
    "NotNull": "definitions.rules",
    "RandomSplit": "splits",
    "Range": "definitions.rules",
    "Regex": "definitions.rules",
    "Source": "definitions.source",
    "TimeSplit": "splits",
    "ValidationRule": "definitions.rules",
    "feature_function": "definitions.functions",
    "label_spine": "spines",
    "sample_negatives": "spines",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headwater' has no attribute '{name}'")
    found = getattr(import_module(f"headwater.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
