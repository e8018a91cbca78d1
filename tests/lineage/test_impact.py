"""What breaks if a feature, a source or a column changes."""

import pytest

from headwater import Feature, FeatureService
from headwater.errors import RefusedError
from headwater.lineage.impact import impact_of
from headwater.registry.usage import record_usage
from lineage.test_graph import store, use
from store import shop

__all__ = ["store"]


def impact(store, name):
    return impact_of(store.lineage, store.lineage.find(name))


def test_of_a_feature(store):
    found = impact(store, "clicks")
    assert [(f.feature, f.version, f.reads) for f in found.features] == [
        ("clicks", "1.0.0", ()),
        ("rate", "1.0.0", ("clicks",)),
        ("high", "1.0.0", ("rate",)),
    ]
    services = {s.service: (s.following, s.pinned) for s in found.services}
    assert services == {
        "ranking": (("clicks", "high"), ()),
        "old_ranking": ((), ("clicks@1.0.0",)),
    }
    assert [(v.view, v.is_stored, v.features) for v in found.views] == [
        ("above", False, ("rate", "high")),
        ("windows", True, ("clicks",)),
    ]
    assert {(m.model, m.environment, m.features) for m in found.models} == {
        ("ranker", "production", ("high",)),
        ("churn", "dev", ("clicks",)),
        ("x", "production", ("rate",)),
    }


def test_the_last_use_of_a_model_is_of_any_feature(store):
    later = [use("last_items", "ranker", at=9_000_000, model_version="v7")]
    record_usage(store.registry, "shop", later)
    ranker = next(m for m in impact(store, "high").models if m.model == "ranker")
    assert (ranker.last_used_at, ranker.model_version, ranker.uses) == (9_000_000, "v7", 1)


def test_of_a_column(store):
    found = impact(store, "events.kind")
    assert [(f.feature, f.roles) for f in found.features] == [
        ("clicks", ("filter",)),
        ("rate", ()),
        ("high", ()),
    ]
    assert found.ties == ("last_items",)
    assert {f.feature for f in impact(store, "events.items").features} == {
        "last_items",
        "rate",
        "high",
    }
    assert impact(store, "events.amount").features == ()


def test_of_a_source_and_of_what_surrounds_each_row(store):
    every = {"clicks", "last_items", "rate", "high"}
    for name in ("events", "events.user_id", "events.event_time", "events.known"):
        assert {f.feature for f in impact(store, name).features} == every


def test_a_pinned_service_feels_what_the_values_come_from(store):
    store.apply(
        [
            shop.view(
                "windows",
                [Feature("clicks", "count(*) FILTER (WHERE items > 0)", window="1d")],
                update_frequency="daily",
            )
        ]
    )
    found = impact(store, "events.kind")
    assert [(f.feature, f.version) for f in found.features] == [("clicks", "1.0.0")]
    assert [(s.service, s.following, s.pinned) for s in found.services] == [
        ("old_ranking", (), ("clicks@1.0.0",))
    ]
    found = impact(store, "events.items")
    assert ("clicks", "2.0.0") in {(f.feature, f.version) for f in found.features}
    assert {s.service for s in found.services} == {"ranking"}


def test_what_an_old_pinned_version_reads_is_behind_it_too(store):
    store.apply([FeatureService("kept", ["high@1.0.0"])])
    store.apply([shop.view("rows", [Feature("last_items", "length(kind)")])])
    found = impact(store, "events.items")
    versions = {(f.feature, f.version) for f in found.features}
    assert {("last_items", "1.0.0"), ("rate", "1.0.0"), ("high", "1.0.0")} == versions
    assert [s.service for s in found.services] == ["kept"]


def test_nothing_depends_on_a_service(store):
    with pytest.raises(RefusedError, match="ask for a feature, a source or a column"):
        impact(store, "service:ranking")
