"""Tables and JSON."""

import datetime as dt
import json
from dataclasses import dataclass

from headwater.cli.output import emit_json, emit_table, moment
from headwater.cli.progress import progress
from headwater.compute.progress import Progress


@dataclass
class Report:
    rows: int
    names: tuple[str, ...]


def test_json_holds_every_kind_of_value(capsys):
    at = dt.datetime(2024, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    emit_json(
        {
            "nan": float("nan"),
            "low": float("-inf"),
            "at": at,
            "naive": dt.datetime(2024, 1, 1),  # noqa: DTZ001
            "day": dt.date(2024, 1, 1),
            "raw": b"\x00\xff",
            "report": Report(3, ("a",)),
            "text": "ü",
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "nan": "NaN",
        "low": "-Infinity",
        "at": "2024-01-01T12:00:00Z",
        "naive": "2024-01-01T00:00:00Z",
        "day": "2024-01-01",
        "raw": "AP8=",
        "report": {"rows": 3, "names": ["a"]},
        "text": "ü",
    }


def test_a_table_is_aligned(capsys):
    emit_table(
        [{"name": "a", "tags": ["x", "y"]}, {"name": "long", "tags": None}], ["name", "tags"]
    )
    assert capsys.readouterr().out == "name  tags\na     x, y\nlong\n"


def test_moments():
    assert moment(None) is None
    assert moment(-1) == "1969-12-31T23:59:59.999999Z"


def test_nobody_watches(capsys):
    with progress() as on_progress:
        assert on_progress is None
    assert capsys.readouterr().err == ""


def test_somebody_watches(capsys, monkeypatch):
    monkeypatch.setattr("headwater.cli.progress.shows_progress", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with progress() as on_progress:
        on_progress(Progress("clicks", 500, 1, 2))
        on_progress(Progress("views", 10, 1, 1))
        on_progress(Progress("clicks", 1000, 2, 2))
        on_progress(Progress("clicks", 300, 300, 1000, "writing"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "1,000 rows" in said.err
    assert "clicks" in said.err
    assert "100%" in said.err
    assert "clicks, writing" in said.err
