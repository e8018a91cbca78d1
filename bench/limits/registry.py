"""A registry of SQLite alone: rows in tables, words in FTS5, nothing checked and nothing kept of
who changed what.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.catalogue import Question, features, questions
from bench.timing import timed, timed_each

_TABLES = """
CREATE TABLE features (name TEXT PRIMARY KEY, type TEXT, status TEXT, owner TEXT, body TEXT);
CREATE INDEX by_owner ON features (owner);
CREATE TABLE tags (tag TEXT, name TEXT, PRIMARY KEY (tag, name)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (name, tags, description, owner, tokenize = unicode61);
"""


def create(root: str, count: int, calls: int) -> dict[str, Any]:
    """Insert all features in one transaction."""
    shutil.rmtree(root, ignore_errors=True)
    Path(root).mkdir(parents=True)
    turn = iter(range(calls))
    made = list(features(count))
    return timed(lambda: _fill(f"{root}/{next(turn)}.db", made), calls)


def _fill(path: str, made: Iterable[dict[str, Any]]) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(_TABLES)
        for one in made:
            row = (one["feature_name"], one["feature_type"], "draft", one["owner"])
            body = json.dumps(one)
            connection.execute("INSERT INTO features VALUES (?, ?, ?, ?, ?)", (*row, body))
            words = (one["feature_name"], " ".join(one["tags"]), one["description"], one["owner"])
            connection.execute("INSERT INTO words VALUES (?, ?, ?, ?)", words)
            connection.executemany(
                "INSERT INTO tags VALUES (?, ?)", [(tag, row[0]) for tag in one["tags"]]
            )
    connection.close()


def ask(root: str, count: int, kind: str) -> dict[str, Any]:
    """The same questions, answered in the process with the texts of the rows."""
    path = f"{root}/0.db"
    if not Path(path).exists():
        create(root, count, 1)
    connection = sqlite3.connect(path)
    answer = {"get": _get, "list": _list, "search": _search}[kind]
    return timed_each(lambda one: answer(connection, one), questions(count)[kind])


def _get(connection: sqlite3.Connection, one: Question) -> list[Any]:
    return connection.execute("SELECT body FROM features WHERE name = ?", one.names).fetchall()


def _list(connection: sqlite3.Connection, one: Question) -> list[Any]:
    sql = (
        "FROM features WHERE owner = ? AND status = 'draft' "
        "AND name IN (SELECT name FROM tags WHERE tag IN (?, ?))"
    )
    total = connection.execute(f"SELECT count(*) {sql}", one.names).fetchall()
    return total + connection.execute(f"SELECT body {sql} LIMIT 50", one.names).fetchall()


def _search(connection: sqlite3.Connection, one: Question) -> list[Any]:
    asked = " ".join(f'"{word}"*' for word in one.names)
    total = connection.execute("SELECT count(*) FROM words WHERE words MATCH ?", (asked,))
    rows = connection.execute(
        "SELECT body FROM words JOIN features USING (name) WHERE words MATCH ? "
        "ORDER BY bm25(words, 16, 8, 4, 1) LIMIT 50",
        (asked,),
    )
    return total.fetchall() + rows.fetchall()
