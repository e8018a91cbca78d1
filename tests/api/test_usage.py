"""The ranking of features by use and cost over REST, and what processes count."""

import pytest

from headwater.registry.kinds import now_us

USE = {"feature_version": "1.0.0", "used_by_model": "m", "environment": "production"}
TODAY = now_us() // 86_400_000_000
WRITER = "0123456789abcdef"


def counted(name="x", **fields):
    told = {"feature_name": name, "feature_version": "1.0.0", "day": TODAY, "count": 3}
    return {**told, "rows": 30, "last_used_at": now_us(), **fields}


def test_features_come_by_worth(api):
    for name in ("a", "b", "c"):
        api.create(name, active=True)
    for name, importance in (("b", 0.9), ("b", 0.7), ("c", 0.2)):
        use = {"feature_name": name, **USE, "feature_importance": importance}
        api.post("/features/usage", use)
    found = api.get("/usage")
    assert (found["total"], found["days"]) == (3, 90)
    assert [one["feature_name"] for one in found["features"]] == ["b", "c", "a"]
    b, _, a = found["features"]
    assert (b["uses"], b["models"], b["importance"]) == (2, ["m"], pytest.approx(0.8))
    assert (b["hint"], a["hint"], a["last_used_at"]) == ("keep", "watch", None)
    assert [one["feature_name"] for one in api.get("/usage", unused=True)["features"]] == ["a"]
    page = api.get("/usage", skip=1, limit=1)
    assert ([one["feature_name"] for one in page["features"]], page["total"]) == (["c"], 3)


def test_what_a_process_counts_is_kept_once(api):
    api.create("x", active=True)
    for _ in range(2):
        body = {"environment": "staging", "counts": [counted(service="s"), counted("nothing")]}
        assert api.put(f"/usage/counts/{WRITER}", body) == {"kept": 1}
    found = api.get("/usage/x")
    assert found["uses"] == [
        {
            "feature_version": "1.0.0",
            "used_by_model": None,
            "service": "s",
            "environment": "staging",
            "operation": "online",
            "uses": 3,
            "rows": 30,
            "importance": None,
        }
    ]
    assert api.get("/features/x")["usage_count"] == 3
    statistics = api.get("/features/x/statistics")
    assert (statistics["total_usage"], statistics["unique_models"]) == (3, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 0),
        ("day", -1),
        ("rows", -1),
        ("feature_name", "1x"),
        ("more", 1),
        ("count", 2**60),
    ],
)
def test_wrong_counts(api, field, value):
    body = {"environment": "dev", "counts": [counted(**{field: value})]}
    assert field in api.problem("PUT", f"/usage/counts/{WRITER}", 422, json=body)


def test_wrong_places(api):
    body = {"environment": "dev", "counts": []}
    assert "writer" in api.problem("PUT", "/usage/counts/me", 422, json=body)
    assert "no feature 'x'" in api.problem("GET", "/usage/x", 404)
    assert "days" in api.problem("GET", "/usage", 422, params={"days": 0})
