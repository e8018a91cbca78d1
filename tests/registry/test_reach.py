"""Which revisions something can reach, on heads made by hand."""

from headwater import FeatureService
from headwater.registry.head import FeatureEntry, Head, RevisionEntry, VersionEntry, ViewEntry
from headwater.registry.reach import reachable, with_inputs

NOW, DAY = 100, 1


def version(revision, *earlier):
    return VersionEntry("", revision, "x", 1, earlier)


def retired(at, *inputs):
    return RevisionEntry("v", 1, inputs=inputs, retired=2, retired_at=at)


HEAD = Head(
    generation=3,
    views={"v": ViewEntry("", "now")},
    features={
        "x": FeatureEntry(
            "v",
            "4.0.0",
            {
                "1.0.0": version("lost"),
                "2.0.0": version("pinned", "home"),
                "3.0.0": version("warm", "empty", "former", "older"),
                "4.0.0": version("now", "home"),
            },
        )
    },
    revisions={
        "now": RevisionEntry("v", 1),
        "home": retired(1),
        "pinned": retired(1),
        "warm": retired(99, "x@2.0.0", "gone@1.0.0"),
        "empty": retired(1),
        "former": retired(1),
        "older": retired(1),
        "lost": retired(1),
        "unknown": RevisionEntry("v", 1, retired=2),
    },
)
ALL = set(HEAD.revisions)


def reach(*services, since=NOW - DAY, empty=(), in_use=()):
    return reachable(HEAD, services, since, lambda name: name not in empty, in_use)


def test_what_is_read_and_what_a_rollback_may_lead_to():
    assert reach(since=NOW) == {"now"}
    assert reach() == {"now", "warm", "pinned"}
    assert reach(FeatureService("s", ["x@1.0"]), since=NOW) == {"now", "lost"}
    assert reach(since=0) == ALL - {"unknown"}


def test_the_home_before_of_what_is_empty():
    """The first one that holds values, of each version that is kept."""
    assert reach(empty={"warm", "empty"}) == {"now", "warm", "pinned", "former"}
    assert reach(empty={"now"}, since=NOW) == {"now", "home"}
    assert reach(empty=ALL, since=NOW) == {"now"}


def test_what_is_in_use():
    assert reach(since=NOW, in_use=["lost", "of another project"]) == {"now", "lost"}


def test_inputs_of_inputs():
    entries = {**HEAD.revisions, "pinned": retired(1, "x@1.0.0")}
    assert with_inputs(["warm", ""], entries, HEAD.features) == {"warm", "pinned", "lost"}
