"""Search: what is found, in which order, against a search that reads everything every time."""

import re
import unicodedata

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headwater.errors import RequestError
from headwater.registry.copying import copy_registry
from headwater.registry.governance import Governance
from headwater.registry.listed import ListedQuery
from headwater.registry.records import FeatureRecord
from headwater.registry.store import open_registry
from headwater.registry.versions import Wanted
from headwater.registry.words import asked_of, terms_of
from registry.samples import analyze, feature, view
from registry.test_governance import NothingComputed

WEIGHTS = {"name": 4**4, "tags": 4**3, "description": 4**2, "columns": 4, "owner": 1}
STATES = ["active", "draft", "deprecated", "archived"]


def record(name, **fields):
    return FeatureRecord(name=name, **{"feature_type": "raw", "data_type": "float64", **fields})


def governed(registry, project="demo"):
    return Governance(registry, project, NothingComputed())


def found(registry, text, **query):
    states, total = governed(registry).find(ListedQuery(**query), text)
    assert total >= len(states)
    return [state.name for state in states]


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("user_ctr_7d", {"user", "ctr", "7d", "user_ctr_7d", "ctr_7d"}),
        ("Click-through RATE,", {"click", "through", "click_through", "rate"}),
        ("14일 RSI (Relative", {"14일", "일", "rsi", "relative"}),
        ("클릭률", {"클릭률", "릭률", "률"}),
        ("\uff23\uff34\uff32 Straße", {"ctr", "strasse"}),
        ("_ -- !", set()),
    ],
)
def test_words(text, terms):
    assert terms_of(text) == terms


def test_a_long_compound_stays_small_and_is_found_by_each_of_its_parts():
    text = ",".join(f"w{n}" for n in range(2000))
    assert sum(map(len, terms_of(text))) < 200_000
    assert set(asked_of("w5,w6,w7,w8,w9,w10,w11,w12")) <= terms_of(text)


@pytest.mark.parametrize("text", ["", " ", "?", " ".join(f"w{n}" for n in range(17))])
def test_a_question_has_words(registry, text):
    with pytest.raises(RequestError, match="search for"):
        found(registry, text)


# --- what is found --------------------------------------------------------------------------


@pytest.mark.every_registry
def test_a_field_counts_more_than_all_after_it(registry):
    governed(registry).create_many(
        [
            record("a", owner="ctr"),
            record("b", description="ctr", owner="ctr"),
            record("c", tags=("ctr",)),
            record("user_ctr_7d"),
            record("ctr"),
            record("ctrs", tags=("ctr",)),
        ],
        author="ann",
    )
    assert found(registry, "CTR") == ["ctr", "user_ctr_7d", "ctrs", "c", "b", "a"]


@pytest.mark.every_registry
@pytest.mark.parametrize("text", ["user", "ctr", "ctr_7d", "ct", "user_c", "USER-CTR", "7d user"])
def test_a_name_is_found_by_its_parts(registry, text):
    governed(registry).create_many([record("user_ctr_7d"), record("x")], author="ann")
    assert found(registry, text) == ["user_ctr_7d"]


@pytest.mark.every_registry
def test_columns_are_those_that_the_current_version_reads(registry, apply):
    apply(analyze([view("ads", feature("a", "sum(x)"), feature("b", "count(*)"))]))
    assert found(registry, "x") == ["a"]
    apply(analyze([view("ads", feature("a", "count(*)"), feature("b", "avg(x)"))]))
    assert found(registry, "x") == ["b"]
    assert found(registry, "seen_at") == ["a", "b"], "the times of the rows that they read"


@pytest.mark.every_registry
def test_it_follows_every_change(registry):
    governance = governed(registry)

    def search(text):
        states, total = governance.find(ListedQuery(), text)
        assert total == len(states)
        return [(state.name, state.entry.status) for state in states]

    governance.create(record("x", description="moving average"), author="ann")
    assert search("average") == [("x", "draft")]
    other = governed(registry)  # as another process
    other.update("x", {"description": "exponential smoothing"}, author="bob")
    assert search("average") == []
    assert search("smooth") == [("x", "draft")]
    other.update("x", {"tags": ("average",)}, author="bob")
    other.set_status("x", "deprecated", author="bob")
    assert search("average") == [("x", "deprecated")]


@pytest.mark.every_registry
def test_a_rollback_and_a_version_keep_it_found(registry):
    governance = governed(registry)
    governance.create(record("x", description="spread"), author="ann")
    governance.create_version("x", Wanted("1.1.0", "more"), {}, author="ann")
    governance.rollback("x", "1.0.0", author="ann")
    assert found(registry, "spread") == ["x"]


@pytest.mark.every_registry
def test_a_copy_is_searched_alike(registry, tmp_path):
    names = [f"user_{word}_{days}d" for word in ("ctr", "spend") for days in (7, 30)]
    governed(registry).create_many([record(n, tags=("ads",)) for n in names], author="ann")
    target = open_registry(f"sqlite:///{tmp_path / 'copy.db'}")
    copy_registry(registry, target)
    for text in ("ads", "user ctr", "30d"):
        assert found(target, text) == found(registry, text) != []
    target.close()


def test_pages_and_filters(registry):
    governed(registry).create_many(
        [
            record(f"ctr_{n}", owner="ann" if n % 2 else "bob", tags=(f"t{n % 3}",))
            for n in range(9)
        ],
        author="ann",
    )
    states, total = governed(registry).find(ListedQuery(skip=1, limit=2, owner="ann"), "ctr")
    assert ([state.name for state in states], total) == (["ctr_3", "ctr_5"], 4)
    assert found(registry, "ctr", tags=("t0", "t1"), owner="bob") == ["ctr_0", "ctr_4", "ctr_6"]
    assert found(registry, "ctr", status="active") == []


def test_what_finds_nothing_suggests_the_nearest_word(registry):
    governed(registry).create(record("user_clicks_7d"), author="ann")
    governance = governed(registry)
    assert governance.near("user clcks") == "; did you mean 'clicks'?"
    assert governance.near("user zzzz") == ""
    assert governance.near("user") == ""


# --- against a search that reads everything -------------------------------------------------

WORDS = ["user", "ctr", "ctr_7d", "Ctr", "클릭률", "user-ctr", "7d", "use", "u"]
texts = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
names = st.lists(st.sampled_from(["user", "ctr", "7d", "spend", "u"]), min_size=1, max_size=3)
records = st.lists(
    st.builds(
        record,
        names.map("_".join).map(lambda name: f"f_{name}"),
        description=texts,
        owner=st.sampled_from([None, "user", "ads team"]),
        tags=st.lists(st.sampled_from(WORDS), max_size=2, unique=True).map(tuple),
        feature_type=st.sampled_from(["raw", "derived"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda made: made.name,
)
changes = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(["description", "deprecate", "activate", "tags"]),
        texts,
    ),
    max_size=4,
)
queries = st.builds(
    ListedQuery,
    feature_type=st.sampled_from([None, "raw"]),
    status=st.sampled_from([None, "draft", "active"]),
    owner=st.sampled_from([None, "user"]),
    tags=st.lists(st.sampled_from(WORDS), max_size=1).map(tuple),
    skip=st.integers(0, 2),
    limit=st.sampled_from([None, 1, 5]),
)


def parts(text):
    folded = unicodedata.normalize("NFKC", text.casefold())
    return [re.findall(r"[^\W_]+", chunk) for chunk in folded.split()]


def standing(word, text):
    """2 where a word stands whole in a text, 1 where something begins with it, else 0."""
    best = 0
    for pieces in parts(text):
        for start in range(len(pieces)):
            rest = "_".join(pieces[start:])
            tails = [rest, pieces[start]]
            if re.search("[가-힣]", pieces[start]):
                tails += [pieces[start][at:] for at in range(1, len(pieces[start]))]
            best = max([best, *(2 * (t == word) or t.startswith(word) for t in tails)])
    return best


def naive(registry, project, text, query):
    head = registry.head(project)
    keys = [entry.record for entry in head.features.values()]
    records = registry.get_many(project, FeatureRecord, keys)
    words = ["_".join(pieces) for pieces in parts(text) if pieces]
    hits = []
    for name, entry in head.features.items():
        made = records[entry.record]
        fields = {
            "name": [name],
            "tags": made.tags,
            "description": [made.description],
            "columns": (),
            "owner": [made.owner or ""],
        }
        counts = [
            {f: max((standing(w, t) for t in fields[f]), default=0) for f in fields} for w in words
        ]
        if not all(any(count.values()) for count in counts):
            continue
        wanted = {**query.equal}
        status = wanted.pop("status", entry.status)
        if status != entry.status or any(getattr(made, f) != v for f, v in wanted.items()):
            continue
        if query.tags and not set(query.tags) & set(made.tags):
            continue
        whole = 4 * WEIGHTS["name"] * sum(word == name for word in set(words))
        score = sum(
            WEIGHTS[f] * (0, 1, 3)[count[f]]
            for word, count in dict(zip(words, counts, strict=True)).items()
            for f in fields
        )
        hits.append((-score - whole, STATES.index(entry.status), len(name), name))
    ranked = [name for *_, name in sorted(hits)]
    end = None if query.limit is None else query.skip + query.limit
    return ranked[query.skip : end], len(ranked)


def change(governance, name, what, text):
    status = governance.get(name).entry.status
    if status == "deprecated":
        return
    if what == "description":
        governance.update(name, {"description": text}, author="ann")
    elif what == "tags":
        governance.update(name, {"tags": tuple(text.split())}, author="ann")
    elif what == "deprecate":
        governance.set_status(name, "deprecated", author="ann")
    elif status == "draft":
        governance.set_status(name, "active", author="ann")


@pytest.mark.every_registry
def test_it_finds_what_a_search_through_everything_finds(registry):
    projects = (f"p{number}" for number in range(100))

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(records, changes, st.lists(st.tuples(texts.filter(str.strip), queries), min_size=3))
    def check(made, changed, asked):
        project = next(projects)
        governance = governed(registry, project)
        governance.create_many(made, author="ann")
        for number, what, text in changed:
            change(governance, made[number % len(made)].name, what, text)
        for text, query in asked:
            states, total = governance.find(query, text)
            assert ([s.name for s in states], total) == naive(registry, project, text, query)

    check()
