"""spine label and sample, from files to a training set."""

import json

import pyarrow.parquet as pq

SHOWN = """SELECT 'i' || n AS impression_id, 'u' || (n % 9) AS user_id,
    TIMESTAMPTZ '2026-01-01 00:00Z' + n * INTERVAL 1 MINUTE AS event_time FROM range(600) t(n)"""
CLICKS = "SELECT impression_id, event_time FROM ({}) WHERE impression_id LIKE '%7'"
ASKED = ("spine", "label", "--on", "impression_id", "--within", "30m")


def test_from_events_to_a_training_set(headwater, served, tmp_path):
    spine, kept = tmp_path / "spine.parquet", tmp_path / "sample.parquet"
    rows = ("--impressions", SHOWN, "--outcomes", CLICKS.format(SHOWN))
    made = headwater(*ASKED, *rows, "--until", "2026-01-01T10:00Z", "--out", spine, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["rows"] == 571  # those of the first nine and a half hours
    assert sum(pq.read_table(spine)["label"].to_pylist()) == 57
    sample = ("spine", "sample", "--spine", spine, "--keys", "impression_id", "--out", kept)
    done = headwater(*sample, "--ratio", "1")
    assert (done.code, done.out) == (0, f"{kept}\n")
    assert 57 < pq.read_metadata(kept).num_rows < 200
    training = ("training-set", "--spine", kept, "-f", "orders_7d", "--out", tmp_path / "t.parquet")
    assert headwater(*training).code == 0
    marked = headwater(
        *ASKED,
        *rows,
        "--until",
        "2026-01-01T10:00Z",
        "--mark",
        "--force",
        "--keys",
        "user_id",
        "--out",
        spine,
        "--json",
    )
    assert json.loads(marked.out)["columns"][:2] == ["user_id", "event_timestamp"]
    assert pq.read_table(spine)["label"].null_count == 29


def test_mistakes(headwater, served, tmp_path):
    out = ("--out", tmp_path / "s.parquet")
    assert "give the rows with --impressions" in headwater(*ASKED, *out).err
    none = headwater(*ASKED, "--impressions", "no.parquet", "--outcomes", "x.parquet", *out)
    assert (none.code, "--impressions no.parquet: there is no such file" in none.err) == (2, True)
    other = headwater(*ASKED, "--impressions", SHOWN, "--outcomes", "SELECT 1 AS x", *out)
    assert (other.code, "outcomes: no column" in other.err) == (1, True)
    both = headwater("spine", "sample", "--spine", SHOWN, "--rate", "0.1", "--label", "lab", *out)
    assert (both.code, "no column 'lab'" in both.err) == (1, True)
