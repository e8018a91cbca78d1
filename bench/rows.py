"""The rows of the table: each work of the design's list of limits, and its target."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.compare import Block, Row
from bench.limits.starting import NOTHING, PYDANTIC, TYPER
from bench.measure import Command, Task
from bench.sizes import Shape, short

CALLS = 3  # of which the first is cold
AGGREGATES = {
    "greatest": ("max", "numpy, block maxima"),
    "distinct": ("count distinct", "numpy, wavelet matrix"),
    "quantile": ("one quantile", "numpy, wavelet matrix"),
    "frequent": ("mode_count of few values", "numpy, a prefix sum a value"),
}
KEYS = {"user_id": "uniform keys", "ad_id": "heavy-tailed keys"}


def lookups(data: Path, work: Path, shape: Shape, peer: Any) -> Block:
    """Row 1: point-in-time lookups."""
    limit = Task.of("limits.joins", "asof", data=str(data), calls=CALLS)
    common: dict[str, Any] = {"data": str(data), "root": str(work / "lookup"), "calls": CALLS}
    plain = Task.of("product.training", "lookup", **common)
    bitemporal = Task.of("product.training", "lookup", **common, bitemporal=True)
    return Block(
        "lookup",
        (
            Row(
                f"lookup join, {short(shape.rows)} rows x {short(shape.spine)}, 10 columns",
                "DuckDB ASOF, in order",
                limit,
                plain,
                1.0,
                peer=peer and peer("join", data=str(data), root=str(work / "feast-join")),
            ),
            Row(
                "the same, with available_at",
                "DuckDB ASOF, without it",
                limit,
                bitemporal,
                1.3,
                comparable=False,
            ),
        ),
    )


def sums(data: Path, work: Path, shape: Shape) -> Block:
    """Row 2: count and sum over four windows."""
    size = f"{short(shape.rows)} rows x {short(shape.spine)}"
    rows = []
    for key, spread in KEYS.items():
        ours = _window(data, work, key, "sums")
        bare = Task.of("limits.windows", "sums", data=str(data), calls=CALLS, key=key)
        exact = Task.of("limits.windows", "sums", data=str(data), calls=CALLS, key=key, exact=True)
        what = f"4 windows, {size}: count FILTER + sum, {spread}"
        rows.append(Row(what, "numpy, plain sums", bare, ours, 2.0))
        rows.append(Row(what, "numpy, exact sums", exact, ours, 2.0))
    return Block("sums", tuple(rows))


def aggregates(data: Path, work: Path, shape: Shape) -> Block:
    """Row 3: aggregates that are no differences of prefixes."""
    size = f"{short(shape.rows)} rows x {short(shape.spine)}"
    rows = []
    for what, (title, limit_name) in AGGREGATES.items():
        for key, spread in KEYS.items():
            bare = Task.of("limits.windows", what, data=str(data), calls=CALLS, key=key)
            ours = _window(data, work, key, what)
            rows.append(Row(f"4 windows, {size}: {title}, {spread}", limit_name, bare, ours, 2.0))
    return Block("aggregates", tuple(rows))


def _window(data: Path, work: Path, key: str, what: str) -> Task:
    root = str(work / "windows")
    return Task.of(
        "product.training", "window", data=str(data), root=root, calls=CALLS, key=key, what=what
    )


def indicators(data: Path, work: Path, shape: Shape) -> Block:
    """All technical indicators of all bars."""
    common: dict[str, Any] = {"data": str(data), "calls": 2}
    row = Row(
        f"37 indicators of {short(shape.rows)} bars, {short(shape.users)} tickers",
        "polars + TA-Lib",
        Task.of("limits.indicators", "every", **common),
        Task.of("product.indicators", "every", **common, root=str(work / "indicators")),
        2.0,
    )
    return Block("indicators", (row,))


def ads(data: Path, work: Path, shape: Shape) -> Block:
    """All advertising features of a log, as known at the ticks of a spine."""
    common: dict[str, Any] = {"data": str(data), "calls": 2}
    row = Row(
        f"all ads features, {short(shape.rows)} events, {short(shape.users)} users x "
        f"{short(shape.spine)}",
        "DuckDB + numpy, the windows",
        Task.of("limits.ads", "every", **common),
        Task.of("product.ads", "every", **common, root=str(work / "ads")),
        2.0,
    )
    return Block("ads", (row,))


def reads(data: Path, work: Path, shape: Shape, peer: Any) -> Block:
    """Row 4: reads in the process. The design's targets are 12 and 300 us where bare reads take
    2.4 and 85 us.
    """
    bare, ours = str(work / "bare-reads"), str(work / "reads")
    told = str(work / "feast-reads")
    rows = []
    for keys, bound, absolute in ((1, 12 / 2.4, "12 us"), (100, 300 / 85, "300 us")):
        given = {"users": shape.users, "keys": keys}
        rows.append(
            Row(
                f"in-process read, {keys} key{'s' if keys > 1 else ''} x 10 features",
                "lmdb + msgspec to a dict",
                Task.of("limits.online", "read", root=bare, **given),
                Task.of("product.online", "read", root=ours, **given),
                bound,
                "us",
                absolute,
                peer=peer and peer("read", root=told, **given),
            )
        )
    prepare = [
        Task.of("limits.online", "prepare", data=str(data), root=bare),
        Task.of("product.online", "prepare", data=str(data), root=ours),
    ]
    if peer:
        prepare.append(peer("load", data=str(data), root=told))
    return Block("read", tuple(rows), tuple(prepare))


def load(data: Path, work: Path, shape: Shape, peer: Any) -> Block:
    """Row 6, first half: 100k keys into the store."""
    bare = Task.of("limits.online", "load", data=str(data), root=str(work / "bare-load"), calls=2)
    ours = Task.of("product.online", "load", data=str(data), root=str(work / "load"), calls=2)
    row = Row(
        f"materialize {short(shape.users)} keys x 12 values, Parquet to readable",
        "polars + msgspec + LMDB",
        bare,
        ours,
        1.5 / 0.8,
        absolute="1.5 s",
        peer=peer and peer("load", data=str(data), root=str(work / "feast-load")),
    )
    return Block("load", (row,))


def memory_tasks(small: Path, large: Path, work: Path) -> tuple[Task, Task]:
    """Row 6, second half: the same load of few and of many rows."""
    few, many = (
        Task.of("product.online", "load", data=str(data), root=str(work / name), calls=1)
        for data, name in ((small, "few"), (large, "many"))
    )
    return few, many


def wide_tasks(small: Path, large: Path, work: Path) -> tuple[Task, Task]:
    """The same 500 features for few and for many rows of a spine."""
    few, many = (
        Task.of("product.wide", "to_parquet", data=str(data), root=str(work / name))
        for data, name in ((small, "few-rows"), (large, "many-rows"))
    )
    return few, many


def lineages(work: Path, *, quick: bool) -> Block:
    """Recursive lineage; the design's target is 100 ms, where a bare walk takes 6."""
    nodes = 1_000 if quick else 10_000
    root = str(work / "lineage")
    limit = Task.of("limits.lineage", "reach", nodes=nodes, calls=10)
    rows = [
        Row(
            f"recursive lineage, {short(nodes)} features{form}",
            "a walk over dictionaries",
            limit,
            Task.of("product.lineage", function, root=root, calls=10),
            100 / 6,
            "ms",
            "100 ms",
        )
        for function, form in (("recursive", ""), ("graph", ", nodes and edges"))
    ]
    prepare = Task.of("product.lineage", "prepare", root=root, nodes=nodes)
    return Block("lineage", tuple(rows), (prepare,))


def starts(repeat: int) -> Block:
    """Row 7: how long a process takes to start."""

    def python(text: str) -> Command:
        return Command((sys.executable, "-c", text))

    help_ = Command((str(Path(sys.executable).with_name("headwater")), "--help"))
    names = python("from headwater import FeatureView, Source")
    return Block(
        "start",
        (
            Row(
                "import headwater",
                "an empty program",
                python(NOTHING),
                python("import headwater"),
                60 / 9,
                "ms",
                "60 ms",
            ),
            Row(
                "headwater --help",
                "Typer, 16 commands",
                python(TYPER),
                help_,
                220 / 139,
                "ms",
                "220 ms",
            ),
            Row(
                "from headwater import FeatureView, Source",
                "Pydantic, 25 models",
                python(PYDANTIC),
                names,
                400 / 261,
                "ms",
                "400 ms",
            ),
        ),
        repeat=repeat,
    )
