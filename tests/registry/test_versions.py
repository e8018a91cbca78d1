import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DefinitionError
from headwater.registry.head import FeatureEntry, VersionEntry
from headwater.registry.versions import (
    is_rollback,
    judge,
    known_version,
    next_version,
    parse_version,
    sort_versions,
)

ORDERED = [
    "0.9.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.9.0",
    "1.10.0",
    "2.0.0",
]


def entry(after=None, since=1):
    return VersionEntry("key", "revision", "column", since, after=after)


@given(st.permutations(ORDERED))
def test_versions_sort_by_number_not_by_text(names):
    assert sorted(names, key=parse_version) == ORDERED
    assert sort_versions(dict.fromkeys(names, entry())) == ORDERED


@given(st.sampled_from(ORDERED))
def test_a_version_prints_as_it_was_written(text):
    assert str(parse_version(text)) == text


def test_two_numbers_are_read_as_three():
    assert str(parse_version("1.0")) == "1.0.0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "v1.0.0",
        "1.0.0.0",
        "01.0.0",
        "1.0.0-",
        "1.0.0-01",
        "1.0.0_rollback",
        "1.0.0 ",
        "\u0661.0.0",
    ],
)
def test_anything_else_is_no_version(text):
    with pytest.raises(DefinitionError, match=r"as in '1\.2\.0'"):
        parse_version(text)


@pytest.mark.parametrize(
    ("existing", "bump", "expected"),
    [
        ([], "major", "1.0.0"),
        ([], "patch", "1.0.0"),
        (["1.0.0"], "major", "2.0.0"),
        (["1.0.0"], "minor", "1.1.0"),
        (["1.0.0"], "patch", "1.0.1"),
        (["1.9.0", "1.10.0"], "minor", "1.11.0"),
        (["1.2.3", "2.0.0-rc.1"], "patch", "2.0.0"),
        (["2.0.0", "1.0.0", "1.0.0_rollback"], "minor", "2.1.0"),
    ],
)
def test_the_next_version_is_above_every_existing_one(existing, bump, expected):
    assert next_version(existing, bump) == expected


@pytest.mark.parametrize(
    ("data", "serving", "rules", "expected"),
    [
        (True, True, True, "major"),
        (True, True, False, "major"),
        (False, True, True, "minor"),
        (False, True, False, "minor"),
        (False, False, True, "patch"),
        (False, False, False, None),
    ],
)
def test_the_bump_that_a_change_deserves(data, serving, rules, expected):
    assert judge(data=data, serving=serving, rules=rules) == expected


def test_a_rollback_sorts_behind_the_version_that_it_replaced():
    versions = {
        "2.1.0": entry(),
        "2.0.0_rollback": entry(after="2.0.0_rollback2", since=9),
        "1.0.0_rollback": entry(after="2.0.0", since=4),
        "2.0.0_rollback2": entry(after="1.0.0_rollback", since=5),
        "2.0.0": entry(),
        "1.0.0": entry(),
    }
    assert sort_versions(versions) == [
        "1.0.0",
        "2.0.0",
        "1.0.0_rollback",
        "2.0.0_rollback2",
        "2.0.0_rollback",
        "2.1.0",
    ]


def test_only_names_of_rollbacks_are_rollbacks():
    assert is_rollback("1.0.0_rollback")
    assert is_rollback("1.0.0_rollback2")
    assert not is_rollback("1.0.0")
    assert not is_rollback("_rollback")


def test_a_version_is_found_by_its_short_form_too():
    feature = FeatureEntry("view", "1.0.0", {"1.0.0": entry(), "1.0.0_rollback": entry()})
    assert known_version(feature, "1.0") == "1.0.0"
    assert known_version(feature, "1.0.0_rollback") == "1.0.0_rollback"
    assert known_version(feature, "1.1") is None
    assert known_version(feature, "latest") is None
