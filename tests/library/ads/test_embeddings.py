"""Users against campaigns and ads by the cosine of their embeddings, over a few rows."""

from __future__ import annotations

import math

import polars as pl
import pytest

from headwater import Entity, FeatureStore, FeatureView, Source
from headwater.library import ads

from .project import day, trained

AT = day("2024-01-02")
VECTORS = {"a": [3.0, 4.0], "b": [0.0, 0.0], "c": [-4.0, 3.0], "d": None}


@pytest.fixture
def store(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "p"\n')
    rows = pl.DataFrame(
        {
            "id": list(VECTORS),
            "since": [day("2024-01-01")] * 4,
            "words": [["x"]] * 4,
            "vector": pl.Series(list(VECTORS.values()), dtype=pl.Array(pl.Float32, 2)),
        }
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    source = Source("rows", path="rows.parquet", event_time="since")
    user = Entity("user", join_keys={"id": "string"})
    both = Entity("both", join_keys={"id": "string", "other": "string"})
    renamed = Source(
        "others", query="SELECT * RENAME (id AS other) FROM 'rows.parquet'", event_time="since"
    )
    ad = Entity("ad", join_keys={"other": "string"})
    who = ads.user_profile(
        ads.Profile(age="id", income="id", interests="words", embedding="vector::FLOAT[2]")
    )
    words = ads.ad_keywords(ads.Keywords(keywords="words", embedding="vector::FLOAT[2]"))
    store = FeatureStore(tmp_path)
    store.apply(
        [
            FeatureView("u", entity=user, source=source, features=who),
            FeatureView("a", entity=ad, source=renamed, features=words),
            FeatureView("r", entity=both, features=ads.keyword_relevance(words, who)),
        ]
    )
    yield store
    store.close()


def test_a_cosine(store):
    pairs = ["aa", "ac", "ab", "ad"]
    spine = {"id": [p[0] for p in pairs], "other": [p[1] for p in pairs], "at": AT}
    found = trained(store, ["keyword_relevance", "keyword_relevance_embedding"], spine)
    cosines = found["keyword_relevance_embedding"].to_list()
    assert cosines[2:] == [None, None], "of a vector that is 0, of none"
    assert cosines[0] == pytest.approx(1.0)
    assert math.isclose(cosines[1], 0.0, abs_tol=1e-12)
    assert found["keyword_relevance"].to_list() == [1.0] * 4


def test_without_embeddings_there_is_no_cosine():
    who, wanted = ads.user_profile(ads.Profile()), ads.campaign_target(ads.Target())
    assert [one.name for one in ads.audience_similarity(who, wanted)] == ["audience_similarity"]
    assert len(ads.audience_similarity((*who, who[0]), wanted)) == 1
