"""Keys in order and what is not among them, against sets; whatever their pages are."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.online import sorted_keys
from headwater.online.sorted_keys import SortedKeys, merged, without

keys = st.lists(st.binary(max_size=2), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _small():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorted_keys, "_RUN_KEYS", 4)
        patched.setattr(sorted_keys, "_PAGE_KEYS", 2)
        yield


def pages(ordered, size):
    return iter([ordered[start : start + size] for start in range(0, len(ordered), size)])


@settings(max_examples=300)
@given(st.lists(keys, max_size=6))
def test_what_was_gathered_comes_in_order(batches):
    with closing(SortedKeys()) as gathered:
        for batch in batches:
            gathered.add(batch)
        found = [key for page in gathered.pages() for key in page]
    assert found == sorted(key for batch in batches for key in batch)


@settings(max_examples=300)
@given(st.sets(st.binary(max_size=2)), st.lists(keys, max_size=3), st.integers(1, 4))
def test_what_is_not_among_others(stored, seen, size):
    runs = [pages(sorted(run), size) for run in seen]
    found = [key for page in without(pages(sorted(stored), size), merged(runs)) for key in page]
    assert found == sorted(stored - {key for run in seen for key in run})


def test_nothing_waits_in_a_file_when_it_is_closed(tmp_path):
    gathered = SortedKeys(tmp_path)
    gathered.add([b"a", b"b", b"c", b"d", b"e"])
    gathered.close()
    assert list(gathered.pages()) == []
