"""Beyond the specification, 8: full text over name, description, tags, owner, columns."""

import pytest

from api.client import RSI


@pytest.mark.every_registry
@pytest.mark.parametrize("q", ["14일", "relative STRENGTH", "stock_rsi", "rsi 14d", "quant", "osc"])
def test_the_feature_of_the_specification_is_found(api, q):
    api.create("other", description="something else")
    api.post("/features", RSI)
    found = api.get("/features", q=q)
    assert [feature["feature_name"] for feature in found["features"]] == ["stock_rsi_14d"]
    assert found["total"] == 1


@pytest.mark.every_registry
def test_ranked_with_filters_and_total_count(api):
    api.create("a", description="all about ctr", owner="ann", active=True)
    api.create("b", tags=["ctr"], owner="ann", active=True)
    api.create("user_ctr_7d", owner="bob")
    api.create("x", owner="ann")

    def names(**query):
        found = api.get("/features", q="ctr", **query)
        return [feature["feature_name"] for feature in found["features"]], found["total"]

    assert names() == (["user_ctr_7d", "b", "a"], 3)
    assert names(owner="ann") == (["b", "a"], 2)
    assert names(status="draft") == (["user_ctr_7d"], 1)
    assert names(tags=["ctr", "other"]) == (["b"], 1)
    assert names(skip=1, limit=1) == (["b"], 3)
    assert names(feature_type="sentiment") == ([], 0)


@pytest.mark.parametrize(
    ("q", "said"), [("", "give a word"), ("?!", "give a word"), ("x" * 257, "")]
)
def test_a_question_without_words_names_the_field(api, q, said):
    detail = api.problem("GET", "/features", 422, params={"q": q})
    assert "'q'" in detail
    assert said in detail


def test_what_is_deprecated_is_found_and_comes_last(api):
    api.create("ctr_1")
    api.request("DELETE", "/features/ctr_1")
    api.create("ctr_22")
    found = api.get("/features", q="ctr")["features"]
    assert [feature["feature_name"] for feature in found] == ["ctr_22", "ctr_1"]
