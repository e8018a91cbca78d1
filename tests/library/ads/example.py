"""The example's package that makes logs, taken from its folder: that stays off the import path,
where its `features.py` would be found by that name.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[3] / "examples" / "ads_log" / "ad_log"

if "ad_log" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "ad_log", _PACKAGE / "__init__.py", submodule_search_locations=[str(_PACKAGE)]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["ad_log"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["ad_log"])

from ad_log import Settings, write  # noqa: E402

__all__ = ["Settings", "write"]
