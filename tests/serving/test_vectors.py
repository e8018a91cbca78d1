"""The record of what was served: complete, off the request's way, with the drops counted."""

import json
import logging
import threading

import duckdb
import pytest

from headwater.errors import ConfigError
from headwater.serving.recorder import Recorder, VectorLogSettings, open_recorder
from headwater.serving.vectors_jsonl import JsonLines
from serving.client import post
from serving.test_http import application
from serving.world import HOUR, MINUTE, USERS, T

LONG = 3600.0


class Kept:
    """A VectorLog in memory; it may be told to block or to fail."""

    def __init__(self, **options):
        self.options = options
        self.batches = []
        self.is_closed = False
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.error = None

    def write(self, vectors):
        self.entered.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(list(vectors))

    def close(self):
        self.is_closed = True


def answer(world, *features, **columns):
    return world.reader.get(features, columns)


def test_what_was_served_and_when(world):
    kept = Kept()
    recorder = Recorder(kept, interval=LONG)
    recorder.offer(answer(world, "age@0.9.0", "spend_per_click", user_id=[1, 99]), "model")
    recorder.close()
    assert kept.is_closed
    [[vector]] = kept.batches
    assert (vector.t, vector.generation, vector.service) == (T, 3, "model")
    assert vector.entities == {"user_id": [1, 99]}
    age, ratio = vector.features
    assert (age.name, age.feature, age.version, age.dtype) == ("age", "age", "0.9.0", "int64")
    assert age.revisions == ("r-users-old",)
    assert list(age.values) == [19, -1]
    assert list(age.statuses) == ["PRESENT", "NOT_FOUND"]
    assert list(age.event_times) == [T - 24 * HOUR, None]
    assert ratio.revisions == ("r-ads",)
    assert list(ratio.statuses) == ["PRESENT", "NULL_VALUE"]


def test_what_waits_is_written_now_and_then(world):
    kept = Kept()
    recorder = Recorder(kept, interval=0.001)
    recorder.offer(answer(world, "age", user_id=[1]), None)
    assert kept.entered.wait(10)
    recorder.close()
    assert recorder.written == 1


def test_a_full_queue_drops_and_counts(world, caplog):
    kept = Kept()
    recorder = Recorder(kept, queue=2, interval=LONG)
    for _ in range(5):
        recorder.offer(answer(world, "age", user_id=[1]), None)
    assert recorder.dropped == 3
    with caplog.at_level(logging.WARNING):
        recorder.close()
    assert sum(len(batch) for batch in kept.batches) == 2
    assert "3 served vectors were dropped" in caplog.text


def test_the_queue_is_bounded_by_values_not_by_requests(world):
    recorder = Recorder(Kept(), queue=8, interval=LONG)
    recorder.offer(answer(world, "age", "name", user_id=[1, 2, 3]), None)
    recorder.offer(answer(world, "age", user_id=[1, 2, 3]), None)
    recorder.offer(answer(world, "age", user_id=[1, 2]), None)
    assert recorder.dropped == 1
    recorder.close()
    assert recorder.written == 2


def test_a_log_that_hangs_holds_nobody_up(world):
    kept = Kept()
    kept.gate.clear()
    recorder = Recorder(kept, queue=2, interval=0.001)
    recorder.offer(answer(world, "age", user_id=[1]), None)
    assert kept.entered.wait(10)
    for _ in range(3):
        recorder.offer(answer(world, "age", user_id=[1]), None)
    assert recorder.dropped == 2
    kept.gate.set()
    recorder.close()
    assert recorder.written == 2


def test_a_log_that_fails_is_told_of_and_tried_again(world, caplog):
    kept = Kept()
    kept.error = OSError("the disk is full")
    recorder = Recorder(kept, interval=0.001)
    with caplog.at_level(logging.ERROR):
        recorder.offer(answer(world, "age", user_id=[1]), None)
        assert kept.entered.wait(10)
        while recorder.dropped == 0:
            recorder._stop.wait(0.001)
    kept.error = None
    recorder.offer(answer(world, "age", user_id=[1]), None)
    recorder.close()
    assert (recorder.dropped, recorder.written) == (1, 1)
    assert "1 served vectors can't be logged" in caplog.text


def test_the_sample(world):
    draws = iter([0.1, 0.3, 0.2, 0.9])
    recorder = Recorder(Kept(), sample=0.25, interval=LONG, draw=lambda: next(draws))
    for _ in range(4):
        recorder.offer(answer(world, "age", user_id=[1]), None)
    recorder.close()
    assert (recorder.written, recorder.dropped) == (2, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample": 0.0}, r"sample 0\.0 is not within"),
        ({"sample": 1.5}, r"sample 1\.5 is not within"),
        ({"target": "nowhere:make"}, "vector log 'nowhere:make' can't be imported"),
        ({"target": "json:nothing"}, "can't be imported"),
        ({"target": ""}, "write 'jsonl' or 'package.module:factory'"),
        ({"options": {"folder": "x"}}, "vector log 'jsonl': .*folder"),
        ({"options": {"path": "/dev/null/x"}}, "vector log: folder '/dev/null/x' can't be made"),
    ],
)
def test_settings_that_are_wrong(settings, message):
    with pytest.raises(ConfigError, match=message):
        open_recorder(VectorLogSettings(**settings))


def test_a_log_by_its_import_path(world):
    settings = VectorLogSettings(target="serving.test_vectors:Kept", options={"a": 1})
    recorder = open_recorder(settings)
    recorder.close()
    assert recorder._vectors.options == {"a": 1}


def test_lines_of_json(world, tmp_path):
    world.put(USERS, [4], T, score=float("nan"), joined=None)
    settings = VectorLogSettings(options={"path": str(tmp_path / "log")}, interval=LONG)
    app = application(world, open_recorder=lambda: open_recorder(settings))
    for user in (1, 4):
        post(app, {"features": ["score", "joined"], "entities": {"user_id": [user, None]}})
    post(app, {"features": ["unknown"], "entities": {"user_id": [1]}})
    app.close()
    [file] = (tmp_path / "log").iterdir()
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first == {
        "t": T,
        "generation": 3,
        "service": None,
        "entities": {"user_id": [1, None]},
        "features": [
            {
                "name": "score",
                "feature": "score",
                "version": "1.0.0",
                "revisions": ["r-users"],
                "dtype": "float64",
                "values": [0.25, 0.5],
                "statuses": ["PRESENT", "NOT_FOUND"],
                "event_times": [T - MINUTE, None],
            },
            {
                "name": "joined",
                "feature": "joined",
                "version": "1.0.0",
                "revisions": ["r-users"],
                "dtype": "timestamp",
                "values": [T // 10**6 - 86_400, None],
                "statuses": ["PRESENT", "NOT_FOUND"],
                "event_times": [T - MINUTE, None],
            },
        ],
    }
    assert second["features"][0]["values"] == ["NaN", 0.5]
    [count] = duckdb.sql(f"SELECT count(*) FROM read_json('{tmp_path}/log/*.jsonl')").fetchall()
    assert count == (2,)


def test_a_file_that_is_full_gives_way_to_the_next(world, tmp_path):
    recorder = Recorder(JsonLines(tmp_path / "log", max_bytes=1), interval=LONG)
    for _ in range(3):
        recorder.offer(answer(world, "age", user_id=[1]), None)
        recorder._flush()
    recorder.close()
    files = list((tmp_path / "log").iterdir())
    assert len(files) == 3
    assert all(len(file.read_text().splitlines()) == 1 for file in files)
