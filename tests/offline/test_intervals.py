"""Spans: painting over, joining, what is missing; against a brute-force model."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headwater.offline.intervals import Interval, Span, joined, missing, paint

points = st.integers(0, 12)
strokes = st.tuples(points, points, st.sampled_from("ab")).filter(lambda s: s[0] < s[1])


def as_model(spans) -> dict[int, str]:
    """The snapshot of each unit of time."""
    return {t: span.snapshot for span in spans for t in range(span.start, span.end)}


@given(st.lists(strokes, max_size=8))
def test_painting_replaces_what_it_covers(written):
    spans: list[Span] = []
    model: dict[int, str] = {}
    for start, end, snapshot in written:
        spans = paint(spans, Span(start, end, snapshot))
        model.update(dict.fromkeys(range(start, end), snapshot))
    assert as_model(spans) == model
    for before, after in itertools.pairwise(spans):
        assert before.end <= after.start
        assert before.end < after.start or before.snapshot != after.snapshot


@given(st.lists(strokes, max_size=8), strokes)
def test_missing_is_what_the_snapshot_does_not_cover(written, wanted):
    spans: list[Span] = []
    for stroke in written:
        spans = paint(spans, Span(*stroke))
    start, end, snapshot = wanted
    model = as_model(spans)
    found = missing(spans, Interval(start, end), snapshot)
    covered = {t for gap in found for t in range(gap.start, gap.end)}
    assert covered == {t for t in range(start, end) if model.get(t) != snapshot}
    assert all(before.end < after.start for before, after in itertools.pairwise(found))


def test_neighbours_of_one_snapshot_are_joined():
    assert joined([Span(2, 3, "a"), Span(0, 2, "a"), Span(3, 4, "b")]) == [
        Span(0, 3, "a"),
        Span(3, 4, "b"),
    ]
