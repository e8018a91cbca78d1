"""The registry in MongoDB, or in a database that speaks its protocol, without transactions.

A generation of a project is one document: its commit and, while it is the latest, its head. Its
id is made of the project and the generation, so inserting it is the compare-and-set: the server
keeps ids unique, and of two writers of one generation it refuses the second. (An update with a
condition would do on MongoDB, but not on FerretDB 1, which reads first and writes then.) What the
head points to is immutable and written before.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar

import msgspec

from headwater.errors import NotFoundError, StoreError
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.fields import check_where, kept_values, order_of
from headwater.registry.head import Head, decode_head, encode_head
from headwater.registry.kinds import Commit, Kind, Stored, kind_of
from headwater.registry.listed import ListedFeature, ListedQuery, UsageGroup, UsageTotal
from headwater.registry.mongo_changed import complete, noted, select_changed
from headwater.registry.mongo_client import (
    DESCENDING,
    BulkWriteError,
    Client,
    Database,
    Document,
    DuplicateKeyError,
    PyMongoError,
    collection_of,
    database,
    new_client,
    set_up,
    shown_url,
    text_of,
    translated,
)
from headwater.registry.mongo_features import Rows, find, packed, totals, unpacked
from headwater.registry.mongo_usage import groups
from headwater.registry.store import another_generation, check_deletable

T = TypeVar("T")
_CHUNK = 500
_LARGEST = 16_000_000  # a document of MongoDB has 16 MiB, and this one other fields
_LARGE = 100_000  # from here on the text of a commit is kept compressed
_DUPLICATE = 11_000
_LATEST = [("generation", DESCENDING), ("key", DESCENDING)]


class MongoRegistry:
    """A registry at a URL as `mongodb://host/database`. It connects at first use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = threading.Lock()
        self._opened: tuple[Client, Database] | None = None
        self._projects: set[str] = set()
        self._listed: dict[str, tuple[int, Rows]] = {}

    @property
    def url(self) -> str:
        return shown_url(self._url)

    def __repr__(self) -> str:
        return f"MongoRegistry({self.url!r})"

    def put(self, project: str, objects: Iterable[Stored]) -> None:
        by_kind: dict[str, tuple[Kind[Any], dict[str, Document]]] = {}
        for item in objects:
            kind: Kind[Any] = kind_of(type(item))
            document = _document(project, kind, item)
            by_kind.setdefault(kind.name, (kind, {}))[1][document["_id"]] = document
        if not by_kind:
            return
        with self._connected() as found:
            self._make_project(found, project)
            for kind, documents in by_kind.values():
                _insert(found, kind, documents)

    def get(self, project: str, kind: type[T], key: str) -> T:
        found = self.get_many(project, kind, [key])
        if key not in found:
            raise NotFoundError(f"project '{project}' has no {kind_of(kind).name} '{key}'")
        return found[key]

    def get_many(self, project: str, kind: type[T], keys: Iterable[str]) -> dict[str, T]:
        known = kind_of(kind)
        documents: list[Document] = []
        with self._connected() as found:
            for ids in _chunks(project, keys):
                query = {"_id": {"$in": ids}}
                documents += found[collection_of(known)].find(query, {"key": 1, "body": 1})
        return {document["key"]: known.decode(text_of(document)) for document in documents}

    def list(
        self,
        project: str,
        kind: type[T],
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> tuple[T, ...]:
        known = kind_of(kind)
        wanted = {"project": project, **check_where(known, where)}
        if limit == 0:  # which means 'all' to MongoDB
            return ()
        query = {name: {"$eq": value} for name, value in wanted.items()}
        order = [(order_of(known), DESCENDING), ("key", DESCENDING)]
        with self._connected() as found:
            cursor = found[collection_of(known)].find(query, {"body": 1}).sort(order)
            documents = list(cursor.limit(limit or 0))
        return tuple(known.decode(text_of(document)) for document in documents)

    def replace(
        self, project: str, kind: type[T], objects: Iterable[T], keys: Iterable[str]
    ) -> None:
        self.put(project, objects)  # type: ignore[arg-type]
        self.delete(project, kind, keys)

    def delete(self, project: str, kind: type[Any], keys: Iterable[str]) -> int:
        check_deletable(kind_of(kind))
        count = 0
        with self._connected() as found:
            for ids in _chunks(project, keys):
                gone = found[collection_of(kind_of(kind))].delete_many({"_id": {"$in": ids}})
                count += gone.deleted_count
        return count

    def projects(self) -> tuple[str, ...]:
        with self._connected() as found:
            return tuple(sorted(document["project"] for document in found["projects"].find()))

    def head(self, project: str) -> Head:
        with self._connected() as found:
            latest = _whole(found, project, "head")
        return Head() if latest is None else decode_head(zlib.decompress(latest["head"]).decode())

    def generation(self, project: str) -> int:
        with self._connected() as found:
            return _generation_of(_latest(found, project))

    def compare_and_set_head(
        self,
        project: str,
        expected_generation: int,
        new_head: Head,
        commit: Commit,
        listed: Sequence[ListedFeature] = (),
    ) -> None:
        if not new_head.generation == commit.generation == expected_generation + 1:
            raise ValueError(f"the generation after {expected_generation} is the next number")
        with self._connected() as found:
            latest = _latest(found, project, "listed")
            current = _generation_of(latest)
            if current != expected_generation:
                raise another_generation(project, current, expected_generation)
            rows = packed(unpacked(latest), listed)
            document = _generation(project, new_head, commit, rows)
            self._make_project(found, project)
            _commit(found, document, expected_generation)
            with suppress(PyMongoError):  # it is done; the former head is only in the way
                former = {"_id": _id(project, str(expected_generation))}
                found[_COMMITS].update_one(former, {"$unset": {"head": "", "listed": ""}})

    def restore_head(
        self, project: str, head: Head, commit: Commit, listed: Sequence[ListedFeature] = ()
    ) -> None:
        if not head.generation == commit.generation > 0:
            raise ValueError("a head is restored with the commit that made it")
        document = _generation(project, head, commit, packed({}, listed))
        with self._connected() as found:
            latest = _latest(found, project)
            if _generation_of(latest):
                raise another_generation(project, _generation_of(latest), 0)
            self._make_project(found, project)
            _commit(found, document, 0)

    def find(self, project: str, query: ListedQuery) -> tuple[tuple[str, ...], int]:
        return find(self._rows(project).values(), query)

    def changed(self, project: str, query: ChangedQuery) -> tuple[tuple[ChangedRow, ...], int]:
        with self._connected() as found:
            return select_changed(found, project, query)

    def usage_totals(self, project: str, features: Iterable[str]) -> dict[str, UsageTotal]:
        with self._connected() as found:
            return totals(found, project, features)

    def usage_groups(
        self,
        project: str,
        features: Iterable[str] | None = None,
        *,
        since: int | None = None,
    ) -> Sequence[UsageGroup]:
        with self._connected() as found:
            return groups(found, project, features, since)

    def _rows(self, project: str) -> Rows:
        """What the latest generation lists; it is read once for each generation."""
        with self._connected() as found:
            known = self._listed.get(project)
            if known is None or known[0] != _generation_of(_latest(found, project)):
                document = _whole(found, project, "listed")
                known = self._listed[project] = (_generation_of(document), unpacked(document))
        return known[1]

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened[0].close()
                self._opened = None

    @contextmanager
    def _connected(self) -> Iterator[Database]:
        with translated(self.url):
            yield self._open()

    def _open(self) -> Database:
        opened = self._opened
        if opened is None:
            with self._opening:
                opened = self._opened
                if opened is None:
                    opened = self._opened = self._connect()
        return opened[1]

    def _connect(self) -> tuple[Client, Database]:
        client = new_client(self._url)
        try:
            found = database(client)
            set_up(found, complete)
        except BaseException:
            client.close()
            raise
        return client, found

    def _make_project(self, found: Database, project: str) -> None:
        if project not in self._projects:
            with suppress(DuplicateKeyError):
                found["projects"].insert_one({"_id": _id(project), "project": project})
            self._projects.add(project)


_COMMITS = collection_of(kind_of(Commit))


def _id(*parts: str) -> str:
    """Names as one text, so that no two lists of names make the same one."""
    return msgspec.json.encode(parts).decode()


def _chunks(project: str, keys: Iterable[str]) -> Iterator[list[str]]:
    wanted = iter([_id(project, key) for key in dict.fromkeys(keys)])
    while chunk := list(islice(wanted, _CHUNK)):
        yield chunk


def _document(project: str, kind: Kind[Any], item: Any) -> Document:
    """An object as it is kept. Raises StoreError for one that is too large."""
    key, body = kind.key(item), kind.encode(item)
    packed: str | bytes = body
    fields = kept_values(kind, item)
    if isinstance(item, Commit):
        fields |= noted(item)
        if len(body) > _LARGE:
            packed = zlib.compress(body.encode(), 1)
    size = len(packed if isinstance(packed, bytes) else packed.encode())
    _check_size(project, f"{kind.name} '{key}'", size)
    return {
        "_id": _id(project, key),
        "project": project,
        "key": key,
        **fields,
        "body": packed,
    }


def _generation(project: str, head: Head, commit: Commit, listed: bytes) -> Document:
    """A commit and the head that it makes; of a head's text, a tenth remains."""
    document = _document(project, kind_of(Commit), commit)
    text = zlib.compress(encode_head(head).encode())
    size = len(text) + len(listed) + len(document["body"]) + 100 * len(document["changed"])
    _check_size(project, "the head with its commit", size)
    return {**document, "complete": True, "head": text, "listed": listed}


def _check_size(project: str, what: str, size: int) -> None:
    if size > _LARGEST:
        raise StoreError(
            f"project '{project}': {what} has {size:,} bytes, and MongoDB keeps {_LARGEST:,} in "
            "one document; split the project, or keep the registry in PostgreSQL"
        )


def _latest(found: Database, project: str, *fields: str) -> Document | None:
    """The document of the latest generation, with some of its fields."""
    wanted = dict.fromkeys(["generation", "complete", *fields], 1)
    return found[_COMMITS].find_one({"project": {"$eq": project}}, wanted, sort=_LATEST)


def _whole(found: Database, project: str, field: str) -> Document | None:
    """The same with its head, or what it lists; None where there is no head."""
    while _generation_of(latest := _latest(found, project, field)):
        if latest is not None and field in latest:
            return latest
        # Somebody committed the next generation while this one was being read.
    return None


def _generation_of(document: Document | None) -> int:
    """0 for no document, and for a commit that a copy has put before the head."""
    return document["generation"] if document is not None and document.get("complete") else 0


def _commit(found: Database, document: Document, expected: int) -> None:
    """Insert a generation: the one moment at which a head changes. ConflictError if it exists."""
    try:
        found[_COMMITS].insert_one(document)
    except DuplicateKeyError:
        raise another_generation(document["project"], document["generation"], expected) from None


def _insert(found: Database, kind: Kind[Any], documents: dict[str, Document]) -> None:
    """Insert what is not there; where objects of the kind may change, replace the others."""
    collection = found[collection_of(kind)]
    there: list[str] = []
    try:
        collection.insert_many(documents.values(), ordered=False)
    except BulkWriteError as error:
        failures: list[Document] = error.details["writeErrors"]
        others = [failure for failure in failures if failure["code"] != _DUPLICATE]
        if others or error.details.get("writeConcernErrors"):
            raise
        there = [failure["op"]["_id"] for failure in failures]
    if kind.mutable:
        for name in there:
            collection.replace_one({"_id": name}, documents[name], upsert=True)
