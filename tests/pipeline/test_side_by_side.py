"""Runs of several views share a reader: each may look at a source while another checks its own."""

from __future__ import annotations

from types import SimpleNamespace

from headwater.compute.reading import Reader


class Engine:
    """Has one more source looked at whenever one is checked, as another thread may."""

    def __init__(self):
        self.checked = []
        self.reader = Reader(self, project=None)

    def scan(self, source):
        return source.name

    def check_unchanged(self, scan):
        self.checked.append(scan)
        self.reader.scan(SimpleNamespace(name=f"{scan}, later"))


def test_a_source_is_looked_at_while_others_are_checked():
    engine = Engine()
    for name in ("a", "b"):
        engine.reader.scan(SimpleNamespace(name=name))
    engine.reader.check_sources()
    assert engine.checked == ["a", "b"]
    assert set(engine.reader.scans) == {"a", "b", "a, later", "b, later"}
