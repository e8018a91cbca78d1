"""gc on the project that `init` makes."""

import json

import pytest

from cli.test_commands import EDIT, edit
from cli.test_govern import changing
from headwater.cli.collect import bytes_text

__all__ = ["changing"]
WINDOW = ("--set", "registry.rollback_days=0")


def test_gc_shows_and_then_removes(headwater, changing):
    result = headwater(*WINDOW, "gc")
    assert (result.code, result.out) == (0, "")
    assert result.err == "nothing to remove: all values can be reached\n"
    edit(changing, *EDIT)
    assert headwater("apply").code == headwater("materialize").code == 0
    assert headwater("gc").out == ""
    shown = headwater(*WINDOW, "gc")
    lines = shown.out.splitlines()
    assert lines[0].split() == [
        *("view", "revision", "versions", "unread_since", "rows", "online", "offline")
    ]
    assert len(lines) == 2
    assert "orders_7d@1.0.0" in lines[1]
    assert "1 revision can be removed: 0 B of offline files" in shown.err
    assert "its file keeps its size; 'headwater gc --yes' does it" in shown.err
    (found,) = json.loads(headwater(*WINDOW, "gc", "--json").out)
    assert found["rows"] > 0
    removed = headwater(*WINDOW, "gc", "--yes", "--json")
    assert json.loads(removed.out) == [found]
    assert "removed 1 revision" in removed.err
    assert headwater(*WINDOW, "gc", "--yes").out == ""
    refused = headwater("rollback", "orders_7d", "1.0.0")
    assert refused.code == 1
    assert "were removed by gc on" in refused.err


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB")],
)
def test_bytes_as_people_read_them(count, text):
    assert bytes_text(count) == text
