"""Rows that break a rule, or have no time: set aside with the reason, never lost, never served."""

from __future__ import annotations

import json

import pytest

from headwater import Enum, Feature, NotNull, Range, Regex, ValidationRule
from headwater.errors import DefinitionError
from pipeline.looking import kept, rejected, served
from store import shop
from store.shop import day, event, moment, view

NOON = day(0, 12)


def amounts(*rules, **given):
    last = Feature("last_amount", "amount", validation_rules=rules)
    return view("checked", [last, Feature("last_kind", "kind")], **given)


def reasons(store, name="checked"):
    return sorted(
        (row["feature"], row["rule"], json.loads(row["row"])["user_id"])
        for row in rejected(store, name)
    )


def test_a_row_that_fails_a_blocking_rule_is_set_aside(make):
    store = make([event("good", day(0), amount=5.0), event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0, max=10, is_blocking=True))])
    (report,) = store.materialize(until=NOON)
    assert (report.rows, report.written, report.quarantined) == (2, 1, 1)
    assert served(store, ["last_amount", "last_kind"], ["good", "bad"]) == [
        {"last_amount": 5.0, "last_kind": "view"},
        {"last_amount": None, "last_kind": None},
    ]
    (row,) = rejected(store, "checked")
    assert (row["feature"], row["rule"]) == ("last_amount", "range(max=10, min=0)")
    assert row["run_id"].startswith("materialize-")
    told = json.loads(row["row"])
    assert (told["user_id"], told["last_amount"], told["last_kind"]) == ("bad", -5.0, "view")
    assert told["_event_time"].startswith("2024-01-01 00:00:00")


def test_a_rule_that_does_not_block_is_only_counted(make):
    store = make([event("good", day(0), amount=5.0), event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0))])
    (report,) = store.materialize(until=NOON)
    assert (report.written, report.quarantined) == (2, 0)
    (count,) = report.rules
    assert (count.feature, count.is_blocking, count.checked, count.failed) == (
        "last_amount",
        False,
        2,
        1,
    )
    assert rejected(store, "checked") == []
    assert served(store, ["last_amount"], ["bad"]) == [{"last_amount": -5.0}]


def test_the_key_of_a_rejected_row_keeps_its_value(make, tmp_path):
    store = make([event("a", day(0), amount=5.0), event("b", day(0), amount=1.0)])
    store.apply([amounts(Range(min=0, is_blocking=True))])
    store.materialize(until=day(0, 1))
    shop.write(tmp_path, [event("a", day(0, 2), amount=-1.0)], "events_2.parquet")
    store.materialize(until=day(0, 3))
    assert served(store, ["last_amount"], ["a", "b"]) == [
        {"last_amount": 5.0},
        {"last_amount": 1.0},
    ]
    shop.write(tmp_path, [event("a", day(0, 4), amount=7.0)], "events_3.parquet")
    store.materialize(until=day(0, 5))
    assert served(store, ["last_amount"], ["a"]) == [{"last_amount": 7.0}]
    assert reasons(store) == [("last_amount", "range(min=0)", "a")]


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (Range(min=0, max=1, is_blocking=True), ["inf", "nan", "neg"]),
        (NotNull(is_blocking=True), ["null"]),
        (ValidationRule("null_check", is_blocking=True), ["null"]),
        (Enum([0.5], is_blocking=True), ["inf", "nan", "neg", "one"]),
    ],
)
def test_each_rule_on_the_values_that_tell(make, rule, bad):
    values = {"half": 0.5, "one": 1.0, "neg": -0.5, "null": None}
    values |= {"inf": float("inf"), "nan": float("nan")}
    store = make([event(user, day(0), amount=amount) for user, amount in values.items()])
    store.apply([amounts(rule)])
    (report,) = store.materialize(until=NOON)
    assert [user for _, _, user in reasons(store)] == bad
    assert report.written == len(values) - len(bad)


def test_a_text_has_to_match_as_a_whole(make):
    store = make([event("a", day(0), kind="view"), event("b", day(0), kind="views")])
    rule = Regex("view|click", is_blocking=True)
    store.apply([view("checked", [Feature("last_kind", "kind", validation_rules=[rule])])])
    store.materialize(until=NOON)
    assert reasons(store) == [("last_kind", "regex(pattern='view|click')", "b")]


def test_each_rule_that_a_row_fails_is_told(make):
    store = make([event("a", day(0), amount=None, kind="other")])
    kinds = Enum(["view"], is_blocking=True)
    both = view(
        "checked",
        [
            Feature("last_amount", "amount", validation_rules=[NotNull(is_blocking=True)]),
            Feature("last_kind", "kind", validation_rules=[kinds]),
        ],
    )
    store.apply([both])
    (report,) = store.materialize(until=NOON)
    assert report.quarantined == 1
    assert [reason[:2] for reason in reasons(store)] == [
        ("last_amount", "not_null"),
        ("last_kind", "enum(values=['view'])"),
    ]


def test_a_rerun_sets_nothing_aside_twice(make, tmp_path):
    store = make([event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0, is_blocking=True))])
    store.materialize(until=NOON)
    from headwater.registry.kinds import Run

    (run,) = store.registry.list("shop", Run)
    store.registry.put("shop", [Run(**{**_fields(run), "status": "failed"})])
    assert store.materialize(until=NOON)[0].skipped is None
    assert len(rejected(store, "checked")) == 1


def _fields(run):
    return {name: getattr(run, name) for name in run.__struct_fields__}


def test_backfills_check_too(make):
    rows = [event("a", day(0, hours), amount=float(5 - hours)) for hours in range(10)]
    store = make(rows)
    store.apply([amounts(Range(min=0, is_blocking=True), Range(min=3))])
    report = store.backfill("checked", day(0), day(1))
    assert (report.rows, report.written, report.quarantined) == (10, 6, 4)
    assert [count.failed for count in report.rules] == [4, 7]
    assert [row["last_amount"] for row in kept(store, "checked")] == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    found = rejected(store, "checked")
    assert {row["rule"] for row in found} == {"range(min=0)"}
    assert {row["part"] for row in found} == {f"{day(0)}-{day(1)}"}
    assert sorted(json.loads(row["row"])["last_amount"] for row in found) == [-4, -3, -2, -1]
    assert store.backfill("checked", day(0), day(1)).skipped
    store.tables.drop(store.show("view", "checked")["revision"])
    store.backfill("checked", day(0), day(1))
    assert len(rejected(store, "checked")) == 4


def test_derived_features_are_checked_where_they_are_stored(make):
    store = make([event("a", day(0), kind="click"), event("b", day(0))])
    rate = Feature(
        "click_rate",
        "clicks_1d / events_1d",
        validation_rules=[Range(max=0.5, is_blocking=True)],
    )
    clicks = Feature("clicks_1d", "count(*) FILTER (WHERE kind = 'click')", window="1d")
    events = Feature("events_1d", "count(*)", window="1d")
    store.apply([view("checked", [clicks, events, rate], update_frequency="hourly")])
    store.materialize(until=NOON)
    assert served(store, ["clicks_1d"], ["a", "b"]) == [{"clicks_1d": 0}, {"clicks_1d": 0}]
    assert reasons(store) == [("click_rate", "range(max=0.5)", "a")]


def test_rows_without_an_event_time_are_set_aside_once(make, tmp_path):
    rows = [event("a", None, amount=3.0), event("a", day(0), amount=1.0), event(None, None)]
    store = make(rows)
    store.apply([shop.latest(), shop.trend()])
    first, second = store.materialize(until=NOON)
    assert (first.quarantined, second.quarantined) == (2, 2)
    for name in ("latest", "trend"):
        found = rejected(store, name)
        assert {row["rule"] for row in found} == {"event_time is null"}
        assert sorted(json.loads(row["row"])["amount"] for row in found) == [1.0, 3.0]
        assert {row["run_id"] for row in found} == {"source-events"}
    store.backfill("trend", day(0), day(1))
    assert len(rejected(store, "trend")) == 2
    shop.write(tmp_path, [event("b", day(0, 1)), event("b", None)], "events_0.parquet")
    store.materialize(until=NOON)
    assert len(rejected(store, "trend")) == 3
    assert served(store, ["last_amount"], ["a"]) == [{"last_amount": 1.0}]


def test_a_rejection_in_a_run_that_fails_is_not_kept_twice(make, monkeypatch):
    """The part is not done, so the next run sets its rows aside."""
    from headwater.pipeline.loading import RunLoad

    store = make([event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0, is_blocking=True))])
    with monkeypatch.context() as patched:
        patched.setattr(RunLoad, "flush", _cut_short)
        with pytest.raises(KeyboardInterrupt):
            store.materialize(until=NOON)
    store.materialize(until=NOON)
    assert len(rejected(store, "checked")) == 1


def _cut_short(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (Regex("x"), "'last_amount': rule 'regex"),
        (Enum(["a"]), "'last_amount': rule 'enum"),
    ],
)
def test_a_rule_that_does_not_fit_the_type_is_refused_at_plan(make, rule, match):
    with pytest.raises(DefinitionError, match=match):
        make().plan([amounts(rule)])


def test_rejected_rows_say_when(make):
    store = make([event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0, is_blocking=True))])
    store.materialize(until=NOON)
    (row,) = rejected(store, "checked")
    assert row["recorded_at"] > moment(NOON)


def test_what_a_backfill_rejects_is_kept_before_its_interval_counts_as_done(make, monkeypatch):
    """Cut short between the two, the rejected rows are not lost: the interval is not run again."""
    from headwater.offline.tables import OfflineTables

    store = make([event("bad", day(0), amount=-5.0)])
    store.apply([amounts(Range(min=0, is_blocking=True))])
    write = OfflineTables.write_interval

    def cut_short(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OfflineTables, "write_interval", cut_short)
        with pytest.raises(KeyboardInterrupt):
            store.backfill("checked", day(0), day(1))
    assert store.backfill("checked", day(0), day(1)).skipped
    assert len(rejected(store, "checked")) == 1
