"""The windows of the advertising features by DuckDB and numpy alone.

DuckDB reads and, for what is learned, counts, by the same queries. What a feature's window adds up
comes from two sorts and prefix sums a window, over the rows that were known at each tick, in the
latest version; plain sums. Nothing is computed from the sums: no rates, priors, scores or
requests; distinct days, devices, seasons, latest events and profiles are left out as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.checks import table_sums
from bench.product.ads import COMPARED, EXAMPLE
from bench.timing import timed
from headwater.config import load_settings
from headwater.loading import load_definitions

DAY = 86_400_000_000
NEVER = 1 << 60
TIME_BITS = 46
Columns = dict[str, np.ndarray]
LOG = """
    SELECT user_id, ad_id, campaign_id, epoch_us(event_time) AS time,
           epoch_us(available_at) AS known, epoch_us(lead(available_at) OVER (
               PARTITION BY event_id ORDER BY available_at)) AS until,
           event_type = 'impression' AS impression, event_type = 'click' AS click,
           event_type = 'conversion' AS conversion, event_type = 'transaction' AS transaction,
           position, device, income_level, hour(event_time) AS hour, amount, cost
    FROM '{folder}/events.parquet'
"""
VISITS = """
    SELECT user_id, epoch_us(started_at) AS time, epoch_us(ended_at) AS known,
           duration_s AS seconds, page_views AS pages, interactions
    FROM '{folder}/sessions.parquet'
"""


@dataclass(frozen=True)
class Rows:
    """Rows of one source, by one key: when each happened, and from when to when it was known."""

    key: np.ndarray
    time: np.ndarray
    known: np.ndarray
    until: np.ndarray


@dataclass(frozen=True)
class Asked:
    """Distinct keys and ticks of a spine, packed, and the place of each row's among them."""

    packed: np.ndarray
    place: np.ndarray
    base: int

    @staticmethod
    def of(key: np.ndarray, tick: np.ndarray, base: int) -> Asked:
        return Asked(*np.unique(_pack(key, tick, base), return_inverse=True), base)


def every(data: str, calls: int) -> dict[str, Any]:
    """The sums behind each feature for each row of the spine, as an Arrow table."""
    folder = Path(data)
    return timed(lambda: _table(folder), calls, table_sums(COMPARED))


def _table(folder: Path) -> pa.Table:
    spine = pq.read_table(folder / "spine.parquet")
    tick = spine["event_timestamp"].cast(pa.int64()).to_numpy() // DAY * DAY
    base = int(tick.min()) - 400 * DAY
    log = duckdb.sql(LOG.format(folder=folder)).to_arrow_table()
    given = {name: _array(log[name]) for name in log.column_names if not _is_text(log[name])}
    texts = {name: log[name] for name in log.column_names if _is_text(log[name])}
    found: Columns = {}
    for key, wanted in _by_key(given).items():
        codes, asked_keys = _codes(texts[key], spine[key])
        asked = Asked.of(asked_keys, tick, base)
        found |= _sums(_rows(codes, given), wanted, asked)
    nobody = np.zeros(len(tick), np.int64)
    asked = Asked.of(nobody, tick, base)
    everyone = _rows(np.zeros(log.num_rows, np.int64), given)
    found |= _sums(everyone, _for_all(given, texts), asked)
    found |= _visits(folder, spine, tick, base)
    found |= _counted(folder, asked)
    found["position_ctr_2"] = found["clicks_at_2"] / found["impressions_at_2"]
    found["engagement_usual_pages"] = found["all_pages"] / found["all_visits"]
    return pa.table({name: pa.array(values) for name, values in found.items()})


def _by_key(log: Columns) -> Mapping[str, dict[int, Columns]]:
    """What each key adds up over windows of so many days."""
    money = np.where(log["transaction"], np.nan_to_num(log["amount"]), 0.0)
    places = {f"at_{p}": log["impression"] & (log["position"] == p) for p in (1, 2, 3, 4)}
    ad = {"ad_ctr_30d_impressions": log["impression"], "ad_exposure_30d_clicks": log["click"]}
    campaign = {name: log[name] for name in ("impression", "click", "conversion")}
    fading = money * np.exp2((log["time"] - log["time"].max()) / (60 * DAY))
    return {
        "user_id": {
            30: {
                "user_ctr_30d_impressions": log["impression"],
                "user_ctr_30d_clicks": log["click"],
                "user_monetary_30d": money,
            },
            90: {
                "user_cvr_90d_clicks": log["click"],
                "user_cvr_90d_conversions": log["conversion"],
            },
            365: {"user_spend": fading},
        },
        "ad_id": {30: ad | {f"ad_exposure_30d_{name}": flag for name, flag in places.items()}},
        "campaign_id": {
            30: {f"campaign_{name}": flag for name, flag in campaign.items()}
            | {"campaign_revenue": money, "campaign_cost": np.nan_to_num(log["cost"])}
            | {f"campaign_exposure_30d_{name}": flag for name, flag in places.items()}
        },
    }


def _for_all(log: Columns, texts: dict[str, Any]) -> dict[int, Columns]:
    """Rates of positions, devices, incomes and hours; rows that count nowhere."""
    conditions = {f"at_{p}": log["position"] == p for p in (1, 2, 3, 4)}
    conditions |= {f"at_hour_{hour}": log["hour"] == hour for hour in range(24)}
    for name, values in (
        ("device", ("mobile", "desktop", "tablet")),
        ("income_level", ("low", "middle", "high")),
    ):
        conditions |= {f"of_{value}": _array(pc.equal(texts[name], value)) for value in values}
    kinds = ("click", "impression")
    parts = {f"{k}s_{n}": log[k] & flag for n, flag in conditions.items() for k in kinds}
    refunds = {"refunds": log["amount"] < 0}
    return {28: parts | {f"all_{kind}s": log[kind] for kind in kinds}, 1: refunds}


def _visits(folder: Path, spine: pa.Table, tick: np.ndarray, base: int) -> Columns:
    visits = duckdb.sql(VISITS.format(folder=folder)).to_arrow_table()
    columns = {name: _array(visits[name]) for name in visits.column_names if name != "user_id"}
    parts = {name: columns[name] for name in ("seconds", "pages", "interactions")}
    parts["visits"] = np.ones(visits.num_rows, np.int64)
    codes, asked = _codes(visits["user_id"], spine["user_id"])
    own = {30: {f"user_{name}": values for name, values in parts.items()}}
    every = {30: {f"all_{name}": values for name, values in parts.items()}}
    found = _sums(_rows(codes, columns), own, Asked.of(asked, tick, base))
    nobody = np.zeros_like(codes), np.zeros(len(tick), np.int64)
    return found | _sums(_rows(nobody[0], columns), every, Asked.of(nobody[1], tick, base))


def _counted(folder: Path, asked: Asked) -> Columns:
    """What is learned: moments of the trials of each group, hours; by the example's queries."""
    sources = load_definitions(load_settings(EXAMPLE)).sources
    found: Columns = {}
    for name in ("ad_trials", "user_trials", "buyer_trials", "hours"):
        text = (sources[name].query or "").replace("data/events", f"{folder}/events")
        table = duckdb.sql(
            "SELECT * EXCLUDE (unit, period, known_at), epoch_us(period) AS time, "
            "epoch_us(known_at) AS known, epoch_us(lead(known_at) OVER ("
            f"PARTITION BY unit, period ORDER BY known_at)) AS until FROM ({text})"
        ).to_arrow_table()
        columns = {column: _array(table[column]) for column in table.column_names}
        rows = _rows(np.zeros(table.num_rows, np.int64), columns)
        if name == "hours":
            hour = columns["time"] // (DAY // 24) % 24
            parts = {f"hour_{h}": columns["activity"] * (hour == h) for h in range(24)}
            found |= _sums(rows, {28: parts}, asked)
            continue
        n, k = columns["trials"], columns["successes"]
        parts = {"n": n, "k": k, "groups": n > 0, "nn": n * n, "kk": k * k / np.maximum(n, 1)}
        found |= _sums(rows, {90: {f"{name}_{p}": v for p, v in parts.items()}}, asked)
    return found


def _sums(rows: Rows, wanted: dict[int, Columns], asked: Asked) -> Columns:
    found: Columns = {}
    for days, columns in wanted.items():
        begin = np.maximum(rows.time + 1, rows.known)
        end = np.minimum(rows.time + days * DAY, rows.until - 1)
        keep = np.flatnonzero(begin <= end)
        key = rows.key[keep]
        enters, leaves = (_pack(key, times[keep], asked.base) for times in (begin, end))
        by_begin, by_end = np.argsort(enters), np.argsort(leaves)
        inside = np.searchsorted(enters[by_begin], asked.packed, side="right")
        outside = np.searchsorted(leaves[by_end], asked.packed, side="left")
        for name, values in columns.items():
            mine = values[keep]
            total = _prefix(mine[by_begin])[inside] - _prefix(mine[by_end])[outside]
            found[name] = total[asked.place]
    return found


def _rows(codes: np.ndarray, columns: Columns) -> Rows:
    until = columns.get("until")
    ends = np.full(len(codes), NEVER) if until is None else until
    return Rows(codes, columns["time"], columns["known"], ends)


def _codes(column: Any, asked: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same small numbers for the keys of rows and of a spine."""
    names = pc.unique(pa.chunked_array([*column.chunks, *asked.chunks]))
    first, second = (pc.fill_null(pc.index_in(one, names), 0) for one in (column, asked))
    return _array(first).astype(np.int64), _array(second).astype(np.int64)


def _pack(key: np.ndarray, time: np.ndarray, base: int) -> np.ndarray:
    return (key << TIME_BITS) | np.clip(time - base, 0, (1 << TIME_BITS) - 1)


def _prefix(values: np.ndarray) -> np.ndarray:
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    return np.concatenate([[0], np.cumsum(values, dtype=kind)])


def _array(column: Any) -> np.ndarray:
    if pa.types.is_boolean(column.type):
        return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=bool)
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column.cast(pa.int64()), NEVER).to_numpy())
    return np.asarray(pc.fill_null(column, np.nan).to_numpy())


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
