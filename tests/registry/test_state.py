import pytest

from headwater.definitions.service import FeatureRef
from headwater.errors import NotFoundError, StoreError
from headwater.registry.kinds import FeatureVersion, Revision
from headwater.registry.state import (
    load_definitions,
    load_revisions,
    load_schemas,
    load_versions,
    resolve,
    revision_definitions,
)
from registry.samples import COLUMNS, analyze, feature, service, view

pytestmark = pytest.mark.every_registry


def project(expression="sum(x)"):
    return analyze(
        [
            view("ads", feature("clicks", expression), feature("views", "count(x)"), ttl="1d"),
            view("rates", feature("rate", "clicks / views", window=None), source=None),
        ],
        services=[service("ranker", "rate")],
    )


@pytest.fixture
def head(registry, apply):
    apply(project())
    apply(project("avg(x)"))
    return registry.head("demo")


def test_definitions_come_back_as_they_were_applied(registry, head):
    wanted, found = project("avg(x)"), load_definitions(registry, "demo")
    assert dict(found.entities) == wanted.entities
    assert dict(found.sources) == wanted.sources
    assert dict(found.views) == {name: made.view for name, made in wanted.views.items()}
    assert dict(found.services) == wanted.services
    assert load_definitions(registry, "demo", head) == found
    assert load_definitions(registry, "nobody").objects() == []


def test_revisions_and_schemas_come_with_them(registry, head):
    found = load_revisions(registry, "demo")
    assert {name: body.revision for name, body in found.items()} == {
        name: made.revision for name, made in project("avg(x)").views.items()
    }
    assert load_schemas(registry, "demo", head) == {"events": COLUMNS}


def test_an_old_revision_comes_with_all_that_it_reads(registry, head):
    old = project().views["rates"].revision
    definitions, schemas = revision_definitions(registry, "demo", old)
    analyzed = analyze([definitions.views["ads"], definitions.views["rates"]])
    assert analyzed.views["rates"].revision == old
    assert list(definitions.entities) == ["user"]
    assert schemas == {"events": COLUMNS}
    with pytest.raises(NotFoundError, match="has no revision 'none'"):
        revision_definitions(registry, "demo", "none")


def test_a_reference_follows_the_current_version(head):
    found = resolve(head, FeatureRef("clicks"))
    assert (found.version, found.view, found.column) == ("2.0.0", "ads", "clicks")
    assert found.revision == project("avg(x)").views["ads"].revision
    assert resolve(head, FeatureRef("ads:clicks")) == found


def test_a_pinned_reference_stays(head):
    old = project().views["ads"].revision
    for text in ("clicks@1.0.0", "ads:clicks@1.0.0", "clicks@1.0"):
        found = resolve(head, FeatureRef(text))
        assert (found.version, found.revision) == ("1.0.0", old)


def test_a_sibling_is_read_where_it_was_until_its_new_home_is_filled(head):
    found = resolve(head, FeatureRef("views"))
    assert found.revision == project("avg(x)").views["ads"].revision
    assert found.earlier == (project().views["ads"].revision,)


def test_what_a_revision_read_comes_back_with_the_age_and_defaults_of_then(registry, apply):
    """They define the values of what reads it, though not those of its own revision."""

    def aged(ttl):
        ads = view("ads", feature("a"), ttl=ttl)
        rates = view("rates", feature("r", "a * 2", window=None), source=None)
        return analyze([ads, rates])

    for ttl in (None, "1d"):
        apply(aged(ttl))
    for ttl in (None, "1d"):
        wanted = aged(ttl).views["rates"].revision
        definitions, _ = revision_definitions(registry, "demo", wanted)
        again = analyze([definitions.views["ads"], definitions.views["rates"]])
        assert again.views["rates"].revision == wanted


def test_the_columns_of_a_source_are_those_seen_last(registry, apply):
    def seen(columns, *names):
        made = analyze([view(name, feature(f"f_{name}")) for name in names])
        for found in made.views.values():
            object.__setattr__(found, "columns", columns)
        return made

    apply(seen({"x": "float64"}, "two"))
    apply(seen({"x": "float64", "y": "int64"}, "one", "two"))
    assert load_schemas(registry, "demo") == {"events": {"x": "float64", "y": "int64"}}


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("click", "no feature 'click'; did you mean 'clicks'?"),
        ("rates:clicks", "'rates:clicks': feature 'clicks' belongs to view 'ads', not 'rates'"),
        ("add:clicks", "belongs to view 'ads', not 'add'; did you mean 'ads'?"),
        ("clicks@3.0.0", "feature 'clicks' has no version '3.0.0' (versions: 1.0.0, 2.0.0)"),
        ("clicks@latest", "feature 'clicks' has no version 'latest' (versions: 1.0.0, 2.0.0)"),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_there_is(head, ref, message):
    with pytest.raises(NotFoundError) as caught:
        resolve(head, FeatureRef(ref))
    assert message in str(caught.value)


def test_a_removed_feature_is_not_found_and_not_suggested(registry, apply):
    apply(project())
    apply(analyze([view("ads", feature("views", "count(x)"))]))
    head = registry.head("demo")
    with pytest.raises(NotFoundError, match=r"'clicks' was removed; its last version was 1\.0\.0"):
        resolve(head, FeatureRef("clicks"))
    with pytest.raises(NotFoundError, match=r"no feature 'click'$"):
        resolve(head, FeatureRef("click"))


def test_only_the_last_versions_are_listed(registry, apply):
    for n in range(14):
        apply(analyze([view("ads", feature("a", f"sum(x + {n})"))]))
    with pytest.raises(NotFoundError, match=r"\(versions: 4 older, 5\.0\.0, .*, 14\.0\.0\)"):
        resolve(registry.head("demo"), FeatureRef("a@99.0.0"))


def test_versions_are_listed_newest_first(registry, head):
    found = load_versions(registry, "demo", "clicks")
    assert [version.version for _, version in found] == ["2.0.0", "1.0.0"]
    assert [entry.since for entry, _ in found] == [2, 1]
    assert [version.definition["expression"] for _, version in found] == ["avg(x)", "sum(x)"]
    with pytest.raises(NotFoundError, match="no feature 'click'; did you mean 'clicks'"):
        load_versions(registry, "demo", "click")


def test_a_name_without_its_content_is_a_store_error(registry, head):
    registry.delete("demo", Revision, [project("avg(x)").views["ads"].revision])
    with pytest.raises(StoreError, match="revision 'ads' is named, but its content"):
        load_revisions(registry, "demo")
    registry.delete("demo", FeatureVersion, [head.features["clicks"].versions["1.0.0"].object])
    with pytest.raises(StoreError, match=r"feature_version '1\.0\.0' is named"):
        load_versions(registry, "demo", "clicks")
