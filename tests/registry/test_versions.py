import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DefinitionError, RefusedError
from headwater.registry.head import FeatureEntry, VersionEntry
from headwater.registry.versions import (
    Wanted,
    check_wanted,
    is_rollback,
    judge,
    known_version,
    next_version,
    parse_version,
    rollback_name,
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


NUMBERS = st.integers(0, 3)
IDENTIFIERS = st.sampled_from(["0", "1", "2", "10", "a", "b", "rc", "-", "1a", "A"])
PRE = st.lists(IDENTIFIERS, max_size=3).map(lambda parts: "-" + ".".join(parts) if parts else "")
VERSIONS = st.builds("{}.{}.{}{}".format, NUMBERS, NUMBERS, NUMBERS, PRE)
BUMPS = st.sampled_from(["patch", "minor", "major"])


def entry(after=None, since=1):
    return VersionEntry("key", "revision", "column", since, after=after)


def is_before(one, other):
    """Precedence as semver.org words it, point 11, by another way than the sort key."""
    numbers = [[int(n) for n in text.partition("-")[0].split(".")] for text in (one, other)]
    if numbers[0] != numbers[1]:
        return numbers[0] < numbers[1]
    first, second = ([p for p in text.partition("-")[2].split(".") if p] for text in (one, other))
    if not first or not second:
        return bool(first) and not second
    for a, b in zip(first, second, strict=False):
        if a == b:
            continue
        if a.isdecimal() and b.isdecimal():
            return int(a) < int(b)
        if a.isdecimal() or b.isdecimal():
            return a.isdecimal()
        return a < b
    return len(first) < len(second)


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
        (["1.2.3", "2.0.0-rc.1"], "minor", "2.0.0"),
        (["1.2.3", "2.0.0-rc.1"], "major", "2.0.0"),
        (["1.2.3", "1.3.0-rc.1"], "major", "2.0.0"),
        (["1.2.3", "1.3.0-rc.1"], "minor", "1.3.0"),
        (["1.2.3", "1.2.4-rc.1"], "minor", "1.3.0"),
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


@given(VERSIONS, VERSIONS)
def test_precedence_is_that_of_semver(one, other):
    assert (parse_version(one) < parse_version(other)) == is_before(one, other)
    assert (parse_version(one) == parse_version(other)) == (one == other)


@given(VERSIONS)
def test_every_version_prints_as_it_was_written(text):
    assert str(parse_version(text)) == text


@given(NUMBERS, NUMBERS, PRE)
def test_two_numbers_mean_a_patch_of_zero(major, minor, pre):
    assert parse_version(f"{major}.{minor}{pre}") == parse_version(f"{major}.{minor}.0{pre}")


@given(st.lists(VERSIONS, min_size=1, max_size=6, unique=True), BUMPS)
def test_the_next_version_is_a_release_above_all_that_is_big_enough(existing, bump):
    made = next_version(existing, bump)
    assert parse_version(made).is_release
    assert all(parse_version(text) < parse_version(made) for text in existing)
    known = dict.fromkeys(existing, entry())
    check_wanted("f", known, Wanted(made, "text"), bump)
    sizes = [parse_version(next_version(existing, b)) for b in ("patch", "minor", "major")]
    assert sizes == sorted(sizes)


@given(st.lists(VERSIONS, min_size=1, max_size=6, unique=True), VERSIONS, BUMPS)
def test_a_number_is_accepted_exactly_if_it_is_above_and_big_enough(existing, given_, bump):
    known = dict.fromkeys(existing, entry())
    last = max(existing, key=parse_version)
    above = is_before(last, given_)
    core = [int(n) for n in given_.partition("-")[0].split(".")]
    enough = core >= [int(n) for n in next_version(existing, bump).split(".")]
    for deserved, force, accepted in (
        (bump, False, above and enough),
        (bump, True, above),
        (None, False, above),
    ):
        wanted = Wanted(given_, "text", force=force)
        if accepted:
            check_wanted("f", known, wanted, deserved)
        else:
            with pytest.raises(RefusedError, match=r"is not above|is too small"):
                check_wanted("f", known, wanted, deserved)


class Life:
    """Versions as they come about: raised or rolled back to, one after the other."""

    def __init__(self):
        self.order = ["1.0.0"]
        self.versions = {"1.0.0": entry(since=1)}

    def raise_by(self, bump):
        made = next_version(self.versions, bump)
        self.versions[made] = entry(since=len(self.order) + 1)
        self.order.append(made)

    def roll_back_to(self, target):
        made = rollback_name(target, self.versions)
        self.versions[made] = entry(after=self.order[-1], since=len(self.order) + 1)
        self.order.append(made)


@given(st.lists(BUMPS | st.integers(0, 9), max_size=12), st.randoms(use_true_random=False))
def test_versions_sort_as_they_came_about_rollbacks_included(steps, chance):
    life = Life()
    for step in steps:
        if isinstance(step, str):
            life.raise_by(step)
        elif len(life.order) > 1:
            life.roll_back_to(life.order[step % (len(life.order) - 1)])
    names = list(life.versions)
    chance.shuffle(names)
    assert sort_versions({name: life.versions[name] for name in names}) == life.order
    assert len(set(life.order)) == len(life.order)
