"""A rollback while many read: once it is answered, nobody gets the version that it took back (C14).

A twin project never had the bad version. It is filled at the same times from the same rows, and
says byte for byte what is to be served.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import NamedTuple

import pytest

from api.client import PREFIX
from api.test_served import PATIENCE, served
from headwater import Feature
from store import shop
from store.shop import day

pytestmark = pytest.mark.slow
USERS = [f"u{n}" for n in range(12)]
WANTED = json.dumps(
    {
        "features": ["total", "newest"],
        "entities": {"user_id": USERS},
        "include_feature_view_version_metadata": True,
    }
).encode()
GOOD = ("sum(items)", "items")
BAD = ("-1 - sum(items)", "-1 - items")


def views(total, newest):
    """Two views; the values of the good version are never negative, those of the bad one always."""
    return [
        shop.view("totals", [Feature("total", total, window="2d")], update_frequency="hourly"),
        shop.view("latest", [Feature("newest", newest)]),
    ]


class Answer(NamedTuple):
    began: float
    ended: float
    status: int
    body: bytes


class Client:
    """Reads on one connection, one request after the other, until it is told to stop."""

    def __init__(self, port):
        self.answers = []
        self._port = port
        self._stopped = False
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._stopped:
            began = time.monotonic()
            status, body = post(connection)
            with self._grown:
                self.answers.append(Answer(began, time.monotonic(), status, body))
                self._grown.notify_all()
        connection.close()

    def goes_on(self, count):
        """Wait for some more answers."""
        end = len(self.answers) + count
        with self._grown:
            assert self._grown.wait_for(lambda: len(self.answers) >= end, PATIENCE)

    def stop(self):
        self._stopped = True
        self._thread.join(PATIENCE)


def post(connection):
    connection.request("POST", "/get-online-features", WANTED)
    response = connection.getresponse()
    return response.status, response.read()


@contextmanager
def reading(port, count):
    clients = [Client(port) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.stop()


def versions_of(body):
    return json.loads(body)["metadata"]["feature_versions"]


def is_unmixed(body):
    """Whether all values of a feature are of the version that the answer names."""
    found = json.loads(body)
    for place, name in enumerate(("total", "newest"), 1):
        good = found["metadata"]["feature_versions"][name].startswith("1.")
        values = [value for value in found["results"][place]["values"] if value is not None]
        if any((value >= 0) is not good for value in values):
            return False
    return True


def as_if_never_replaced(body):
    return body.replace(b"1.0.0_rollback2", b"1.0.0").replace(b"1.0.0_rollback", b"1.0.0")


def twins(folder):
    """Two projects that serve the same; later rows have come to both, and the one is bad by now."""
    first, second = shop.random_events(300, days=1, seed=4), shop.random_events(90, days=2, seed=5)
    stores = [shop.make(folder / name, first) for name in ("tried", "twin")]
    for store in stores:
        store.apply(views(*GOOD))
        store.materialize(until=day(0, 20))

    def later():
        for store in stores:
            shop.write(store.settings.root, second, "events_2.parquet")
            store.materialize(until=day(1, 22))

    return stores, later


def test_nobody_reads_what_was_rolled_back(tmp_path):
    (tried, twin), later = twins(tmp_path)
    with ExitStack() as opened:
        server = opened.enter_context(served(tmp_path / "tried", "--workers", "3"))
        clients = opened.enter_context(reading(server.port, 4))
        for client in clients:
            client.goes_on(5)
        tried.apply(views(*BAD))
        tried.materialize(until=day(0, 20))
        later()
        for client in clients:
            client.goes_on(20)
        assert set(versions_of(clients[0].answers[-1].body).values()) == {"2.0.0"}
        changes = [*_rolled_back(server, tmp_path / "tried", clients)]
    with served(tmp_path / "twin") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        expected = post(connection)[1]
        connection.close()
    answers = [answer for client in clients for answer in client.answers]
    assert {answer.status for answer in answers} == {200}
    assert all(is_unmixed(answer.body) for answer in answers)
    for (_, acknowledged, versions), (next_one, *_) in pairwise(changes):
        since = [a.body for a in answers if a.began > acknowledged and a.ended < next_one]
        assert len(since) >= 40
        assert [versions_of(body) for body in since] == [versions] * len(since)
        if all(version.startswith("1.") for version in versions.values()):
            assert {as_if_never_replaced(body) for body in since} == {expected}
    for store in (tried, twin):
        store.close()


def _rolled_back(server, folder, clients):
    """Roll back and forth, over REST and from the command line: when each began and was answered,
    and what is served from then on.
    """
    versions = {"total": "2.0.0", "newest": "2.0.0"}
    for name, target, made in (
        ("total", "1.0.0", "1.0.0_rollback"),
        ("newest", "1.0.0", "1.0.0_rollback"),
        ("total", "2.0.0", "2.0.0_rollback"),
        ("total", "1.0.0", "1.0.0_rollback2"),
    ):
        began = time.monotonic()
        if name == "newest":
            command = [sys.executable, "-m", "headwater", "-C", folder, "rollback", name, target]
            subprocess.run([*command, "--yes"], check=True, capture_output=True, timeout=PATIENCE)
        else:
            path = f"{PREFIX}/features/{name}/rollback?target_version={target}"
            assert server.ask("POST", path)[1]["version"] == made
        versions = {**versions, name: made}
        yield began, time.monotonic(), versions
        for client in clients:
            client.goes_on(20)
    yield time.monotonic(), 0.0, versions
