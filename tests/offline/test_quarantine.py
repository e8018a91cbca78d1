"""Quarantine: every rejected row is kept once, readable, with its rule."""

from __future__ import annotations

import json
import math

import pyarrow as pa
import pytest

from headwater.errors import StoreError
from headwater.offline.quarantine import Quarantine


@pytest.fixture
def quarantine(tmp_path) -> Quarantine:
    return Quarantine(tmp_path / "a folder", "shop")


def rejected(rule="range(min=0)", **columns) -> pa.RecordBatch:
    count = len(next(iter(columns.values())))
    labels = {"_feature": ["ctr"] * count, "_rule": [rule] * count}
    return pa.RecordBatch.from_pydict(columns | labels)


def kept(quarantine, run_id=None) -> list[dict]:
    return [
        json.loads(r["row"]) for r in quarantine.read("user_ads", run_id).read_all().to_pylist()
    ]


def test_a_row_comes_back_with_its_reason(quarantine):
    batch = rejected(user_id=["u1"], ctr=[-0.5])
    assert quarantine.write("user_ads", "run1", [batch], part="p", recorded_at=7) == 1
    (row,) = quarantine.read("user_ads").read_all().to_pylist()
    assert json.loads(row.pop("row")) == {"user_id": "u1", "ctr": -0.5}
    assert row.pop("recorded_at").timestamp() == pytest.approx(7e-6)
    assert row == {"run_id": "run1", "part": "p", "feature": "ctr", "rule": "range(min=0)"}
    assert quarantine.views() == ["user_ads"]


def test_running_again_doubles_nothing(quarantine):
    for _ in range(2):
        quarantine.write("user_ads", "run1", [rejected(a=[1]), rejected(a=[2])])
        quarantine.write("user_ads", "run1", [rejected(a=[3])], part="other")
        quarantine.write("user_ads", "run2", [rejected(a=[4], b=["x"])])
    assert sorted(row["a"] for row in kept(quarantine)) == [1, 2, 3, 4]
    assert kept(quarantine, "run2") == [{"a": 4, "b": "x"}]
    assert quarantine.vacuum("user_ads", retention_hours=0) == []
    assert len(kept(quarantine)) == 4


def test_nothing_is_kept_of_a_run_that_fails(quarantine):
    def fail():
        with quarantine.collect("user_ads", "run1") as rows:
            rows.add(rejected(a=[1]))
            raise RuntimeError("the engine stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert kept(quarantine) == []
    quarantine.write("user_ads", "run1", [rejected(a=[1])])
    assert kept(quarantine) == [{"a": 1}]


def test_no_rejected_rows_make_no_table(quarantine):
    quarantine.write("user_ads", "run1", [rejected(a=[1]).slice(0, 0)])
    assert quarantine.views() == []
    assert kept(quarantine) == []


def test_every_type_can_be_kept(quarantine):
    timestamps = pa.array([-1], pa.timestamp("us", tz="UTC"))
    batch = rejected(
        f=[math.nan],
        g=[-math.inf],
        i=[2**63 - 1],
        none=pa.array([None], pa.int64()),
        blob=[b"\x00\xff"],
        time=timestamps,
        date=pa.array([0], pa.date32()),
        floats=pa.array([[1.5, math.inf, None]]),
        texts=pa.array(["ü"]).dictionary_encode(),
        flag=[False],
    )
    quarantine.write("user_ads", "run1", [batch])
    assert kept(quarantine) == [
        {
            "f": "NaN",
            "g": "-Infinity",
            "i": 2**63 - 1,
            "none": None,
            "blob": "AP8=",
            "time": "1969-12-31 23:59:59.999999Z",
            "date": "1970-01-01",
            "floats": [1.5, "Infinity", None],
            "texts": "ü",
            "flag": False,
        }
    ]


def test_many_rows_go_through_a_file(quarantine, monkeypatch):
    monkeypatch.setattr("headwater.offline.quarantine._IN_MEMORY", 1_000)
    batches = [rejected(a=list(range(n, n + 1_000))) for n in range(0, 5_000, 1_000)]
    quarantine.write("user_ads", "run1", batches)
    assert sorted(row["a"] for row in kept(quarantine)) == list(range(5_000))


def test_a_view_is_a_name(quarantine):
    with pytest.raises(StoreError, match="not the name of a view"):
        quarantine.path("../x")
