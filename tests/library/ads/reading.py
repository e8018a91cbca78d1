"""The log in plain polars: what was known at a time, and what was in a window."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Log:
    """The tables of a log, and the truth behind it."""

    events: pl.DataFrame
    sessions: pl.DataFrame
    auctions: pl.DataFrame
    truth: dict[str, pl.DataFrame]

    @staticmethod
    def read(folder: Path) -> Log:
        tables = (
            pl.read_parquet(folder / f"{n}.parquet") for n in ("events", "sessions", "auctions")
        )
        truth = {file.stem: pl.read_parquet(file) for file in (folder / "truth").glob("*.parquet")}
        return Log(*tables, truth=truth)

    def known(self, at: dt.datetime) -> pl.DataFrame:
        """The latest version of each event that was known, once."""
        rows = self.events.filter(pl.col("available_at") <= at)
        return rows.sort("available_at", maintain_order=True).unique(
            "event_id", keep="last", maintain_order=True
        )

    def window(self, at: dt.datetime, days: int) -> pl.DataFrame:
        rows = self.known(at)
        inside = (pl.col("event_time") < at) & (
            pl.col("event_time") >= at - dt.timedelta(days=days)
        )
        return rows.filter(inside)

    def visits(self, at: dt.datetime, days: int) -> pl.DataFrame:
        since = at - dt.timedelta(days=days)
        return self.sessions.filter(
            (pl.col("ended_at") <= at)
            & (pl.col("started_at") < at)
            & (pl.col("started_at") >= since)
        )


def number(rows: pl.DataFrame, kind: str) -> int:
    return rows.filter(pl.col("event_type") == kind).height


def ratio(above: float, below: float) -> float | None:
    return above / below if below else None
