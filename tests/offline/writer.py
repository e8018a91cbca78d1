"""A process that writes intervals: `writer.py ROOT MODE NUMBER COUNT`.

Each row's `snapshot` is the number of the snapshot that wrote it, so that a reader can tell
whether rows and spans belong together. Says on stdout what it is about to do and has done.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pyarrow as pa

from headwater.offline.intervals import Interval
from headwater.offline.tables import OfflineTables

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("event_time", TIMESTAMP), ("snapshot", pa.int64())])
REVISION = "abc"
SPAN = 40


def batches(start: int, end: int, snapshot: int):
    for low in range(start, end, 7):
        times = list(range(low, min(low + 7, end)))
        say("batch")
        yield pa.RecordBatch.from_arrays(
            [pa.array(times, TIMESTAMP), pa.array([snapshot] * len(times))], schema=SCHEMA
        )


def say(*words: object) -> None:
    print(*words, flush=True)


def write(tables: OfflineTables, start: int, end: int, snapshot: int) -> None:
    say("begin")
    rows = batches(start, end, snapshot)
    done = tables.write_interval(REVISION, SCHEMA, Interval(start, end), str(snapshot), rows)
    say("done", start, end, snapshot, done.changed)


def main() -> None:
    root, mode, number, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    tables = OfflineTables(Path(root), "shop")
    for n in range(count):
        if mode == "disjoint":
            start = (number * count + n) * SPAN
            write(tables, start, start + SPAN, 1)
        elif mode == "same":
            write(tables, 0, SPAN, number * count + n)
        elif mode == "once":
            write(tables, n * SPAN, (n + 1) * SPAN, 1)
        elif mode == "random":
            start = random.Random(number + n).randrange(200)
            write(tables, start, start + SPAN, number + n)
        elif mode == "compact":
            tables.compact(REVISION)


if __name__ == "__main__":
    main()
