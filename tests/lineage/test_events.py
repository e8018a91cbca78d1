"""What other systems are told of applies and runs: every event by OpenLineage's own classes."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headwater import Feature, FeatureStore, FeatureView, Source
from headwater.config import load_settings
from headwater.errors import ConfigError, ConflictError, HeadwaterError
from headwater.registry.records import Transformation
from lineage.openlineage import check
from store import shop

ROWS = [shop.event(f"u{n}", shop.day(0, hours=n), kind="click") for n in range(5)]


def definitions():
    derived = FeatureView(
        "above", entity=shop.USER, update_frequency="daily", features=[Feature("half", "spent / 2")]
    )
    windows = shop.view(
        "windows",
        [
            Feature("spent", "sum(amount) FILTER (WHERE kind = 'click')", window="1d"),
            Feature("double", "spent * 2", description="twice of it"),
        ],
        update_frequency="daily",
        owner="ads-team",
    )
    return [windows, shop.view("rows", [Feature("last_items", "items")]), derived]


@pytest.fixture
def project(tmp_path):
    """A project whose events go to a file."""
    shop.make(tmp_path, ROWS).close()
    store = FeatureStore(
        settings=load_settings(tmp_path, flags={"openlineage.file": "ol/ev.jsonl"})
    )
    yield store
    store.close()


def events(store):
    """The events so far, each of them checked."""
    path = store.settings.root / "ol" / "ev.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for event in found:
        check(event)
    return found


def test_apply(project):
    project.apply(definitions())
    start, end = events(project)
    assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["job"]["namespace"] == "shop"
    assert end["job"]["name"] == "apply"
    assert {o["name"] for o in end["outputs"]} == {"windows", "rows", "above"}
    assert {(i["namespace"], i["name"]) for i in end["inputs"]} == {
        ("file", str(project.settings.root / "events*.parquet"))
    }
    project.apply(definitions())
    assert len(events(project)) == 2, "an apply that changes nothing is none"


def test_a_change_of_one_feature_is_told_like_an_apply(project):
    project.apply(definitions())
    made = {"transformation": Transformation("sql", "spent / 4")}
    project.governance.update("half", made, author="ann")
    start, end = events(project)[2:]
    assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
    assert [output["name"] for output in end["outputs"]] == ["above"]
    project.governance.update("half", {"description": "half of it"}, author="ann")
    assert len(events(project)) == 6


def test_the_columns_behind_an_output(project):
    project.apply(definitions())
    outputs = {output["name"]: output for output in events(project)[1]["outputs"]}
    windows = outputs["windows"]["facets"]
    assert windows["schema"]["fields"] == [
        {"name": "user_id", "type": "string"},
        {"name": "spent", "type": "float64"},
        {"name": "double", "type": "float64", "description": "twice of it"},
    ]
    assert windows["ownership"]["owners"] == [{"name": "ads-team", "type": "OWNER"}]
    place = {"namespace": "file", "name": str(project.settings.root / "events*.parquet")}
    steps = {
        field["field"]: [(t["type"], t["subtype"]) for t in field["transformations"]]
        for field in windows["columnLineage"]["fields"]["spent"]["inputFields"]
        if place.items() <= field.items()
    }
    assert steps == {
        "amount": [("DIRECT", "AGGREGATION")],
        "kind": [("INDIRECT", "FILTER")],
        "user_id": [("INDIRECT", "GROUP_BY")],
        "event_time": [("INDIRECT", "WINDOW")],
        "known": [("INDIRECT", "FILTER")],
    }
    above = outputs["above"]["facets"]["columnLineage"]["fields"]["half"]["inputFields"]
    assert {field["field"] for field in above} == set(steps)


def test_runs(project):
    project.apply(definitions())
    project.materialize(["windows", "above"], until=shop.moment(shop.day(2)))
    project.backfill("windows", shop.moment(shop.day(0)), shop.moment(shop.day(2)))
    runs = {}
    for event in events(project)[2:]:
        runs.setdefault((event["job"]["name"], event["run"]["runId"]), []).append(event)
    assert sorted(name for name, _ in runs) == [
        "backfill.windows",
        "materialize.above",
        "materialize.windows",
    ]
    for (name, _), (start, end) in runs.items():
        assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
        assert start["eventTime"] <= end["eventTime"]
        assert end["outputs"][0]["name"] == name.partition(".")[2]
        assert end["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] >= 0
        assert end["inputs"][0]["facets"]["version"]["datasetVersion"]
        assert end["run"]["facets"]["nominalTime"]
    sql = next(e for (name, _), (_, e) in runs.items() if name == "materialize.windows")
    assert (
        "sum(amount) FILTER (WHERE kind = 'click') AS \"spent\" /* window 1d */"
        in (sql["job"]["facets"]["sql"]["query"])
    )
    assert sql["outputs"][0]["facets"]["version"]["datasetVersion"] == (
        project.registry.head("shop").views["windows"].revision
    )


def test_a_run_that_fails_says_why(project, monkeypatch):
    project.apply(definitions())

    def broken(*_args, **_more):
        raise HeadwaterError("the disk is full")

    monkeypatch.setattr(type(project.online), "publish", broken)
    with pytest.raises(HeadwaterError, match="the disk is full"):
        project.materialize("windows", until=shop.moment(shop.day(2)))
    failed = events(project)[-1]
    assert failed["eventType"] == "FAIL"
    assert failed["run"]["facets"]["errorMessage"]["message"] == "the disk is full"


def test_an_apply_that_fails_says_why(project):
    first = project.plan(definitions())
    project.apply([shop.view("other", [Feature("a", "amount")])])
    with pytest.raises(ConflictError):
        project.apply(first)
    failed = events(project)[-1]
    assert failed["eventType"] == "FAIL"
    assert "has changed since" in failed["run"]["facets"]["errorMessage"]["message"]


def test_a_query_is_followed_to_its_tables(project):
    query = Source(
        "clicks",
        query="SELECT user_id, event_time, amount AS paid FROM 'events.parquet' WHERE kind = 'x'",
        event_time="event_time",
    )
    star = Source("every", query="SELECT * FROM 'events.parquet'", event_time="event_time")
    project.apply(
        [
            FeatureView("q", entity=shop.USER, source=query, features=[Feature("paid")]),
            FeatureView("s", entity=shop.USER, source=star, features=[Feature("a", "amount")]),
        ]
    )
    outputs = {output["name"]: output for output in events(project)[1]["outputs"]}
    fields = {
        name: {
            (f["namespace"], f["name"].rpartition("/")[2], f["field"])
            for f in outputs[view]["facets"]["columnLineage"]["fields"][name]["inputFields"]
        }
        for view, name in (("q", "paid"), ("s", "a"))
    }
    assert {("file", "events.parquet", "amount"), ("file", "events.parquet", "kind")} <= fields[
        "paid"
    ]
    assert ("headwater://shop", "every", "amount") in fields["a"]


class _Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers.get("Authorization"), json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def collector():
    """A server that takes events, and what it took."""
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    server.taken, server.status = [], 201
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def over_http(folder, server, **flags):
    url = f"http://127.0.0.1:{server.server_port}"
    given = {f"openlineage.{name}": value for name, value in flags.items()}
    return FeatureStore(settings=load_settings(folder, flags={"openlineage.url": url, **given}))


def test_over_http(tmp_path, collector):
    shop.make(tmp_path, ROWS).close()
    store = over_http(tmp_path, collector, token="t0p")
    store.apply(definitions())
    store.close()
    assert [(path, token) for path, token, _ in collector.taken] == [
        ("/api/v1/lineage", "Bearer t0p")
    ] * 2
    for _, _, event in collector.taken:
        check(event)
    assert "t0p" not in repr(store.settings)


def test_a_server_that_fails_is_told_of_in_a_line_and_stops_nothing(tmp_path, collector, caplog):
    collector.status = 500
    shop.make(tmp_path, ROWS).close()
    store = over_http(tmp_path, collector)
    store.apply(definitions())
    assert store.materialize("rows")[0].rows == 5
    store.close()
    assert len(collector.taken) == 1, "it is left alone for a while"
    assert [record.getMessage() for record in caplog.records] == [
        f"lineage events are not told to http://127.0.0.1:{collector.server_port}: "
        "HTTP Error 500: Internal Server Error"
    ]


def test_nobody_answers(tmp_path, collector, caplog):
    shop.make(tmp_path, ROWS).close()
    store = over_http(tmp_path, collector, timeout=1)
    settings = replace(
        store.settings.openlineage, url=type(store.settings.openlineage.url)("http://127.0.0.1:9")
    )
    store.settings = replace(store.settings, openlineage=settings)
    store.apply(definitions())
    store.close()
    assert len(caplog.records) == 1


def test_nothing_is_told_unless_set(tmp_path):
    store = shop.make(tmp_path, ROWS)
    assert not store.events.outlets
    store.apply(definitions())
    store.close()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://me:secret@host", "marquez"])
def test_addresses_that_are_none(tmp_path, url):
    (tmp_path / "headwater.toml").write_text('project = "shop"\n')
    with pytest.raises(ConfigError, match=r"openlineage\.url") as caught:
        load_settings(tmp_path, flags={"openlineage.url": url})
    assert "secret" not in str(caught.value)
