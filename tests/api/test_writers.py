"""Beyond the specification, 3: sixteen writers over HTTP, on two servers of two workers each."""

import http.client
import json
import random
import threading
from contextlib import ExitStack

import pytest

from api.client import PREFIX
from api.test_served import PATIENCE, served
from headwater.registry.audit import verify
from headwater.registry.lineage import FeatureGraph
from headwater.registry.store import open_registry

pytestmark = pytest.mark.every_registry
WRITERS = 16


@pytest.fixture
def url(registry_url):
    return registry_url


@pytest.fixture
def ports(url, tmp_path):
    """The ports of two servers on one registry."""
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            toml = f'project = "shop"\n[registry]\nurl = "{url}"\n'
            (folder / "headwater.toml").write_text(toml)
            found.append(stack.enter_context(served(folder, "--workers", "2")).port)
        yield found


@pytest.fixture
def registry(url):
    opened = open_registry(url)
    yield opened
    opened.close()


def call(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * PATIENCE)
    given = {"content-type": "application/json", **headers}
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, f"{PREFIX}{path}", content, given)
        response = connection.getresponse()
        text = response.read()
        return response.status, response.headers, json.loads(text) if text else None
    finally:
        connection.close()


def create(port, name, *upstream):
    body = {"feature_name": name, "feature_type": "raw", "data_type": "float"}
    return call(port, "POST", "/features", {**body, "upstream_features": upstream})


def together(ports, work):
    """What sixteen writers return, each on one of the servers; their errors are raised."""
    results, failures = [], []
    start = threading.Barrier(WRITERS)

    def run(number):
        start.wait(PATIENCE)
        try:
            results.append(work(ports[number % len(ports)], number))
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return results


def test_no_update_is_lost(ports):
    create(ports[0], "counter")
    call(ports[0], "PUT", "/features/counter", {"description": "0"})

    def add_one(port, _number):
        status, attempts = 0, 0
        while status != 200:
            attempts += 1
            _, headers, seen = call(port, "GET", "/features/counter")
            more = {"description": str(int(seen["description"]) + 1)}
            tag = {"If-Match": headers["ETag"]}
            status, _, told = call(port, "PUT", "/features/counter", more, **tag)
            assert status in (200, 412), told
        return attempts

    tries = together(ports, add_one)
    assert call(ports[0], "GET", "/features/counter")[2]["description"] == str(WRITERS)
    assert max(tries) > 1, "nobody was in the way of anybody"
    assert call(ports[1], "GET", "/features/counter/history?change=update")[2]["total"] == 17


def test_mixed_writers_break_no_edge(ports, registry):
    shared = [f"base{n}" for n in range(4)]
    for name in shared:
        assert create(ports[0], name)[0] == 201

    def live(port, number):
        """A life of one feature; the statuses of its writes."""
        noise = random.Random(number)
        name = f"f{number}"
        path = f"/features/{name}"
        code = {"transformation_type": "python", "code": f"def f(): return {number}"}
        writes = [
            create(port, name, *noise.sample(shared, 2)),
            call(port, "POST", f"{path}/activate"),
            call(port, "PUT", path, {"transformation": code}),
            call(port, "POST", f"{path}/versions", {"version": "3.0.0", "changelog": "more"}),
            call(port, "POST", f"{path}/rollback?target_version=1.0.0"),
            call(
                port, "DELETE" if number % 2 else "PUT", path, None if number % 2 else {"tags": []}
            ),
            # refused, as long as something live is downstream; else it is deprecated, once
            call(port, "DELETE", f"/features/{noise.choice(shared)}"),
        ]
        return [status for status, _, _ in writes]

    for statuses in together(ports, live):
        first = [201, 200, 200, 201, 200]
        assert statuses[:5] in (first, [201, 409, *first[2:]]), statuses
        assert statuses[5] in (200, 204)
        assert statuses[6] in (204, 409)
    check_edges(registry)
    names = {f"f{number}" for number in range(WRITERS)}
    head = registry.head("shop")
    assert names | set(shared) == head.features.keys()
    for name in names:
        entry = head.features[name]
        assert entry.current == "1.0.0_rollback"
        assert {"1.0.0", "3.0.0", "1.0.0_rollback"} <= entry.versions.keys()
    trail = verify(registry, "shop")
    assert trail.checked == trail.generation == head.generation


def check_edges(registry):
    """Downstream is the mirror of upstream, and what is live stands on nothing that is not."""
    head = registry.head("shop")
    graph = FeatureGraph(head)
    up = {
        (above, name)
        for name, entry in head.features.items()
        for above in entry.upstream
        if above in head.features
    }
    down = {(name, below) for name in head.features for below in graph.downstream(name)}
    assert up == down
    for name, entry in head.features.items():
        if entry.status == "active":
            assert graph.unresolved(name) == ()


def test_of_two_that_would_close_a_circle_one_is_refused(ports, registry):
    def point(port, number):
        pair, side = divmod(number, 2)
        mine, other = f"p{pair}_{side}", f"p{pair}_{1 - side}"
        return pair, create(port, mine, other)[0]

    found = {}
    for pair, status in together(ports, point):
        found.setdefault(pair, []).append(status)
    assert [sorted(statuses) for statuses in found.values()] == [[201, 409]] * 8
    check_edges(registry)
