"""A server counts what its workers read: all of it after a stop, none of it twice after a kill."""

import http.client
import json
import threading

import psutil
import pytest

from api.client import PREFIX
from api.test_served import ROWS, served, view
from headwater import FeatureStore
from headwater.registry.kinds import FeatureUsage

CLIENTS, REQUESTS = 8, 50


def ask(port, number, model):
    """Some requests over one connection, each for one to three rows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for request in range(number):
        users = ["u1"] * (1 + request % 3)
        body = json.dumps({"features": ["last_amount"], "entities": {"user_id": users}})
        connection.request("POST", "/get-online-features", body, {"X-Headwater-Model": model})
        assert connection.getresponse().read()
    connection.close()


def used(folder):
    store = FeatureStore(folder)
    groups = store.registry.usage_groups("shop")
    rows = store.registry.list("shop", FeatureUsage)
    store.close()
    return groups, rows


def until_there(server):
    """Until the control plane answers: one that was killed takes the requests it had with it."""
    while server.ask("GET", f"{PREFIX}/usage")[0] != 200:
        pass


@pytest.fixture
def fast(tmp_path, monkeypatch):
    """A project with values, whose processes tell ten times a second what they count."""
    monkeypatch.setenv("HEADWATER_USAGE__INTERVAL", "0.1")
    monkeypatch.setenv("HEADWATER_USAGE__ENVIRONMENT", "staging")
    (tmp_path / "headwater.toml").write_text('project = "shop"\n')
    (tmp_path / "orders.csv").write_text(ROWS)
    store = FeatureStore(tmp_path)
    store.apply([view("amount")])
    store.materialize()
    store.close()
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "3"])
def test_all_requests_are_counted(fast, workers):
    with served(fast, "--workers", workers) as server:
        clients = [
            threading.Thread(target=ask, args=(server.port, REQUESTS, f"m{number % 2}"))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert server.stop() == 0
    groups, rows = used(fast)
    assert {g.used_by_model: g.count for g in groups} == {
        "m0": CLIENTS // 2 * REQUESTS,
        "m1": CLIENTS // 2 * REQUESTS,
    }
    told = {(g.feature_version, g.environment, g.operation) for g in groups}
    assert told == {("1.0.0", "staging", "online")}
    assert sum(g.rows for g in groups) == CLIENTS * sum(1 + n % 3 for n in range(REQUESTS))
    assert len(rows) <= 2 * int(workers) * 2  # models, workers, and a midnight
    assert not [line for line in server.lines if "Traceback" in line or "were lost" in line]


def test_a_control_plane_that_dies_loses_nothing(fast):
    with served(fast, "--workers", "2") as server:
        for _ in range(3):
            ask(server.port, 10, "m")
            until_there(server)
            before = server.control()
            before.kill()
            before.wait(60)
        ask(server.port, 10, "m")
        until_there(server)
        assert server.stop() == 0
    assert sum(group.count for group in used(fast)[0]) == 40


def test_a_kill_counts_nothing_twice(fast):
    with served(fast, "--workers", "2") as server:
        ask(server.port, 30, "m")
        while True:
            status, found = server.ask("GET", f"{PREFIX}/usage/last_amount")
            assert status == 200
            if sum(use["uses"] for use in found["uses"]) == 30:
                break
        children = psutil.Process(server.process.pid).children()
        ask(server.port, 5, "m")
        for child in children:
            child.kill()
        psutil.wait_procs(children, 60)
        ask(server.port, 5, "m")
        until_there(server)
        assert server.stop() == 0
    assert 35 <= sum(group.count for group in used(fast)[0]) <= 40
