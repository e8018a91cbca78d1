"""The main job end to end on real data: define, plan, apply, train, materialize, serve, compare.

    python examples/demo.py

Works in a temporary folder and leaves nothing behind but the plots in build/plots. Exits with 1 if
a served value differs from the one that training sees.
"""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headwater import FeatureStore
from headwater.config import load_settings
from headwater.loading import load_definitions

EXAMPLES = Path(__file__).resolve().parent
PLOTS = EXAMPLES.parent / "build" / "plots"


@dataclass
class Demo:
    """One example project and what is asked of it."""

    name: str
    service: str
    until: str
    spine: str
    keys: str
    compared: int = 0
    different: list[str] = field(default_factory=list)


ADS = Demo(
    name="ads",
    service="click_model",
    until="2019-12-01T00:00:00Z",
    spine="""
        SELECT campaign, position, item_id, user_feature_0, user_feature_1, user_feature_2,
               user_feature_3, event_time AS event_timestamp, clicked
        FROM (
            SELECT *, impression_id IN (
                SELECT impression_id FROM 'data/events.parquet' WHERE event_type = 'click'
            ) AS clicked
            FROM 'data/events.parquet' WHERE event_type = 'impression'
        )
    """,
    keys="""
        SELECT DISTINCT ON (campaign, position, item_id) campaign, position, item_id,
               user_feature_0, user_feature_1, user_feature_2, user_feature_3
        FROM 'data/events.parquet' ORDER BY campaign, position, item_id, event_id
    """,
)
EQUITIES = Demo(
    name="equities",
    service="direction_model",
    until="2013-03-02T00:00:00Z",
    spine="""
        SELECT ticker, date + INTERVAL 22 HOUR AS event_timestamp,
               lead(adj_close) OVER (PARTITION BY ticker ORDER BY date) > adj_close AS rises
        FROM 'data/daily_bars.parquet'
    """,
    keys="SELECT DISTINCT ticker FROM 'data/daily_bars.parquet' ORDER BY ticker",
)


def say(text: str = "") -> None:
    print(text, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    say(f"  {text:<58} {time.perf_counter() - began:6.2f} s")


def run(demo: Demo, work: Path) -> None:
    folder = work / demo.name
    shutil.copytree(EXAMPLES / demo.name, folder, ignore=shutil.ignore_patterns(".headwater"))
    settings = load_settings(folder)
    store = FeatureStore(settings=settings)
    say(f"\n{demo.name}: {folder.name}/headwater.toml, {folder.name}/features.py")
    with step("load the definitions and plan"):
        plan = store.plan(load_definitions(settings), prune=True)
    with step(f"apply: {len(plan.features)} features"):
        store.apply(plan)
    with step("training set, as known at each row's time"):
        training = store.get_historical_features(demo.spine, demo.service).to_arrow()
    say(f"    {training.num_rows:,} rows x {training.num_columns} columns, of them:")
    for name in training.column_names[-len(store.show("service", demo.service)["features"]) :]:
        column = training[name]
        say(f"      {name:<22} {column.type!s:<8} {column.null_count:>7,} null")
    with step(f"materialize as of {demo.until}"):
        reports = store.materialize(until=demo.until)
    for report in reports:
        say(f"      {report.view:<22} {report.written:>7,} keys")
    keys = store.engine.query(demo.keys)
    with served(folder) as url, step("serve, and ask for every key over HTTP"):
        answers = ask(url, demo.service, keys)
    with step("compare with the training side at the same time"):
        compare(demo, store, keys, answers)
    store.close()
    if (EXAMPLES / demo.name / "plot.py").exists():
        with step(f"plot: build/plots/{demo.name}.svg"):
            plot(demo, folder)


def plot(demo: Demo, folder: Path) -> None:
    """Draw the example's features, as its `plot.py` does."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    script, file = EXAMPLES / demo.name / "plot.py", PLOTS / f"{demo.name}.svg"
    command = [sys.executable, str(script), str(file), "--project", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A `headwater serve` process on a free port, stopped in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "headwater", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            message = process.stderr.read() if process.stderr else ""
            raise SystemExit(f"headwater serve has stopped: {message}")
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit("headwater serve was not ready within 30 s")


def ask(url: str, service: str, keys: pa.Table) -> dict[str, list[Any]]:
    """POST /get-online-features with every key; name to values."""
    body = {"feature_service": service, "entities": keys.to_pydict()}
    request = urllib.request.Request(
        f"{url}/get-online-features",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        found = json.load(response)
    names = found["metadata"]["feature_names"]
    return {n: r["values"] for n, r in zip(names, found["results"], strict=True)}


def compare(demo: Demo, store: FeatureStore, keys: pa.Table, answers: dict[str, list[Any]]) -> None:
    """Every served value against the offline value for the same key at the same time."""
    times = pa.array([demo.until.removesuffix("Z")] * keys.num_rows)
    spine = keys.append_column("event_timestamp", times)
    offline = store.get_historical_features(spine, demo.service).to_arrow()
    for name in offline.column_names[spine.num_columns :]:
        for row, value in enumerate(offline[name].to_pylist()):
            demo.compared += 1
            if not same(value, answers[name][row]):
                demo.different.append(
                    f"{name} row {row}: {value!r} offline, {answers[name][row]!r}"
                )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return other == "NaN"
    return bool(one == other)


def main() -> int:
    began = time.perf_counter()
    say("Headwater on real data: clicks of a fashion shop, daily bars of five stocks")
    work = Path(tempfile.mkdtemp(prefix="headwater-demo-"))
    try:
        for demo in (ADS, EQUITIES):
            run(demo, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"\nDone in {time.perf_counter() - began:.1f} s.")
    for demo in (ADS, EQUITIES):
        equal = demo.compared - len(demo.different)
        say(
            f"  {demo.name}: {equal:,} of {demo.compared:,} served values equal the training side's"
        )
        for line in demo.different[:5]:
            say(f"    {line}")
    return 1 if ADS.different or EQUITIES.different or not ADS.compared else 0


if __name__ == "__main__":
    sys.exit(main())
