"""Run one measurement in a process of its own: python -m bench.child MODULE FUNCTION JSON."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    module, function, arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
