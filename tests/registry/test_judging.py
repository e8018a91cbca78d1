"""Comparisons in plans: what they decide, and that every store keeps them with the version."""

import pytest
from msgspec.structs import replace

from headwater.errors import RefusedError
from headwater.registry.apply import apply_plan
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.comparisons import Comparison, Difference, Example, Sample
from headwater.registry.kinds import FeatureVersion
from headwater.registry.plan import decode_plan, encode_plan
from headwater.registry.versions import Wanted
from registry.samples import analyze, feature, view

SAMPLE = Sample({"events": "digest"}, keys=200, rows=1000, first=1, last=86_400_000_000)
EQUAL = Difference(rows=1000, differing=0)
DIFFERENT = Difference(
    rows=1000,
    differing=412,
    nulls_gained=3,
    max_abs=0.31,
    mean_abs=0.02,
    max_rel=0.5,
    mean_rel=0.25,
    examples=(Example({"user_id": "u1"}, 1, 0.5, 0.81), Example({"user_id": "ü"}, -1, None, -0.0)),
)


def project(expression="sum(x)", **fields):
    return analyze([view("ads", feature("a", expression, **fields))])


class Compared:
    """Finds what it was told to find."""

    def __init__(self, difference=None, skipped=""):
        self.asked = []
        self._found = (difference, skipped)

    def __call__(self, desired, changed):
        self.asked += [one.feature.name for one in changed]
        difference, skipped = self._found
        sample = None if difference is None else SAMPLE
        return {
            one.feature.name: Comparison(one.version, sample, difference, skipped)
            for one in changed
        }


@pytest.fixture
def plan(registry):
    apply_plan(registry, build_plan(registry, "demo", project()), author="ann")

    def made(desired, compare, **numbers):
        wanted = {name.partition("_")[0]: number for name, number in numbers.items()}
        return build_plan(registry, "demo", desired, numbers=wanted, compare=compare)

    return made


@pytest.mark.every_registry
@pytest.mark.parametrize("difference", [EQUAL, DIFFERENT])
def test_a_comparison_is_kept_with_the_version_to_the_last_bit(plan, registry, difference):
    found = plan(project("sum(x) + 0"), Compared(difference))
    apply_plan(registry, decode_plan(encode_plan(found)), author="ann")
    entry = registry.head("demo").features["a"]
    kept = registry.get("demo", FeatureVersion, entry.versions[entry.current].object)
    assert (
        kept.comparison == found.features[0].comparison == Comparison("1.0.0", SAMPLE, difference)
    )
    assert (kept.bump, entry.current) == (
        ("patch", "1.0.1") if difference is EQUAL else ("major", "2.0.0")
    )
    # The history names the version, which holds it.
    assert [
        change.comparison for commit in history(registry, "demo") for change in commit.features
    ] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("compared", "fields", "bump", "reason"),
    [
        (Compared(EQUAL), {}, "patch", "none of 1,000 sampled values differs: expression"),
        (
            Compared(EQUAL),
            {"default": 0},
            "minor",
            "none of 1,000 sampled values differs: expression; served otherwise: default",
        ),
        (Compared(DIFFERENT), {}, "major", "its values change: expression"),
        (Compared(skipped="no rows"), {}, "major", "its values change: expression"),
        (None, {}, "major", "its values change: expression"),
    ],
)
def test_the_bump_that_a_comparison_makes(plan, compared, fields, bump, reason):
    (change,) = plan(project("sum(x) + 0", **fields), compared).features
    assert change.bump == bump
    assert change.reason == reason


def test_only_values_of_one_type_are_compared(plan):
    compared = Compared(EQUAL)
    (change,) = plan(project("sum(x) + 0", dtype="int64"), compared).features
    assert (change.bump, compared.asked) == ("major", [])
    for same in (project(), project(default=1), project(description="x")):
        plan(same, compared)
    assert compared.asked == []


def test_a_revision_with_other_data_is_new_whatever_the_number(plan):
    found = plan(project("sum(x) + 0"), Compared(EQUAL))
    assert [(c.action, c.reason) for c in found.revisions] == [
        ("new", "changed a"),
        ("retired", "nothing reads it"),
    ]
    versions = found.head.features["a"].versions
    assert versions["1.0.1"].revision != versions["1.0.0"].revision


def test_what_was_asked_for_is_held_against_the_values(plan):
    with pytest.raises(RefusedError) as said:
        plan(project("sum(x) + 0"), Compared(DIFFERENT), a=Wanted("1.1.0", "text"))
    assert str(said.value) == (
        "feature 'a': field 'version': '1.1.0' is too small: this change deserves 2.0.0 or more; "
        "412 of 1,000 sampled values differ, at most by 0.31 (force it where you know better)"
    )
    with pytest.raises(RefusedError, match="or more; not compared: no rows"):
        plan(project("sum(x) + 0"), Compared(skipped="no rows"), a=Wanted("1.1.0", "text"))
    forced = plan(project("sum(x) + 0"), Compared(DIFFERENT), a=Wanted("1.0.1", "t", force=True))
    assert forced.features[0].new_version == "1.0.1"
    patch = plan(project("sum(x) + 0"), Compared(EQUAL), a=Wanted("1.0.1", "text"))
    assert (patch.features[0].new_version, patch.features[0].bump) == ("1.0.1", "patch")
    higher = plan(project("sum(x) + 0"), Compared(EQUAL), a=Wanted("3.0.0", "text"))
    assert (higher.features[0].new_version, higher.features[0].bump) == ("3.0.0", "patch")


def test_a_plan_shows_what_differs(plan):
    text = str(plan(project("sum(x) + 0"), Compared(DIFFERENT)))
    assert (
        "    412 of 1,000 sampled values differ, at most by 0.31 (0.02 on average; 50.00% of the "
        "value at most, 25.00% on average; 3 became null)\n"
        "        200 keys of events, 1970-01-01 00:00:00.000001Z to 1970-01-02 00:00:00Z\n"
        '        user_id="u1" at 1970-01-01 00:00:00.000001Z: 0.5 -> 0.81\n'
        '        user_id="ü" at 1969-12-31 23:59:59.999999Z: null -> -0.0\n'
    ) in text
    assert "not compared: no rows\n" in str(
        plan(project("sum(x) + 0"), Compared(skipped="no rows"))
    )


def test_years_without_a_date_are_shown_too(plan):
    far = replace(DIFFERENT, examples=(Example({}, 2**62, 1, 2),))
    assert f"{2**62} us: 1 -> 2" in str(plan(project("sum(x) + 0"), Compared(far)))
