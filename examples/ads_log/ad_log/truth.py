"""What the log was drawn from: the expected values that features estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ad_log.settings import (
    CATEGORIES,
    CLICKS,
    CONVERSIONS,
    DEVICE_LIFT,
    DEVICES,
    IMPRESSION_SHARE,
    INCOME_LIFT,
    INCOMES,
    POSITION_LIFT,
    Settings,
    hour_activity,
    hour_lift,
)
from ad_log.world import Ads, Users


def tables(names: dict[str, pa.Array], users: Users, ads: Ads, settings: Settings) -> Any:
    """Name to table. `ctr` is the expected rate over all that is not named in the row."""
    lift = users.click_lift * INCOME_LIFT[users.income] * (users.devices @ DEVICE_LIFT)
    place = ads.positions @ POSITION_LIFT
    everyone = float(users.activity @ lift)
    everything = float(ads.popularity @ (ads.ctr * place))
    return {
        "users": pa.table(
            {
                "user_id": names["user"],
                "ctr": lift * everything,
                "cvr": users.conversion,
                "interaction": users.interaction,
                "purchases": users.purchases,
                "basket": users.basket,
                "begins_on_day": users.begins,
                **{f"share_{name}": users.devices[:, i] for i, name in enumerate(DEVICES)},
            }
        ),
        "ads": pa.table(
            {"ad_id": names["ad"], "ctr": ads.ctr * place * everyone, "quality": ads.ctr}
        ),
        "hours": pa.table(
            {
                "hour": np.arange(24),
                "activity": hour_activity(),
                "ctr": hour_lift() * everyone * everything,
            }
        ),
        "days": pa.table({"day": settings.dates, "activity": settings.day_weights()}),
        "incomes": _incomes(users, everything),
        "categories": pa.table(
            {"category": list(CATEGORIES), "impression_share": IMPRESSION_SHARE}
        ),
    }


def _incomes(users: Users, everything: float) -> pa.Table:
    lift = users.click_lift * (users.devices @ DEVICE_LIFT)
    rates = []
    for level, income in enumerate(INCOME_LIFT):
        mine = users.income == level
        weights = users.activity[mine]
        mean = np.average(lift[mine], weights=weights) if weights.sum() > 0 else 1.0
        rates.append(float(mean * income * everything))
    return pa.table({"income_level": list(INCOMES), "ctr": rates})


def constants(settings: Settings) -> dict[str, Any]:
    """What holds for all of them."""
    return {
        "ad_ctr_beta": list(CLICKS),
        "user_cvr_beta": list(CONVERSIONS),
        "half_life_days": settings.half_life,
        "position_lift": POSITION_LIFT.tolist(),
        "device_lift": dict(zip(DEVICES, DEVICE_LIFT.tolist(), strict=True)),
        "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
    }
