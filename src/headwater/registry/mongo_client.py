"""Connections to MongoDB, set up so that what was written stays written."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headwater.errors import ConfigError, MissingExtraError, StoreError
from headwater.registry.fields import indexed_fields, order_of
from headwater.registry.kinds import KINDS, Kind

try:
    import pymongo.database
    from bson.errors import BSONError
    from pymongo import DESCENDING, IndexModel, MongoClient
    from pymongo.errors import (
        AutoReconnect,
        BulkWriteError,
        ConfigurationError,
        DuplicateKeyError,
        InvalidName,
        InvalidURI,
        OperationFailure,
        PyMongoError,
    )
    from pymongo.read_concern import ReadConcern
    from pymongo.read_preferences import ReadPreference
    from pymongo.write_concern import WriteConcern
except ModuleNotFoundError:
    raise MissingExtraError("a registry on MongoDB", "mongo") from None

__all__ = [
    "DESCENDING",
    "BulkWriteError",
    "Client",
    "Database",
    "Document",
    "DuplicateKeyError",
    "PyMongoError",
    "collection_of",
    "database",
    "new_client",
    "set_up",
    "shown_url",
    "text_of",
    "translated",
]
Document = dict[str, Any]
Client = MongoClient[Document]
Database = pymongo.database.Database[Document]
FORMAT = 1
_LOG = logging.getLogger(__name__)
# Milliseconds until a server that can't be found, a connection and an answer are given up. (With
# `timeoutMS` a call would be tried all that time, and whoever waits for it be told too late.)
_LIMITS = {
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 10_000,
    "socketTimeoutMS": 60_000,
}
_USER = re.compile(r"(?<=://)([^/@:]*)(:[^/@]*)?@")


def shown_url(url: str) -> str:
    """A URL as it may be shown: without the password, and without options, which may hold one."""
    plain = url.partition("?")[0]
    return _USER.sub(lambda m: f"{m[1]}:***@" if m[2] else m[0], plain)


def new_client(url: str) -> Client:
    """A client that has not connected yet. Raises ConfigError, which doesn't quote the URL."""
    given = url.partition("?")[2].lower()
    limits: dict[str, Any] = {
        name: value for name, value in _LIMITS.items() if f"{name.lower()}=" not in given
    }
    try:
        return MongoClient(url, appname="headwater", **limits)
    except (InvalidURI, ConfigurationError, ValueError):
        raise ConfigError(
            "registry: the URL can't be read; write it as mongodb://host:27017/headwater"
        ) from None


def database(client: Client) -> Database:
    """The URL's database, `headwater` where it names none.

    Whatever the URL's options say: what a majority of the servers has not written is neither
    reported as done nor read.
    """
    try:
        named = client.get_default_database("headwater")
    except InvalidName as error:
        raise ConfigError(f"registry: the URL names no database: {error}") from None
    return named.with_options(
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern(w="majority", j=True),
    )


def collection_of(kind: Kind[Any]) -> str:
    return f"{kind.name}s"


def set_up(found: Database, complete: Callable[[Database], None]) -> None:
    """Make the indexes that `KINDS` asks for, where the database doesn't say that it has them.

    `complete` gives what an earlier version wrote the fields that are new.
    Raises ConfigError for a registry of a newer format.
    """
    wanted = {collection_of(kind): _indexes(kind) for kind in KINDS.values()}
    wanted["commits"].append(["project", "changed.name"])
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    schema = found["schema"]
    known = schema.find_one({"_id": "headwater"}) or {"format": FORMAT, "indexes": ""}
    if known["format"] > FORMAT:
        raise ConfigError(
            f"registry: was written by a newer Headwater (format {known['format']}, this one "
            f"knows {FORMAT}); upgrade with pip install --upgrade headwater"
        )
    if known["indexes"] == digest:
        return
    complete(found)
    if all(_create_indexes(found, name, indexes) for name, indexes in wanted.items()):
        state = {"_id": "headwater", "format": FORMAT, "indexes": digest}
        schema.replace_one({"_id": "headwater"}, state, upsert=True)


def _create_indexes(found: Database, name: str, indexes: list[list[str]]) -> bool:
    """Whether it could be done. Where not, reading is slower, and who opens it next tries again.

    FerretDB 1 fails here when two processes make one index at once, or one died while making it.
    """
    models = [IndexModel([(field, DESCENDING) for field in fields]) for fields in indexes]
    try:
        found[name].create_indexes(models)
    except (AutoReconnect, OperationFailure) as error:
        _LOG.warning("registry: no indexes on collection '%s': %s", name, error)
        return False
    return True


def _indexes(kind: Kind[Any]) -> list[list[str]]:
    order = order_of(kind)
    fields = [field for field in indexed_fields(kind) if field != order]
    return [["project", order, "key"], *(["project", field, order, "key"] for field in fields)]


def text_of(document: Document) -> str:
    """The text of an object; that of a large commit is compressed."""
    body: str | bytes = document["body"]
    return body if isinstance(body, str) else zlib.decompress(body).decode()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """The driver's errors as StoreError, without its description of all servers."""
    try:
        yield
    except (PyMongoError, BSONError, OverflowError) as error:
        said = re.split(r",? ?(?:Topology Description|full error):", str(error))[0]
        raise StoreError(f"registry {url}: {said}") from error
