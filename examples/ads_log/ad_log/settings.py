"""How large the log is, and the constants of its world."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

DAY = 86_400_000_000
HOUR = 3_600_000_000

DEVICES = ("mobile", "desktop", "tablet")
DEVICE_SHARE = np.array([0.62, 0.30, 0.08])
DEVICE_LIFT = np.array([1.10, 0.85, 0.95])
INCOMES = ("low", "middle", "high")
INCOME_SHARE = np.array([0.35, 0.45, 0.20])
INCOME_LIFT = np.array([0.90, 1.00, 1.25])
AGES = ("18-24", "25-34", "35-44", "45-54", "55+")
AGE_SHARE = np.array([0.18, 0.27, 0.22, 0.18, 0.15])
CATEGORIES = ("fashion", "travel", "finance", "games", "food", "home", "sports", "autos")
IMPRESSION_SHARE = np.array([0.55, 0.20, 0.12, 0.40, 0.65, 0.35, 0.50, 0.25])
POSITION_LIFT = np.array([1.90, 1.00, 0.60, 0.35])
DIMENSIONS = 16
INTERESTS = 24

MONTH = np.array([0.82, 0.85, 0.94, 0.97, 1.00, 0.96, 0.90, 0.92, 1.02, 1.08, 1.24, 1.30])
WEEKDAY = np.array([0.96, 0.95, 0.96, 0.98, 1.02, 1.08, 1.05])
WEEK = {47: 1.25, 48: 1.45, 52: 0.80}
"""Weeks of the year that differ from their month: sales in November, holidays."""

CLICKS = (3.0, 97.0)
"""The beta distribution of the click-through rates of ads."""
CONVERSIONS = (4.0, 46.0)
"""The beta distribution of the conversion rates of users."""


def hour_activity() -> np.ndarray:
    """Activity by hour of the day, 1 on average."""
    hours = np.arange(24)
    shape = 1.0 + 0.75 * np.sin((hours - 13) / 24 * 2 * np.pi) + 0.2 * (hours == 12)
    return np.asarray(shape / shape.mean())


def hour_lift() -> np.ndarray:
    """How much more than on average a click is likely at an hour: in the evening."""
    shape = 1.0 + 0.25 * np.cos((np.arange(24) - 21) / 24 * 2 * np.pi)
    return np.asarray(shape / np.average(shape, weights=hour_activity()))


@dataclass(frozen=True)
class Settings:
    """The size of a log, its seed, and how untidily it is delivered."""

    users: int = 1_000
    ads: int = 120
    campaigns: int = 24
    impressions: int = 100_000
    days: int = 420
    start: str = "2023-01-02"
    seed: int = 7
    late: float = 0.05
    corrected: float = 0.03
    duplicated: float = 0.01
    half_life: float = 60.0

    def __post_init__(self) -> None:
        for name in ("users", "ads", "campaigns", "impressions", "days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} should be at least 1, is {getattr(self, name)}")
        for name in ("late", "corrected", "duplicated"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")

    @property
    def begin(self) -> int:
        """Microseconds since 1970 of the first midnight."""
        day = dt.datetime.fromisoformat(self.start).replace(tzinfo=dt.UTC)
        return int(day.timestamp()) * 1_000_000

    @property
    def dates(self) -> list[dt.date]:
        first = dt.date.fromisoformat(self.start)
        return [first + dt.timedelta(days=day) for day in range(self.days)]

    def day_weights(self) -> np.ndarray:
        """Activity by day: month, week of the year and day of the week; 1 on average."""
        weights = np.array(
            [
                MONTH[day.month - 1]
                * WEEK.get(day.isocalendar().week, 1.0)
                * WEEKDAY[day.weekday()]
                for day in self.dates
            ]
        )
        return np.asarray(weights / weights.mean())
