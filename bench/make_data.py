"""Make the benchmark's data, once per size; no feature store is imported here.

    python -m bench.make_data [--quick]

Each data set is a folder under bench/data with a `facts.json` that is written last. All times are
UTC microseconds, files are sorted by time, and no two rows of a file share an instant, so that a
point-in-time join has exactly one right answer per row.

  events    user_id int64, event_timestamp, created, f0..f9 float64, i0 int64, s0 string;
            every user has a row; `created` is 0 to 10 minutes later
  spine     user_id, event_timestamp, label, in no order
  raw       user_id (even), ad_id (heavy-tailed), event_timestamp, event_type, amount;
            with a spine for each of the two keys, drawn as the key's events are
  ads       the log of examples/ads_log, of 90 days, about as many events as rows; with a spine of
            its last 60 days
  bars      ticker, event_timestamp (one instant a day for all tickers), high, low, close, volume,
            as random walks; the spine is all of them
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.sizes import FULL, Shape, folder_of, shapes

FORMAT = 1  # raise it when the generator changes, so that old files are made anew
START = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z
DAY = 86_400_000_000
DAYS = 30
TEN_MINUTES = 600_000_000
SLICE = 1_000_000
ROW_GROUP = 250_000
ADS = 10_000
TIMESTAMP = pa.timestamp("us", tz="UTC")
FLOATS = [f"f{i}" for i in range(10)]
VALUES = [*FLOATS, "i0", "s0"]
SEGMENTS = pa.array([f"segment_{i:02d}" for i in range(20)])
KINDS = pa.array(["impression", "click", "conversion"])


def ensure(name: str, *, quick: bool) -> Path:
    """The folder of a data set, made if it is not there yet."""
    shape, folder = shapes(quick=quick)[name], folder_of(name, quick=quick)
    facts = {**asdict(shape), "format": FORMAT, "end": START + DAYS * DAY}
    done = folder / "facts.json"
    if done.exists() and json.loads(done.read_text()) == facts:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make = {"events": _make_events, "raw": _make_raw, "bars": _make_bars, "ads": _make_ads}
    make[shape.kind](folder, shape)
    done.write_text(json.dumps(facts))
    return folder


def _instants(rng: np.random.Generator, rows: int, start: int, span: int) -> np.ndarray:
    """Ascending, and no two alike."""
    return start + np.sort(rng.integers(0, span - rows, rows)) + np.arange(rows)


def _slices(rows: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, rows, begin and span of each slice of time."""
    count = max(1, -(-rows // SLICE))
    span = DAYS * DAY // count
    for number in range(count):
        size = (number + 1) * rows // count - number * rows // count
        yield number, size, START + number * span, span


def _make_events(folder: Path, shape: Shape) -> None:
    rng = np.random.default_rng([FORMAT, shape.rows, 1])
    everyone = np.array_split(rng.permutation(shape.users), len(list(_slices(shape.rows))))
    writer = None
    for number, size, start, span in _slices(shape.rows):
        once = everyone[number]
        users = np.concatenate([once, rng.integers(0, shape.users, size - len(once))])
        table = _events(rng, rng.permutation(users), _instants(rng, size, start, span))
        writer = writer or pq.ParquetWriter(
            folder / "events.parquet", table.schema, compression="zstd"
        )
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is not None:
        writer.close()
    if shape.spine:
        _write(folder / "spine.parquet", _spine(rng, "user_id", shape.users, shape.spine))


def _events(rng: np.random.Generator, users: np.ndarray, when: np.ndarray) -> pa.Table:
    rows = len(when)
    columns = {
        "user_id": pa.array(users.astype(np.int64)),
        "event_timestamp": pa.array(when, TIMESTAMP),
        "created": pa.array(when + rng.integers(0, TEN_MINUTES, rows), TIMESTAMP),
    }
    columns.update({name: pa.array(rng.standard_normal(rows)) for name in FLOATS})
    columns["i0"] = pa.array(rng.integers(0, 1_000_000, rows))
    columns["s0"] = SEGMENTS.take(pa.array(rng.integers(0, len(SEGMENTS), rows)))
    return pa.table(columns)


def _make_raw(folder: Path, shape: Shape) -> None:
    rng = np.random.default_rng([FORMAT, shape.rows, 2])
    rows = shape.rows
    kind = rng.choice(3, rows, p=[0.90, 0.09, 0.01])
    amount = np.where(kind == 2, np.round(rng.lognormal(3.0, 1.0, rows), 2), 0.0)
    raw = pa.table(
        {
            "user_id": pa.array(rng.integers(0, shape.users, rows)),
            "ad_id": pa.array(_ads(rng, rows)),
            "event_timestamp": pa.array(_instants(rng, rows, START, DAYS * DAY), TIMESTAMP),
            "event_type": KINDS.take(pa.array(kind)),
            "amount": pa.array(amount),
        }
    )
    _write(folder / "raw_events.parquet", raw)
    _write(folder / "spine_user_id.parquet", _spine(rng, "user_id", shape.users, shape.spine))
    ads = _spine(rng, "ad_id", 1, shape.spine)
    ads = ads.set_column(0, "ad_id", pa.array(_ads(rng, shape.spine)))
    _write(folder / "spine_ad_id.parquet", ads)


def _make_bars(folder: Path, shape: Shape) -> None:
    rng = np.random.default_rng([FORMAT, shape.rows, 3])
    tickers, days = shape.users, shape.rows // shape.users
    steps = rng.standard_normal((days, tickers)) * 0.02
    close = np.round(50 * np.exp(np.cumsum(steps, axis=0)), 2).ravel() + 0.01
    spread = np.round(np.abs(rng.standard_normal((2, shape.rows))) * 0.01 * close + 0.01, 2)
    keys = {
        "ticker": pa.array(np.tile(np.arange(tickers), days)),
        "event_timestamp": pa.array(np.repeat(START + np.arange(days) * DAY, tickers), TIMESTAMP),
    }
    bars = {
        "high": pa.array(close + spread[0]),
        "low": pa.array(np.maximum(close - spread[1], 0.001)),
        "close": pa.array(close),
        "volume": pa.array(rng.integers(1_000, 1_000_000, shape.rows)),
    }
    _write(folder / "bars.parquet", pa.table({**keys, **bars}))
    _write(folder / "spine.parquet", pa.table(keys))


def _make_ads(folder: Path, shape: Shape) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "ads_log"))
    from ad_log import Settings, write

    days, impressions = 90, shape.rows * 89 // 100
    ads = max(shape.users // 20, 100)
    settings = Settings(
        users=shape.users, ads=ads, campaigns=200, impressions=impressions, days=days
    )
    write(folder, settings)
    rng = np.random.default_rng([FORMAT, shape.rows, 4])
    count = shape.spine
    when = settings.begin + (days - 60) * DAY + rng.integers(0, 60 * DAY, count)
    drawn = {"user_id": ("u", shape.users), "ad_id": ("a", ads), "campaign_id": ("c", 200)}
    keys = {
        name: [f"{letter}{one}" for one in rng.integers(0, number, count)]
        for name, (letter, number) in drawn.items()
    }
    request = {
        "category": ["fashion"] * count,
        "device": ["mobile"] * count,
        "income_level": ["high"] * count,
        "hour": rng.integers(0, 24, count),
    }
    times = {"event_timestamp": pa.array(when, TIMESTAMP)}
    _write(folder / "spine.parquet", pa.table({**keys, **times, **request}))


def _ads(rng: np.random.Generator, rows: int) -> np.ndarray:
    """A few advertisements with very many rows, and a long tail."""
    return np.minimum((rng.pareto(1.2, rows) * 20).astype(np.int64), ADS - 1)


def _spine(rng: np.random.Generator, key: str, keys: int, rows: int) -> pa.Table:
    when = rng.permutation(_instants(rng, rows, START, DAYS * DAY))
    return pa.table(
        {
            key: pa.array(rng.integers(0, keys, rows)),
            "event_timestamp": pa.array(when, TIMESTAMP),
            "label": pa.array(rng.integers(0, 2, rows)),
        }
    )


def _write(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the rows")
    parser.add_argument("names", nargs="*", help="data sets, all unless named")
    args = parser.parse_args()
    for name in args.names or FULL:
        folder = ensure(name, quick=args.quick)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
        print(f"{folder}  {size:,.0f} MiB")


if __name__ == "__main__":
    main()
