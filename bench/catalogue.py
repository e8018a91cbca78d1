"""A made-up catalogue of features, and what is asked of it; the same for all that is measured."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

SUBJECTS, MEASURES, WINDOWS, WORDS = (
    line.split()
    for line in (
        "user ad campaign stock session device item page account order",
        "ctr clicks impressions revenue rsi macd volatility spend latency views",
        "1h 6h 1d 7d 14d 30d 90d lifetime",
        (
            "rate of the over last days weeks relative strength index value mean sum ratio count "
            "average model quality score window daily 클릭률 사용자"
        ),
    )
)
OWNERS = ("ads-team", "quant-team", "growth")
ASKED = 1_000


@dataclass(frozen=True)
class Question:
    """A path below `/api/v1`, and the names and words that it asks for."""

    path: str
    names: tuple[str, ...]


def features(count: int) -> Iterator[dict[str, Any]]:
    """Drafts with descriptions of fifteen words and three tags, by a fixed seed."""
    chance = random.Random(7)
    for number in range(count):
        subject, measure = chance.choice(SUBJECTS), chance.choice(MEASURES)
        yield {
            "feature_name": f"{subject}_{measure}_{chance.choice(WINDOWS)}_{number:05}",
            "feature_type": chance.choice(("raw", "derived", "sentiment")),
            "data_type": "float",
            "description": " ".join(chance.choices(WORDS, k=15)),
            "owner": chance.choice(OWNERS),
            "tags": sorted(set(chance.choices(SUBJECTS + MEASURES, k=3))),
            "transformation": {"transformation_type": "sql", "code": f"sum(x{number})"},
        }


def questions(count: int) -> dict[str, list[Question]]:
    """What is asked: single features, lists by three filters, words with and without filters."""
    chance = random.Random(11)
    names = [one["feature_name"] for one in features(count)]
    return {
        "get": [_get(chance.choice(names)) for _ in range(ASKED)],
        "list": [_list(chance) for _ in range(ASKED)],
        "search": [_search(chance) for _ in range(ASKED)],
    }


def _get(name: str) -> Question:
    return Question(f"/features/{name}", (name,))


def _list(chance: random.Random) -> Question:
    owner, tags = chance.choice(OWNERS), chance.sample(SUBJECTS + MEASURES, 2)
    asked = [("owner", owner), ("status", "draft"), *(("tags", tag) for tag in tags)]
    return Question(f"/features?{urlencode(asked)}", (owner, *tags))


def _search(chance: random.Random) -> Question:
    pools = (SUBJECTS, MEASURES, WORDS)
    words = [chance.choice(pool) for pool in chance.sample(pools, chance.randint(1, 3))]
    if chance.random() < 0.3:
        words[-1] = words[-1][:2]
    return Question(f"/features?q={quote(' '.join(words))}", tuple(words))
