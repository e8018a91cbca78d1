"""Full text over the features of a project: an index of words, derived from its head.

The head says which record and version of each feature is current, and both are immutable, so
whoever has the head has all that is searched. The index is made of it in memory, and brought to
the next head by the features that this one touched: it is never behind, and the same on every
store.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest

from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import near_miss
from headwater.registry.head import FeatureEntry, Head
from headwater.registry.kinds import FeatureVersion
from headwater.registry.listed import ListedQuery
from headwater.registry.records import FeatureRecord
from headwater.registry.store import Registry
from headwater.registry.words import asked_of, check_words, terms_of

FIELDS = ("owner", "columns", "description", "tags", "name")
"""What is searched; a word found in one counts more than in all before it."""
_BEGINS = {field: 1 << (2 * place) for place, field in enumerate(FIELDS)}
_IS = {field: 3 * bit for field, bit in _BEGINS.items()}
_IS_THE_NAME = 4 * _BEGINS["name"]
_ANY_BEGINS = sum(_BEGINS.values())
_STATES = {"active": 0, "draft": 1, "deprecated": 2, "archived": 3}
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class _Found:
    """A feature in the index: what filters ask for, and its words with where they stand."""

    feature_type: str
    status: str
    owner: str | None
    tags: frozenset[str]
    terms: Mapping[str, int]

    def meets(self, query: ListedQuery) -> bool:
        equal = query.equal.items()
        return all(getattr(self, name) == value for name, value in equal) and (
            not query.tags or not self.tags.isdisjoint(query.tags)
        )


class FeatureSearch:
    """The words of a project's features; may be used by several threads."""

    def __init__(self, registry: Registry, project: str) -> None:
        self._registry = registry
        self._project = project
        self._one = threading.Lock()
        self._generation = 0
        self._features: dict[str, _Found] = {}
        self._places: dict[str, dict[str, int]] = {}
        self._sorted: list[str] = []

    def find(self, head: Head, text: str, query: ListedQuery) -> tuple[tuple[str, ...], int]:
        """The names of one page of the features that hold every word, the best first, and how
        many there are on all pages.

        A word counts by where it stands: in the name, a tag, the description, a column that is
        read, the owner; whole before as a beginning. Among equals active features come first,
        then short names. Raises RequestError where `text` holds no word.
        """
        words = check_words(text)
        with self._one:
            self._follow(head)
            scores = self._scores(words)
            chosen = [name for name in scores if self._features[name].meets(query)]
            end = len(chosen) if query.limit is None else query.skip + query.limit
            best = nsmallest(end, chosen, key=lambda name: self._rank(name, scores[name]))
        return tuple(best[query.skip :]), len(chosen)

    def near(self, head: Head, text: str) -> str:
        """`; did you mean '...'?` with the nearest known word in place of each unknown one."""
        words = check_words(text)
        with self._one:
            self._follow(head)
            known = [term for term in self._sorted if "_" not in term]
            missed = [word for word in words if not self._standing(word)]
        return next((hint for word in missed if (hint := near_miss(word, known))), "")

    def _rank(self, name: str, score: int) -> tuple[int, int, int, str]:
        return -score, _STATES[self._features[name].status], len(name), name

    def _scores(self, words: Iterable[str]) -> dict[str, int]:
        """The features that hold every word, with what these count."""
        scores: dict[str, int] | None = None
        for word in words:
            found = self._standing(word)
            if scores is not None:
                found = {n: score + found[n] for n, score in scores.items() if n in found}
            scores = found
        return scores or {}

    def _standing(self, word: str) -> dict[str, int]:
        """Where a word stands, by feature: a bit for each field, two where it stands whole."""
        found = dict(self._places.get(word, ()))
        first = bisect_left(self._sorted, word)
        last = bisect_left(self._sorted, word + _LAST, first)
        for term in self._sorted[first:last]:
            for name, place in self._places[term].items():
                found[name] = found.get(name, 0) | (place & _ANY_BEGINS)
        return found

    # --- following the head -----------------------------------------------------------------

    def _follow(self, head: Head) -> None:
        """Bring the index to a head; one that is older than it stays unread."""
        if head.generation <= self._generation:
            return
        changed = {
            name: entry
            for name, entry in head.features.items()
            if entry.touched > self._generation or name not in self._features
        }
        fresh = self._loaded(head, changed)
        before = {term for name in fresh if name in self._features for term in self._terms(name)}
        after = {term for found in fresh.values() for term in found.terms}
        new = [term for term in after if term not in self._places]
        for name, found in fresh.items():
            self._forget(name)
            self._features[name] = found
            for term, place in found.terms.items():
                self._places.setdefault(term, {})[name] = place
        if not before <= self._places.keys():
            self._sorted = [term for term in self._sorted if term in self._places]
        self._sorted += new
        self._sorted.sort()  # which is quick where but a few words stand behind sorted ones
        self._generation = head.generation

    def _terms(self, name: str) -> Iterable[str]:
        return self._features[name].terms

    def _forget(self, name: str) -> None:
        if name not in self._features:
            return
        for term in self._features.pop(name).terms:
            del self._places[term][name]
            if not self._places[term]:
                del self._places[term]

    def _loaded(self, head: Head, entries: Mapping[str, FeatureEntry]) -> dict[str, _Found]:
        records = self._registry.get_many(
            self._project, FeatureRecord, [entry.record for entry in entries.values()]
        )
        keys = {n: e.versions[e.current].object for n, e in entries.items() if e.view}
        versions = self._registry.get_many(self._project, FeatureVersion, keys.values())
        times = self._times(head, {entry.view for entry in entries.values()})
        return {
            name: _indexed(
                entry,
                records[entry.record],
                versions.get(keys.get(name, "")),
                times.get(entry.view, ()),
            )
            for name, entry in entries.items()
            if entry.record in records
        }

    def _times(self, head: Head, views: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The columns that hold the times of the rows which views read."""
        keys = {name: head.views[name].object for name in views if name in head.views}
        found = self._registry.get_many(self._project, FeatureView, keys.values())
        sources = self._registry.get_many(self._project, Source, head.sources.values())
        by_name = {name: sources[key] for name, key in head.sources.items() if key in sources}
        read = {name: found[key].source_name for name, key in keys.items() if key in found}
        return {
            name: _plain_times(by_name[source])
            for name, source in read.items()
            if source in by_name
        }


def _plain_times(source: Source) -> tuple[str, ...]:
    """Those that are columns, and not computed from some."""
    times = (source.event_time, source.available_at)
    return tuple(name for name in times if name is not None and name.isidentifier())


def _indexed(
    entry: FeatureEntry,
    record: FeatureRecord,
    version: FeatureVersion | None,
    times: tuple[str, ...],
) -> _Found:
    texts: dict[str, Iterable[str]] = {
        "name": (record.name,),
        "tags": record.tags,
        "description": (record.description,),
        "columns": (*version.columns, *times) if version is not None else (),
        "owner": (record.owner or "",),
    }
    terms: dict[str, int] = {}
    for field, parts in texts.items():
        for part in parts:
            for term in terms_of(part):
                terms[term] = terms.get(term, 0) | _IS[field]
    whole = asked_of(record.name)
    if len(whole) == 1:
        terms[whole[0]] |= _IS_THE_NAME
    return _Found(
        feature_type=record.feature_type,
        status=entry.status,
        owner=record.owner,
        tags=frozenset(record.tags),
        terms=terms,
    )
