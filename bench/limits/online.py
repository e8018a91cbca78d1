"""Latest rows in LMDB by py-lmdb and msgspec alone: loading them, and reading them as dicts."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import polars as pl

from bench.make_data import FLOATS, VALUES
from bench.timing import timed, timed_each

MAP_SIZE = 2**30
CALLS = {1: 20_000, 10: 5_000, 100: 1_000}


def load(data: str, root: str, calls: int) -> dict[str, Any]:
    """Take each user's latest row, encode it, write all rows in one durable transaction."""
    folder = Path(root)

    def work() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        encode = msgspec.msgpack.Encoder().encode
        pairs = [(_key(user), encode((at, row))) for user, at, row in _latest(data)]
        _write(folder, pairs)

    return timed(work, calls, lambda _: _sample(folder))


def _latest(data: str) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Each user's last row, in the order of users; times as integers."""
    last = (
        pl.scan_parquet(Path(data) / "events.parquet")
        .sort("event_timestamp")
        .group_by("user_id")
        .agg(pl.col("event_timestamp").last().dt.epoch("us"), pl.col(VALUES).last())
        .sort("user_id")
        .collect()
    )
    for user, at, *row in last.iter_rows():
        yield user, at, tuple(row)


def _key(user: int) -> bytes:
    return user.to_bytes(8, "big")


def _write(folder: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=MAP_SIZE) as env, env.begin(write=True) as txn:
        txn.cursor().putmulti(pairs, append=True)


def _sample(folder: Path) -> list[float]:
    """Rows, and the sum of the numbers of some of them."""
    decode = msgspec.msgpack.Decoder().decode
    with lmdb.open(str(folder), readonly=True, map_size=MAP_SIZE) as env, env.begin() as txn:
        rows = [decode(txn.get(_key(user)))[1] for user in range(1000)]
        return [env.stat()["entries"], sum(sum(row[:11]) for row in rows)]


def prepare(data: str, root: str) -> dict[str, Any]:
    """The two databases that are read: rows in MessagePack, and rows as ready JSON."""
    folder = Path(root)
    shutil.rmtree(folder, ignore_errors=True)
    packed, ready = [], []
    encode, json = msgspec.msgpack.Encoder().encode, msgspec.json.Encoder().encode
    for user, at, row in _latest(data):
        stamp = msgspec.to_builtins(pl.Series([at]).cast(pl.Datetime("us", "UTC")).item())
        cells = row[: len(FLOATS)]
        packed.append((_key(user), encode((at, row))))
        ready.append((_key(user), json(_result(cells, stamp))))
    _write(folder / "packed", packed)
    _write(folder / "json", ready)
    return {"rows": len(packed)}


def _result(cells: tuple[Any, ...], stamp: str) -> dict[str, list[Any]]:
    return {
        "values": list(cells),
        "statuses": ["PRESENT"] * len(cells),
        "event_timestamps": [stamp] * len(cells),
    }


def key_lists(users: int, keys: int) -> list[list[int]]:
    """For each call the users that it reads, the same for everybody who is measured."""
    draw = random.Random(keys)
    return [[draw.randrange(users) for _ in range(keys)] for _ in range(CALLS[keys])]


def read(root: str, users: int, keys: int) -> dict[str, Any]:
    """Some users' rows as a dict of columns, without times, statuses or versions."""
    env = lmdb.open(
        str(Path(root) / "packed"), readonly=True, lock=False, readahead=False, map_size=MAP_SIZE
    )
    decode = msgspec.msgpack.Decoder().decode

    def work(chosen: list[bytes]) -> dict[str, Any]:
        with env.begin(buffers=True) as txn:
            get = txn.get
            rows = [decode(get(key))[1] for key in chosen]
        return dict(zip(FLOATS, zip(*rows, strict=True), strict=False))

    return timed_each(work, [[_key(u) for u in users_] for users_ in key_lists(users, keys)])
