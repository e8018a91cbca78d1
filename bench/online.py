"""The online store beside bare LMDB and msgspec, in one run: `python bench/online.py [--large]`.

Each line has the limit (the same bytes through the bare libraries), Headwater, and their ratio.
`--large` adds a load of two million keys and its peak memory.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgspec
import numpy as np
import pyarrow as pa

from headwater.online.codec import Layout, encode_key, encode_keys
from headwater.online.sorted_load import SortedLoad
from headwater.online.store import OnlineStore, open_online_store

KEYS = 100_000
START = 1_700_000_000_000_000
CUT = START + 10**12
LAYOUT = Layout([(f"f{place}", "float64" if place % 2 else "int64") for place in range(12)])
TEN = Layout([(f"f{place}", "float64" if place % 2 else "int64") for place in range(10)])


def batch(layout: Layout, count: int, seed: int) -> pa.Table:
    draw = np.random.default_rng(seed)
    columns = {
        name: pa.array(
            draw.random(count) if dtype == "float64" else draw.integers(1000, size=count)
        )
        for name, dtype in layout.features
    }
    users = draw.permutation(count).astype(str)
    return pa.table({"user": pa.array(users), **columns})


def times(count: int, shift: int = 0) -> pa.Array:
    return pa.array(np.arange(count) + START + shift, pa.timestamp("us", tz="UTC"))


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The best time of one call: what else the machine does only ever adds."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def per_call(work: Callable[[], object], calls: int) -> float:
    def many() -> None:
        for _ in range(calls):
            work()

    return seconds(many) / calls


def line(what: str, limit: float, ours: float, unit: str, scale: float) -> None:
    told = f"{limit * scale:9.2f} {unit}  {ours * scale:9.2f} {unit}"
    print(f"{what:<44} {told}  {ours / limit:5.2f} x")


def read(folder: Path) -> None:
    """10 features, in one process, to decoded rows."""
    table = batch(TEN, KEYS, 1)
    rows = TEN.encode_batch(table, times(KEYS), cut=CUT)
    keys = encode_keys([table["user"]])
    store = open_online_store("lmdb", path=folder / "ours")
    store.write("p", "r", keys, rows)
    store.publish("p", "r", START)

    env = lmdb.open(str(folder / "bare"), map_size=1 << 28)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder().decode
    bodies = [encode((row.event_time, row.values)) for row in TEN.decode_many(rows)]
    pairs = zip(keys, bodies, strict=True)
    with env.begin(write=True) as txn:
        txn.cursor().putmulti(sorted(pairs), append=True)

    def bare(chosen: list[bytes]) -> list[object]:
        with env.begin() as txn:
            return [decode(txn.get(key)) for key in chosen]

    def ours(chosen: list[bytes]) -> list[object]:
        (found,), _ = store.read("p", [("r", chosen)])
        return TEN.decode_many(found)

    def with_tick(chosen: list[bytes]) -> list[object]:
        (found,), _ = store.read("p", [("r", chosen)], ["r"])
        return TEN.decode_many(found)

    draw = random.Random(2)
    one, many = [keys[7]], draw.sample(keys, 100)
    for what, work in (("read + decode", ours), ("with its published tick", with_tick)):
        limit = per_call(lambda: bare(one), 20_000), per_call(lambda: bare(many), 500)
        line(f"{what}, 1 key", limit[0], per_call(lambda w=work: w(one), 20_000), "us", 1e6)
        line(f"{what}, 100 keys", limit[1], per_call(lambda w=work: w(many), 500), "us", 1e6)
    parts = ("user 1234",)
    line(
        "key",
        per_call(lambda: encode(parts), 50_000),
        per_call(lambda: encode_key(parts), 50_000),
        "us",
        1e6,
    )
    store.close()
    env.close()


def load(folder: Path) -> None:
    """12 values for each of 100k keys: Arrow columns to readable rows."""
    table, stamps = batch(LAYOUT, KEYS, 3), times(KEYS)
    encode = msgspec.msgpack.Encoder().encode
    number = iter(range(1000))

    def bare() -> None:
        listed = [column.to_pylist() for column in table.columns[1:]]
        rows = map(encode, zip(range(KEYS), zip(*listed, strict=True), strict=True))
        pairs = sorted(zip(table["user"].to_pylist(), rows, strict=True))
        env = lmdb.open(str(folder / f"bare{next(number)}"), map_size=1 << 28)
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([(k.encode(), v) for k, v in pairs], append=True)
        env.close()

    store = open_online_store("lmdb", path=folder / "loads")

    def ours() -> None:
        rows = LAYOUT.encode_batch(table, stamps, stamps, cut=CUT)
        keys = encode_keys([table["user"]])
        store.write("p", f"r{next(number)}", keys, rows)

    line("load 100k keys x 12 values, empty revision", seconds(bare), seconds(ours), "s ", 1)
    store.close()


def put(folder: Path) -> None:
    """Rows against stored ones: compared under the write rule and replaced, or left."""
    table = batch(LAYOUT, KEYS, 4)
    keys = encode_keys([table["user"]])
    runs = [LAYOUT.encode_batch(table, times(KEYS, s), cut=CUT + s) for s in range(6)]
    env = lmdb.open(str(folder / "puts"), map_size=1 << 28)
    store = open_online_store("lmdb", path=folder / "ours")
    ordered = sorted(range(KEYS), key=keys.__getitem__)
    runs = [[run[place] for place in ordered] for run in runs]
    keys = [keys[place] for place in ordered]
    turns = {"bare": iter(runs), "ours": iter(runs)}

    def bare() -> None:
        rows = next(turns["bare"])
        with env.begin(write=True) as txn:
            for key, row in zip(keys, rows, strict=True):
                old = txn.get(key)
                if old is None or old < row:
                    txn.put(key, row)

    def ours() -> None:
        store.write("p", "puts", keys, next(turns["ours"]))

    bare(), ours()
    line("compare-and-put 100k stored rows", seconds(bare), seconds(ours), "s ", 1)
    again = runs[-1]
    same = seconds(lambda: store.write("p", "puts", keys, again))
    print(f"{'the same rows again':<44} {'':12}  {same:9.2f} s ")
    store.close()
    env.close()


def push(store: OnlineStore) -> None:
    """One row at a time, on disk when the call returns."""
    table = batch(LAYOUT, 1, 5)
    rows = [LAYOUT.encode_batch(table, START + step)[0] for step in range(500)]
    keys, turn = encode_keys([table["user"]]), iter(rows)
    taken = per_call(lambda: store.write("p", "pushes", keys, [next(turn)]), 100)
    print(f"{'push of one row, synced':<44} {'':12}  {taken * 1e6:9.2f} us")


def large(folder: Path) -> None:
    """Two million keys in parts that each spread over all keys, loaded in the order of keys."""
    parts, size = 40, 50_000
    store = open_online_store("lmdb", path=folder / "large")
    before, start = memory(), time.perf_counter()
    with SortedLoad(store, "p", "large", folder=folder) as load:
        for part in range(parts):
            table = batch(LAYOUT, size, part)
            users = [f"{user} {part}" for user in table["user"].to_pylist()]
            rows = LAYOUT.encode_batch(table, times(size), cut=CUT)
            load.add([key for key in encode_keys([pa.array(users)]) if key is not None], rows)
        load.flush()
    taken = time.perf_counter() - start
    disk = sum(file.stat().st_size for file in (folder / "large").iterdir()) / 2**20
    print(f"2M keys x 12 values in {parts} parts: {taken:.1f} s, {disk:.0f} MiB on disk")
    print(f"peak memory {memory():.0f} MiB, {before:.0f} MiB before")
    store.close()


def memory() -> float:
    """The most that this process has held so far, in MiB, mapped pages included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    print(f"{'':<44} {'limit':>12}  {'headwater':>12}  ratio")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read(folder)
        load(folder)
        put(folder)
        push(open_online_store("lmdb", path=folder / "ours"))
        if "--large" in sys.argv[1:]:
            large(folder)


if __name__ == "__main__":
    main()
