"""What features are listed and found by, in MongoDB: a part of the document of a generation."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from headwater.registry.listed import ListedFeature, ListedQuery, UsageTotal
from headwater.registry.mongo_client import DESCENDING, Database, Document

Rows = dict[str, ListedFeature]
_CHUNK = 500
_decoder = msgspec.json.Decoder(list[ListedFeature])


def unpacked(document: Document | None) -> Rows:
    """The rows that a generation lists, by name."""
    packed = None if document is None else document.get("listed")
    if packed is None:
        return {}
    rows = _decoder.decode(zlib.decompress(packed))
    return {row.feature_name: row for row in rows}


def packed(before: Mapping[str, ListedFeature], changed: Sequence[ListedFeature]) -> bytes:
    """The rows of the next generation."""
    rows = {**before, **{row.feature_name: row for row in changed}}
    return zlib.compress(msgspec.json.encode(list(rows.values())), 1)


def find(rows: Iterable[ListedFeature], query: ListedQuery) -> tuple[tuple[str, ...], int]:
    """The names of the features of one page, and how many there are on all pages."""
    equal, tags = query.equal.items(), set(query.tags)
    chosen = [
        row
        for row in rows
        if all(getattr(row, name) == value for name, value in equal)
        and (not tags or not tags.isdisjoint(row.tags))
    ]
    chosen.sort(key=lambda row: (-row.created_at, row.feature_name))
    end = None if query.limit is None else query.skip + query.limit
    return tuple(row.feature_name for row in chosen[query.skip : end]), len(chosen)


def totals(found: Database, project: str, names: Iterable[str]) -> dict[str, UsageTotal]:
    """How often these features were used, those that ever were."""
    wanted = list(dict.fromkeys(names))
    mine = {"project": {"$eq": project}}
    group = {"$group": {"_id": "$feature_name", "count": {"$sum": "$count"}}}
    sums: dict[str, UsageTotal] = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = {"feature_name": {"$in": wanted[start : start + _CHUNK]}}
        for row in found["usages"].aggregate([{"$match": {**mine, **chunk}}, group]):
            # FerretDB 1 has neither $max nor $first; the index answers this at once.
            last = found["usages"].find_one(
                {**mine, "feature_name": {"$eq": row["_id"]}},
                {"usage_timestamp": 1},
                sort=[("usage_timestamp", DESCENDING)],
            )
            at = None if last is None else last["usage_timestamp"]
            sums[row["_id"]] = UsageTotal(int(row["count"]), at)
    return sums
