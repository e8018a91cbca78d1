"""Reads the same features of the same users until it is told to stop; tells what was wrong.

`python -m pipeline.reader FOLDER FEATURES`; a line on stdin ends it.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from headwater import FeatureStore
from headwater.online.store import open_online_store
from headwater.serving.reader import OnlineReader

USERS = [f"u{number}" for number in range(40)]


def wrong(values: dict[str, list[Any]], row: int) -> bool:
    """Whether a row's features don't agree with one another."""
    total, negated, twice = (values[name][row] for name in ("total", "negated", "twice"))
    return not total or negated != -total or twice != 2 * total


def main() -> None:
    folder, features = sys.argv[1], sys.argv[2].split(",")
    settings = FeatureStore(folder).settings
    online = open_online_store("lmdb", path=settings.online.path)
    reader = OnlineReader(online, settings.project, refresh=0.01)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    said: dict[str, Any] = {"reads": 0, "wrong": [], "totals": []}
    while said["reads"] == 0 or not stop.is_set():
        values = reader.get(features, {"user_id": USERS}).to_dict()["values"]
        said["reads"] += 1
        said["wrong"] += [USERS[row] for row in range(len(USERS)) if wrong(values, row)]
        total = values["total"][0]
        if not said["totals"] or said["totals"][-1] != total:
            said["totals"].append(total)
        if said["reads"] == 1:
            print("ready", flush=True)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
