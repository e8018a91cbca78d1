"""`headwater serve` answers for the registry too, from a process of its own."""

import http.client
import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from api.client import PREFIX, RSI
from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.api.process import describe, read
from headwater.config import Url, load_settings

PATIENCE = 60
ROWS = "user_id,at,amount\nu1,2026-01-01T00:00:00Z,2\nu1,2026-01-02T00:00:00Z,5\n"


class Served:
    """A server on a free port, started as a user starts it."""

    def __init__(self, folder, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headwater", "-C", folder, "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        assert self._told.wait(PATIENCE)

    def _listen(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                self._told.set()
        self._told.set()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def control(self):
        """The process of the control plane."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if "headwater.api.process" in child.cmdline())

    def stop(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self._thread.join()
        self.process.stderr.close()
        return code


@contextmanager
def served(folder, *options):
    found = Served(folder, *options)
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "shop"\n')
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_starts_on_an_empty_project_and_takes_the_specifications_feature(folder, workers):
    with served(folder, "--workers", workers) as server:
        status, made = server.ask("POST", f"{PREFIX}/features", RSI)
        assert status == 201
        assert made["description"] == "14일 RSI (Relative Strength Index)"
        assert server.ask("GET", f"{PREFIX}/features/stock_rsi_14d") == (200, made)
        assert server.ask("GET", "/health")[0] == 200
        names = server.ask("GET", "/openapi.json")[1]["paths"]
        assert {"/get-online-features", f"{PREFIX}/features"} <= names.keys()
        assert server.stop() == 0
    assert not [line for line in server.lines if "Traceback" in line or "leaked" in line]


def test_what_was_kept_outlives_a_control_plane_that_is_killed(folder):
    with served(folder) as server:
        assert server.ask("POST", f"{PREFIX}/features", RSI)[0] == 201
        before = server.control()
        before.kill()
        before.wait(PATIENCE)
        wanted = {"features": ["x"], "entities": {}}
        assert server.ask("POST", "/get-online-features", wanted)[0] == 404
        assert server.ask("GET", f"{PREFIX}/features/stock_rsi_14d")[0] == 200
        assert server.control().pid != before.pid


def view(expression):
    return FeatureView(
        "spending",
        entity=Entity("user", {"user_id": "string"}),
        source=Source("orders", path="orders.csv", event_time="at"),
        features=[Feature("last_amount", expression, owner="shop-team", tags=["money"])],
    )


@pytest.fixture
def applied(folder):
    """A project whose feature has two versions, both with values."""
    (folder / "orders.csv").write_text(ROWS)
    store = FeatureStore(folder)
    for expression in ("amount", "amount * 10"):
        store.apply([view(expression)])
        store.materialize()
    store.close()
    return folder


def test_a_feature_that_was_applied_is_the_same_object(applied):
    path = f"{PREFIX}/features/last_amount"
    with served(applied) as server:
        status, found = server.ask("GET", path)
        assert (status, found["status"], found["current_version"]) == (200, "active", "2.0.0")
        assert (found["owner"], found["tags"]) == ("shop-team", ["money"])
        assert found["transformation"]["code"] == "amount * 10"
        assert (found["entity"], found["source"]) == ("user", "orders")
        body = {"feature_name": "last_amount", "feature_type": "raw", "data_type": "float"}
        assert server.ask("POST", f"{PREFIX}/features", body)[0] == 409


def test_a_rollback_is_served_at_once(applied):
    wanted = {
        "features": ["last_amount"],
        "entities": {"user_id": ["u1"]},
        "include_feature_view_version_metadata": True,
    }
    with served(applied) as server:

        def value():
            found = server.ask("POST", "/get-online-features", wanted)[1]
            version = found["metadata"]["feature_versions"]["last_amount"]
            return version, found["results"][1]["values"]

        assert value() == ("2.0.0", [50])
        path = f"{PREFIX}/features/last_amount/rollback?target_version=1.0.0"
        assert server.ask("POST", path)[1]["version"] == "1.0.0_rollback"
        assert value() == ("1.0.0_rollback", [5])


def test_settings_reach_the_process_as_they_are(folder, monkeypatch):
    monkeypatch.setenv("HEADWATER_ENGINE__THREADS", "3")
    settings = load_settings(folder, flags={"serve.port": 8600, "online.path": "elsewhere"})
    settings = replace(
        settings, registry=replace(settings.registry, url=Url("postgresql://me:s3cret@db/x"))
    )
    monkeypatch.undo()
    assert read(json.loads(json.dumps(describe(settings)))) == settings
