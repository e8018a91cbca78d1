"""Training datasets: kept as they were made, and computed again."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headwater import Feature, FeatureRef, FeatureView, RandomSplit, Source, TimeSplit
from headwater.compute.leakage import association
from headwater.errors import (
    DefinitionError,
    MissingExtraError,
    NotFoundError,
    SpineError,
    StoreError,
)
from headwater.offline.datasets import DatasetFolder
from store import shop
from store.shop import DAY, HOUR, USER, day, event, view

EVENTS = shop.random_events(200, users=5)
NAMES = ["last_amount", "last_kind", "mean_3"]


def labels(count: int = 50, seed: int = 2) -> pa.Table:
    chance = random.Random(seed)
    users = [f"u{chance.randrange(6)}" for _ in range(count)]
    times = sorted(day(1) + chance.randrange(5 * DAY) for _ in range(count))
    return shop.spine(users, times, bought=[chance.random() < 0.4 for _ in range(count)])


@pytest.fixture
def store(make):
    found = make(EVENTS)
    found.apply([view("rows", [*shop.LOOKUPS, *shop.SEQUENCES])])
    return found


def create(store, **given):
    return store.create_dataset("churn", labels(), NAMES, label="bought", **given)


class TestKept:
    def test_a_dataset_is_the_training_set(self, store):
        made = create(store)
        trained = store.get_historical_features(labels(), NAMES).to_arrow()
        assert made.to_arrow().equals(trained)
        assert (made.name, made.version, made.features) == ("churn", 1, tuple(NAMES))
        assert store.dataset("churn").to_arrow().equals(trained)

    def test_versions_stay_as_they_are(self, store):
        first = create(store)
        before = first.to_arrow()
        shop.write(store.settings.root, [{**row, "amount": 7.0} for row in EVENTS])
        second = create(store)
        assert (second.version, store.dataset("churn").version) == (2, 2)
        assert store.dataset("churn@1").to_arrow().equals(before)
        assert not second.to_arrow().equals(before)

    def test_the_versions_of_features_are_pinned(self, store):
        create(store)
        changed = Feature("last_amount", "amount * 2", default=-1.0)
        store.apply([view("rows", [changed, shop.LOOKUPS[0], *shop.SEQUENCES])])
        second = create(store)
        pins = {f.output: f.version for f in second.manifest.features}
        assert pins == {"last_amount": "2.0.0", "last_kind": "1.0.0", "mean_3": "1.0.0"}
        assert store.dataset("churn@1").manifest.features[0].version == "1.0.0"
        assert store.reproduce_dataset("churn@1").is_same
        assert store.reproduce_dataset("churn@2").is_same

    def test_statistics(self, store):
        made = create(store)
        column = made.to_polars()["last_amount"]
        found = made.statistics["last_amount"]
        assert found["rows"] == 50
        assert found["nulls"] == column.null_count()
        assert found["mean"] == pytest.approx(column.mean())
        assert found["stddev"] == pytest.approx(column.std(ddof=0))
        assert (found["min"], found["max"]) == (column.min(), column.max())
        kinds = made.to_polars()["last_kind"].drop_nulls().value_counts()
        assert dict(made.statistics["last_kind"]["frequent"]) == dict(kinds.iter_rows())

    def test_a_file_that_was_changed_is_noticed(self, store):
        made = create(store)
        file = store.datasets.path("churn", 1) / "train.parquet"
        file.write_bytes(file.read_bytes()[:-1] + b"!")
        with pytest.raises(StoreError, match="is not the file that was written"):
            made.to_arrow()

    def test_nothing_is_left_of_one_that_failed(self, store, monkeypatch):
        def refuse(*_):
            raise OSError("no space left on device")

        monkeypatch.setattr("headwater.offline.datasets._sync", refuse)
        with pytest.raises(OSError, match="no space"):
            create(store)
        monkeypatch.undo()
        assert store.datasets.names() == []
        assert create(store).version == 1

    def test_processes_that_write_at_once_get_numbers_of_their_own(self, tmp_path):
        code = """
import sys
import pyarrow as pa
from pathlib import Path
from headwater.offline.datasets import DatasetFolder, Manifest
folder = DatasetFolder(Path(sys.argv[1]), "p")
manifest = Manifest("d", 0, "p", 0, sys.argv[2], "t", True, None, {"kind": "none"}, (), ())
table = pa.table({"x": [int(sys.argv[2])]})
for _ in range(8):
    folder.write(manifest, table, {"train": table})
"""
        running = [
            subprocess.Popen([sys.executable, "-c", code, tmp_path, str(number)])
            for number in range(3)
        ]
        assert [process.wait() for process in running] == [0, 0, 0]
        folder = DatasetFolder(tmp_path, "p")
        assert folder.versions("d") == list(range(1, 25))
        for version in folder.versions("d"):
            made = folder.find(f"d@{version}")
            assert folder.read(made, "train")["x"].to_pylist() == [int(made.created_by)]


class TestReproduced:
    def test_the_same_rows_give_the_same_values(self, store):
        create(store, split=RandomSplit(test=0.2, seed=5))
        found = store.reproduce_dataset("churn")
        assert (found.is_same, found.rows, found.sources) == (True, 50, ())

    def test_rows_that_came_later_change_nothing(self, store):
        create(store)
        late = event("u1", day(2), amount=99.0, known=day(30))
        shop.write(store.settings.root, [*EVENTS, late])
        found = store.reproduce_dataset("churn")
        assert (found.is_same, found.sources) == (True, ("events",))

    def test_what_was_rewritten_is_told_by_column(self, store):
        made = create(store)
        shop.write(store.settings.root, [{**row, "amount": 7.0} for row in EVENTS])
        found = store.reproduce_dataset("churn")
        again = store.get_historical_features(labels(), NAMES).to_arrow()
        kept = made.to_arrow()
        expected = {
            name: sum(
                a != b for a, b in zip(kept[name].to_pylist(), again[name].to_pylist(), strict=True)
            )
            for name in ("last_amount", "mean_3")
        }
        assert found.differing == expected
        assert min(expected.values()) > 0

    def test_a_delta_table_is_read_as_it_was(self, make, tmp_path):
        store = make()
        write_deltalake(str(tmp_path / "log"), shop.table(EVENTS))
        source = Source("log", path="log", event_time="event_time", available_at="known")
        store.apply([FeatureView("rows", entity=USER, source=source, features=shop.LOOKUPS)])
        made = store.create_dataset("d", labels(), ["last_amount", "last_kind"])
        assert made.manifest.sources[0].versions == (0,)
        rewritten = shop.table([{**row, "amount": 7.0} for row in EVENTS])
        write_deltalake(str(tmp_path / "log"), rewritten, mode="overwrite")
        again = store.get_historical_features(labels(), ["last_amount"]).to_arrow()
        assert again["last_amount"] != made.to_arrow()["last_amount"]
        assert store.reproduce_dataset("d").is_same

    def test_renamed_outputs_and_keys(self, store):
        spine = labels().rename_columns(["buyer", "event_timestamp", "bought"])
        ref = FeatureRef("last_amount", alias="spent", join_keys={"user_id": "buyer"})
        made = store.create_dataset("d", spine, [ref])
        assert made.features == ("spent",)
        assert store.reproduce_dataset("d").is_same


class TestSplits:
    def test_shares_of_the_rows(self, store):
        made = create(store, split=RandomSplit(test=0.2, validation=0.1, seed=1))
        assert {n: p.rows for n, p in made.manifest.parts.items()} == {
            "train": 35, "validation": 5, "test": 10,
        }  # fmt: skip
        again = create(store, split=RandomSplit(test=0.2, validation=0.1, seed=1))
        other = create(store, split=RandomSplit(test=0.2, validation=0.1, seed=2))
        assert again.to_arrow("test").equals(made.to_arrow("test"))
        assert not other.to_arrow("test").equals(made.to_arrow("test"))
        whole = pl.concat([made.to_polars(part) for part in made.manifest.parts])
        assert sorted(whole.rows(), key=repr) == sorted(create(store).to_polars().rows(), key=repr)

    def test_a_user_is_in_one_part(self, store):
        made = create(store, split=RandomSplit(test=0.4, seed=1, by="user_id"))
        train, test = (set(made.to_polars(part)["user_id"]) for part in ("train", "test"))
        assert train
        assert test
        assert not train & test

    def test_by_is_of_values_and_not_of_rows(self):
        split = RandomSplit(test=0.5, seed=3, by="user_id")
        spine = pa.table({"user_id": ["b", "a", "c", "d", "a"]})
        turned = spine.take([4, 3, 2, 1, 0])
        times = np.zeros(5, dtype=np.int64)
        parts = [
            set(table.take(split.parts(table, times)["test"])["user_id"].to_pylist())
            for table in (spine, turned)
        ]
        assert parts[0] == parts[1]

    def test_parts_follow_one_another_with_a_gap(self, store):
        split = TimeSplit(test=shop.moment(day(4)), validation=shop.moment(day(3)), gap="6h")
        made = create(store, split=split)
        times = {p: made.to_polars(p)["event_timestamp"] for p in made.manifest.parts}
        gap = 6 * HOUR
        assert times["train"].max() < shop.moment(day(3) - gap)
        assert shop.moment(day(3)) <= times["validation"].min()
        assert times["validation"].max() < shop.moment(day(4) - gap)
        assert shop.moment(day(4)) <= times["test"].min()
        kept = sum(part.rows for part in made.manifest.parts.values())
        assert made.manifest.left_out == 50 - kept > 0
        assert store.reproduce_dataset("churn").is_same

    @pytest.mark.parametrize(
        ("make_split", "said"),
        [
            (lambda: RandomSplit(test=1.2), "give a share from 0 to 1"),
            (lambda: RandomSplit(test=0.6, validation=0.4), "leave no rows"),
            (lambda: TimeSplit(test="2024-01-01", validation="2024-01-02"), "begins before 'test'"),
            (lambda: TimeSplit(test="2024-01-01", gap="soon"), "is not a duration"),
            (lambda: TimeSplit(test="noon"), "is not a time"),
        ],
    )
    def test_mistakes(self, make_split, said):
        with pytest.raises((SpineError, DefinitionError), match=said):
            make_split()

    def test_a_part_without_rows(self, store):
        with pytest.raises(SpineError, match="leaves part 'test' without rows"):
            create(store, split=TimeSplit(test="2034-01-01"))
        with pytest.raises(SpineError, match=r"no column 'user'; did you mean 'user_id'\?"):
            create(store, split=RandomSplit(test=0.5, by="user"))


class TestForms:
    def test_numpy(self, store):
        made = store.create_dataset("d", labels(), ["last_amount", "mean_3"], label="bought")
        x, y = made.to_numpy()
        table = made.to_polars()
        assert x.shape == (50, 2)
        assert np.array_equal(x[:, 1], table["mean_3"].to_numpy(), equal_nan=True)
        assert y.tolist() == table["bought"].to_list()

    def test_a_text_is_no_number(self, store):
        with pytest.raises(DefinitionError, match="feature 'last_kind' is string"):
            create(store).to_numpy()

    def test_torch_where_it_is_installed(self, store, monkeypatch):
        made = store.create_dataset("d", labels(), ["last_amount"], label="bought")
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingExtraError, match="torch"):
            made.to_torch()

    def test_unknown_names(self, store):
        create(store)
        with pytest.raises(NotFoundError, match=r"did you mean 'churn'\?"):
            store.dataset("chrun")
        with pytest.raises(NotFoundError, match="has no version '3'"):
            store.dataset("churn@3")
        with pytest.raises(NotFoundError, match="has no part 'test'"):
            store.dataset("churn").to_arrow("test")
        with pytest.raises(DefinitionError, match="is not a name"):
            store.create_dataset("../churn", labels(), NAMES)
        with pytest.raises(SpineError, match=r"label 'bougth'.*did you mean 'bought'\?"):
            store.create_dataset("d", labels(), NAMES, label="bougth")


class TestLeakage:
    def test_an_honest_feature_does_not_change(self, store):
        found = store.leakage_report(labels(), NAMES, label="bought")
        assert [item.feature for item in found] == NAMES
        assert [(item.changed, item.tried) for item in found] == [(0, 20)] * 3
        assert not any(item.is_suspicious for item in found)

    def test_rows_that_were_not_known_yet_are_told(self, make):
        late = [event("u1", day(1) + n, amount=float(n), known=day(20)) for n in range(9)]
        store = make(late)
        store.apply([view("rows", shop.LOOKUPS)])
        spine = shop.spine(["u1"] * 5, [day(1) + n for n in range(2, 7)])
        knowing = store.leakage_report(spine, ["last_amount"])
        ignoring = store.leakage_report(spine, ["last_amount"], knowledge=False)
        assert (knowing[0].changed, ignoring[0].changed) == (0, 5)
        assert ignoring[0].is_suspicious

    def test_a_source_that_is_restated(self, make):
        """An adjusted price divides by a split that comes later: the future is in each row."""
        store = make([event("u1", day(n), amount=float(2**n)) for n in range(6)])
        restated = Source(
            "restated",
            query="SELECT *, amount / max(amount) OVER () AS adjusted FROM "
            f"read_parquet('{store.settings.root}/events.parquet')",
            event_time="event_time",
        )
        adjusted = Feature("last_adjusted", "adjusted")
        store.apply([FeatureView("prices", entity=USER, source=restated, features=[adjusted])])
        spine = shop.spine(["u1"] * 3, [day(1), day(2), day(3)])
        [found] = store.leakage_report(spine, ["last_adjusted"])
        # the query is run once, over all rows: cutting rows off its result can't show this
        assert found.changed == 0

    def test_a_feature_that_is_the_label(self, make):
        rows = [event(f"u{n}", day(1), items=n % 2, amount=float(n)) for n in range(40)]
        store = make(rows)
        store.apply([view("rows", [Feature("copied", "items"), Feature("fair", "amount")])])
        users = [f"u{n}" for n in range(40)]
        spine = shop.spine(users, [day(2)] * 40, bought=[n % 2 == 1 for n in range(40)])
        copied, fair = store.leakage_report(spine, ["copied", "fair"], label="bought")
        assert (copied.association, copied.is_suspicious) == (1.0, True)
        assert fair.association < 0.2

    def test_association_by_hand(self):
        label = pa.array([True, False, True, False, None])
        # of four pairs of a true and a false row, three are in order: |2 * 0.75 - 1|
        assert association(pa.array([4.0, 2.0, 3.0, 3.5, 9.0]), label) == 0.5
        assert association(pa.array([1, 1, 1, 1, 2]), label) == 0.0
        numbers = pa.array([1.0, 2.0, 3.0])
        assert association(pa.array([10, 30, 20]), numbers) == pytest.approx(0.5)
        assert association(pa.array([9, 8, 1]), numbers) == pytest.approx(1.0)
        assert association(pa.array([1, 1, 1]), numbers) is None
        assert association(pa.array([[1], [2], [3]]), numbers) is None
        assert association(numbers, pa.array([1, 1, 1])) is None
