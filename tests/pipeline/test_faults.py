"""Kill -9 at random points: every row and pointer is before or after, and a rerun ends the work."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from headwater import Feature, FeatureService, FeatureStore
from headwater.offline.intervals import Interval
from headwater.serving.catalogue import decode
from headwater.serving.live import DOCUMENT
from pipeline import projects
from pipeline.looking import kept, served, stored, trained, view_of
from pipeline.projects import USERS
from registry.samples import timeless
from store import shop
from store.shop import HOUR, day, event

pytestmark = pytest.mark.slow
WORKER = Path(__file__).with_name("worker.py")
VIEWS = ("windowed", "latest", "trend")
NAMES = ["count_1d", "total_1d", "top_1d", "last_kind", "last_amount", "mean_3", "smooth", "before"]
FIRST, SECOND = day(2), day(3, 2)


class Worker:
    """Runs verbs in processes that die when they are told to."""

    def __init__(self, process):
        self._process = process

    def __call__(self, folder, verb, kill_at=None, delay=0.0, **arguments):
        command = {
            "folder": str(folder),
            "verb": verb,
            "arguments": arguments,
            "kill_at": kill_at,
            "delay": delay,
        }
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, f"{verb} failed by itself; see stderr"
        return answer

    def deaths(self, folder, base, seed, verb, number, **arguments):
        """Copies of the project `base` in which a verb was killed, at moments all over its course,
        half of them inside of whatever library it is in. `FAULTS=20` tries twenty times as many.
        """
        chance = random.Random(seed)
        shutil.copytree(base, folder / "whole")
        whole = self(folder / "whole", verb, **arguments)["calls"]
        number *= int(os.environ.get("FAULTS", "1"))
        for step in range(number):
            copy = folder / f"killed {step}"
            shutil.copytree(base, copy)
            moment = int(whole * (step + chance.random()) / number) + 1
            delay = chance.choice([0, chance.uniform(1e-4, 4e-3)])
            yield copy, self(copy, verb, kill_at=moment, delay=delay, **arguments)["killed"]


@pytest.fixture(scope="module")
def worker():
    process = subprocess.Popen(
        [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Worker(process)
        process.stdin.close()


def rows(seed=1):
    """Events of which some are above what the rule allows, and one has no time."""
    found = shop.random_events(200, users=25, days=3, seed=seed)
    return [*found, event("u1", None)]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Applied, with nothing in the online store yet."""
    folder = tmp_path_factory.mktemp("faults") / "applied"
    store = shop.make(folder, rows())
    store.apply(projects.before())
    store.close()
    return folder


@pytest.fixture(scope="module")
def running(project, tmp_path_factory):
    """Materialized once; since then rows have come, others have gone, and windows have emptied."""
    folder = tmp_path_factory.mktemp("faults") / "running"
    shutil.copytree(project, folder)
    store = FeatureStore(folder)
    store.materialize(until=FIRST)
    late = [event(f"u{n}", day(2, n), amount=float(n * 6), known=day(2, n + 2)) for n in range(10)]
    shop.write(folder, late, "events_2.parquet")
    shop.write(folder, [row for row in rows() if row["user_id"] not in ("u20", "u24")])
    store.close()
    return folder


class State:
    """What a project's stores hold, in a form that can be compared."""

    def __init__(self, folder):
        store = FeatureStore(folder)
        self.rows = {name: stored(store, name, USERS) for name in VIEWS}
        self.published = {name: store.show("view", name)["published"] for name in VIEWS}
        self.values = served(store, NAMES, USERS)
        self.runs = store.list("runs")
        self.rejected = Counter(
            (name, row["feature"], row["rule"], row["part"], row["row"])
            for name in store.quarantine.views()
            for row in store.quarantine.read(name).read_all().to_pylist()
        )
        store.close()


def is_between(found, before, after):
    """Every row, and every tick, is the one before or the one after; the tick comes last."""
    for name in VIEWS:
        for user in USERS:
            options = (before.rows[name][user], after.rows[name][user])
            assert found.rows[name][user] in options, (name, user)
        assert found.published[name] in (before.published[name], after.published[name])
        if found.published[name] == after.published[name]:
            assert found.rows[name] == after.rows[name], name


def test_materialize_killed_at_any_moment(worker, running, tmp_path):
    before = State(running)
    deaths = worker.deaths(tmp_path, running, 1, "materialize", 9, until=SECOND)
    copies = list(deaths)
    after = State(tmp_path / "whole")
    assert after.values != before.values
    assert sum(killed for _, killed in copies) > 0.6 * len(copies)
    partly = 0
    for folder, killed in copies:
        found = State(folder)
        is_between(found, before, after)
        partly += found.rows not in (before.rows, after.rows)
        worker(folder, "materialize", until=SECOND)
        again = State(folder)
        assert again.rows == after.rows
        assert again.values == after.values
        assert again.published == after.published
        assert again.rejected == after.rejected
        assert not [run for run in again.runs if run["status"] == "running"] or not killed
        cut_short = [run for run in again.runs if run["status"] == "failed"]
        assert all("was cut short" in run["error"] for run in cut_short)
        assert len({run["view"] for run in again.runs if run["status"] == "done"}) == 3
    assert partly > 2, "no run was killed half-way: the test looks at nothing"


def test_a_first_materialize_killed_at_any_moment_and_a_later_one(worker, project, tmp_path):
    """What the dead run has written is not served as of the tick of the run after it."""
    expected = None
    for folder, _ in worker.deaths(tmp_path, project, 2, "materialize", 4, until=FIRST):
        store = FeatureStore(folder)
        served(store, NAMES, USERS)
        store.materialize(until=day(4))
        found = served(store, NAMES, USERS)
        expected = expected or _without_rejected(store, trained(store, NAMES, USERS, day(4)))
        assert [row | {"top_1d": None} for row in found] == expected
        store.close()


def _without_rejected(store, rows_):
    assert store.quarantine.views()
    return [row | {"top_1d": None} for row in rows_]


def test_killed_over_and_over_a_run_comes_to_its_end(worker, tmp_path):
    """Each run goes on where the one before it died; what each does anew is little beside it."""
    many = shop.random_events(1200, users=150, days=3)
    store = shop.make(tmp_path / "applied", [*many, event("u1", None)])
    store.apply(projects.before())
    store.close()
    shutil.copytree(tmp_path / "applied", tmp_path / "whole")
    calls = worker(tmp_path / "whole", "materialize", until=SECOND)["calls"]
    after = State(tmp_path / "whole")
    folder = tmp_path / "applied"
    lives = 0
    while worker(folder, "materialize", kill_at=calls // 2, until=SECOND)["killed"]:
        lives += 1
        assert lives < 10
    assert lives > 1
    found = State(folder)
    assert (found.rows, found.values, found.rejected) == (after.rows, after.values, after.rejected)


def test_a_run_that_goes_on_killed_at_any_moment(worker, project, tmp_path):
    """The next one goes on from what was left, and nothing is lost or taken twice."""
    base = tmp_path / "base"
    shutil.copytree(project, base)
    store = FeatureStore(base)
    store.materialize(until=FIRST)
    users = [f"u{n}" for n in range(26)]
    new = [event(user, day(3, 1), amount=float(n)) for n, user in enumerate(users)]
    late = [event(user, day(1, n), amount=9.0) for n, user in enumerate(users[:9])]
    shop.write(base, [*new, *late], "events_2.parquet")
    store.close()
    copies = list(worker.deaths(tmp_path, base, 7, "materialize", 9, until=SECOND))
    after = State(tmp_path / "whole")
    assert sum(killed for _, killed in copies) > 0.6 * len(copies)
    went_on = 0
    for folder, _ in copies:
        store = FeatureStore(folder)
        [report] = store.materialize("trend", until=SECOND)
        assert report.anew is None
        went_on += report.skipped is None
        store.materialize(until=SECOND)
        store.close()
        again = State(folder)
        assert (again.rows, again.values) == (after.rows, after.values)
        shop.write(folder, [event("u3", day(4), amount=7.0)], "events_3.parquet")
        store = FeatureStore(folder)
        [report] = store.materialize("trend", until=day(5))
        assert report.anew is None
        assert served(store, ["smooth"], USERS) == trained(store, ["smooth"], USERS, day(5))
        store.close()
    assert went_on > 2


class Tables:
    """What a project's offline tables hold."""

    def __init__(self, folder):
        store = FeatureStore(folder)
        revision = view_of(store, "windowed").revision
        exists = store.tables.exists(revision)
        self.spans = store.tables.intervals(revision)
        self.rows = kept(store, "windowed") if exists else []
        self.inside = [
            kept(store, "windowed", span.start, span.end) for span in self.spans if exists
        ]
        self.runs = store.list("runs")
        self.rejected = len(store.quarantine.read("windowed").read_all())
        self.named = _named(store) if exists and self.spans else []
        store.close()

    def expected(self, whole):
        """The rows of the whole table that lie in this one's spans."""
        return [
            row
            for row in whole.rows
            if any(span.start <= _micros(row["tick"]) < span.end for span in self.spans)
        ]


def _micros(tick):
    return int((tick - shop.moment(0)).total_seconds()) * 1_000_000


def _named(store):
    with duckdb.connect(str(store.names.database)) as connection:
        known = connection.sql("SELECT name FROM headwater.names").fetchall()
        try:
            found = connection.sql("SELECT user_id, count_1d FROM counts").fetchall()
        except duckdb.CatalogException:
            found = []
    assert known == [("counts",)]
    return sorted(found)


def test_backfill_killed_at_any_moment(worker, project, tmp_path):
    interval = {"view": "windowed", "start": day(0), "end": day(3)}
    copies = list(worker.deaths(tmp_path, project, 3, "backfill", 8, **interval))
    whole = Tables(tmp_path / "whole")
    assert [(span.start, span.end) for span in whole.spans] == [(day(0), day(3))]
    assert whole.rejected > 0
    lengths = set()
    for folder, _ in copies:
        found = Tables(folder)
        assert found.rows == found.expected(whole), "rows outside of what is said to be there"
        assert {row[1] for row in found.named} <= {row["count_1d"] for row in whole.rows}
        lengths.add(sum(span.end - span.start for span in found.spans))
        worker(folder, "backfill", **interval)
        again = Tables(folder)
        assert (again.rows, again.spans[0][:2]) == (whole.rows, whole.spans[0][:2])
        assert again.named == whole.named
        assert again.rejected == whole.rejected
    assert len(lengths) > 2, "no backfill was killed half-way: the test looks at nothing"


def test_what_a_killed_backfill_has_done_is_not_done_again(worker, project, tmp_path, monkeypatch):
    from headwater.pipeline import backfill

    interval = {"view": "windowed", "start": day(0), "end": day(2)}
    asked = []
    original = backfill.ticked_history

    def noted(reader, view, ticks, share):
        asked.append((ticks[0], ticks[-1]))
        return original(reader, view, ticks, share)

    monkeypatch.setattr(backfill, "ticked_history", noted)
    for folder, _ in worker.deaths(tmp_path, project, 4, "backfill", 2, **interval):
        store = FeatureStore(folder)
        revision = view_of(store, "windowed").revision
        snapshot = store.engine.snapshot(shop.SOURCE)
        left = store.tables.missing(revision, Interval(day(0), day(2)), snapshot)
        asked.clear()
        store.backfill("windowed", day(0), day(2))
        store.close()
        assert [(first, last + HOUR) for first, last in asked] == [
            (piece.start, piece.end) for piece in left
        ]


class Applied:
    """What a project is, and what its serving catalogue says."""

    def __init__(self, folder):
        store = FeatureStore(folder)
        self.head = timeless(store.registry.head("shop"))
        self.catalogue = decode(store.online.get_document("shop", DOCUMENT))
        self.model = store.get_online_features("model", {"user_id": USERS}).to_dict()["values"]
        self.total = served(store, ["total_1d"], USERS)
        path = folder / ".headwater/offline/shop.duckdb"
        with duckdb.connect(str(path)) as connection:
            self.names = connection.sql("SELECT name FROM headwater.names").fetchall()
        store.close()


def test_apply_killed_at_any_moment(worker, running, tmp_path):
    before = Applied(running)
    copies = list(worker.deaths(tmp_path, running, 5, "apply", 9, project="after"))
    after = Applied(tmp_path / "whole")
    seen = []
    for folder, _ in copies:
        found = Applied(folder)
        assert found.head in (before.head, after.head)
        assert found.catalogue in (before.catalogue, after.catalogue)
        assert found.names in (before.names, after.names)
        # Whatever is named, a pinned version and a value that stays are served all the time.
        assert found.model == before.model
        assert found.total == before.total
        seen.append([found.head == after.head, found.catalogue == after.catalogue])
        store = FeatureStore(folder)
        assert store.apply(projects.after()).changed == (found.head == before.head)
        store.close()
        again = Applied(folder)
        assert (again.head, again.catalogue) == (after.head, after.catalogue)
        assert again.names == after.names == [("amounts",)]
    assert [False, True] not in seen, "served before it was applied"
    assert [False, False] in seen
    assert [True, False] in seen or [True, True] in seen


@pytest.fixture(scope="module")
def replaced(running, tmp_path_factory):
    """Views were changed, and nothing is kept for a rollback: what they held is garbage."""
    folder = tmp_path_factory.mktemp("faults") / "replaced"
    shutil.copytree(running, folder)
    with (folder / "headwater.toml").open("a") as settings:
        settings.write("[registry]\nrollback_days = 0\n")
    store = FeatureStore(folder)
    store.backfill("windowed", day(0), day(1))
    store.materialize(until=SECOND)
    last = [Feature("last_kind", "upper(kind)"), Feature("last_amount", "amount * 2")]
    changed = [one for one in projects.after() if one is not projects.LAST]
    changed += [shop.view("latest", last), FeatureService("model", ["count_1d"])]
    store.apply(changed, prune=True)
    store.materialize(until=SECOND)
    store.close()
    return folder


class Kept:
    """What of a project is there, and what could be removed."""

    def __init__(self, folder):
        store = FeatureStore(folder)
        head = store.registry.head("shop")
        self.garbage = [replace(one, since=None) for one in store.garbage()]
        self.sizes = {name: store.online.size("shop", name) for name in head.revisions}
        self.offline = {name: store.tables.size(name) for name in head.revisions}
        self.given_up = {n for n, entry in head.revisions.items() if entry.collected_at}
        self.values = served(store, ["count_1d", "last_kind"], USERS)
        self.model = store.get_online_features("model", {"user_id": USERS}).to_dict()["values"]
        store.close()


def test_gc_killed_at_any_moment(worker, replaced, tmp_path):
    before = Kept(replaced)
    assert len(before.garbage) > 1
    assert sum(one.offline_bytes for one in before.garbage) > 0
    copies = list(worker.deaths(tmp_path, replaced, 6, "gc", 10))
    after = Kept(tmp_path / "whole")
    gone = {one.revision for one in before.garbage}
    assert (after.garbage, after.given_up) == ([], gone)
    assert all(after.sizes[name].rows == after.offline[name] == 0 for name in gone)
    partly = 0
    for folder, _ in copies:
        found = Kept(folder)
        assert (found.values, found.model) == (before.values, before.model)
        assert found.given_up in (set(), gone)
        partly += bool(found.garbage) and bool(found.given_up)
        worker(folder, "gc")
        again = Kept(folder)
        assert (again.garbage, again.given_up) == ([], gone)
        assert (again.sizes, again.offline) == (after.sizes, after.offline)
        assert (again.values, again.model) == (before.values, before.model)
    assert partly > 2, "no gc was killed half-way: the test looks at nothing"


def test_of_two_processes_that_apply_at_once_none_loses_anything(worker, running, tmp_path):
    """Each is applied as a whole, or told that the other one was faster."""
    folder = tmp_path / "both"
    shutil.copytree(running, folder)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from headwater import Feature, FeatureStore\n"
        "from headwater.errors import ConflictError\n"
        "from store import shop\n"
        "store = FeatureStore(sys.argv[2])\n"
        "name = sys.argv[3]\n"
        "plan = store.plan([shop.view(name, [Feature('f_' + name, 'amount')])])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try:\n    store.apply(plan); print('won')\n"
        "except ConflictError:\n    print('lost')\n"
        "    store.apply([shop.view(name, [Feature('f_' + name, 'amount')])])\n"
        "    print('won later')\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, tests, str(folder), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.communicate()[0].split("\n", 1)[0] for racer in racers)
    assert said == ["lost", "won"]
    store = FeatureStore(folder)
    assert {"one", "two"} <= {row["name"] for row in store.list("views")}
    store.materialize(["one", "two"], until=SECOND)
    assert served(store, ["f_one"], ["u1"]) == [
        {"f_one": row["f_two"]} for row in served(store, ["f_two"], ["u1"])
    ]
    store.close()
