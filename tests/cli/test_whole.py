"""A project through the command line, from `init` to a change, and what breaks on the way."""

import json

import pyarrow.parquet as pq


def edit(project, old, new):
    file = project / "features" / "orders.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def said(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_from_definitions_to_values_and_through_a_change(headwater, fresh, tmp_path):
    assert headwater("plan", "--detailed-exitcode").code == 3
    assert headwater("apply").code == 0
    reports = said(headwater("materialize", "--json"))
    tick = next(report["tick"] for report in reports if report["view"] == "user_orders")

    features = ["orders_7d", "spend_30d", "basket_30d"]
    keys = [part for user in ("u1", "u2", "nobody") for part in ("-k", f"user_id={user}")]
    online = said(headwater("get", *features, *keys, "--json"))
    spine = (
        f"SELECT u AS user_id, TIMESTAMPTZ '{tick}' AS event_timestamp "
        "FROM unnest(['u1', 'u2', 'nobody']) AS t(u)"
    )
    out = tmp_path / "training.parquet"
    wanted = ["-f", ",".join(features)]
    assert headwater("training-set", *wanted, "--spine", spine, "--out", out).code == 0
    offline = pq.ParquetFile(out).read()
    for name in features:
        assert online["values"][name] == offline[name].to_pylist()
    assert online["statuses"]["orders_7d"] == ["PRESENT"] * 3

    day = tick[:10]
    arguments = ["--from", "2020-01-01", "--to", day]
    (filled,) = said(headwater("backfill", "user_orders", *arguments, "--json"))
    assert filled["rows"] == filled["written"]
    runs = said(headwater("list", "runs", "--json"))
    assert [(run["operation"], run["status"]) for run in runs] == [
        ("backfill", "done"),
        ("materialize", "done"),
        ("materialize", "done"),
    ]

    edit(fresh, 'window="7d"', 'window="14d"')
    change = said(headwater("plan", "--json"))
    assert [f["name"] for f in change["features"] if f["bump"] == "major"] == ["orders_7d"]
    assert headwater("apply").code == 0
    both = ["-f", "orders_7d@1.0.0"]
    again = tmp_path / "again.parquet"
    assert headwater("training-set", *both, "--spine", spine, "--out", again).code == 0
    assert pq.ParquetFile(again).read()["orders_7d"].to_pylist() == online["values"]["orders_7d"]
    still = said(headwater("get", "spend_30d", *keys, "--json"))
    assert still["values"]["spend_30d"] == online["values"]["spend_30d"]
    assert said(headwater("materialize", "--json"))
    now = said(headwater("get", "orders_7d", *keys, "--json"))
    assert now["versions"]["orders_7d"] == "2.0.0"
    versions = said(headwater("show", "orders_7d", "--json"))["versions"]
    assert [version["version"] for version in versions] == ["2.0.0", "1.0.0"]
    assert [row["generation"] for row in said(headwater("list", "history", "--json"))] == [2, 1]


def test_a_source_that_has_gone_is_one_line_and_exit_1(headwater, fresh):
    assert headwater("apply").code == 0
    (fresh / "data" / "orders.csv").unlink()
    for arguments in (
        ["materialize"],
        ["backfill", "user_orders", "--from", "2020-01-01", "--to", "2020-01-02"],
        ["plan"],
    ):
        result = headwater(*arguments)
        assert (result.code, result.out) == (1, ""), arguments
        assert result.err.startswith("error: source 'orders': field 'path': no file matches")
        assert result.err.count("\n") == 1


def test_a_view_that_fails_leaves_the_others_served_and_exits_1(headwater, fresh):
    edit(fresh, "default=0.0,", "")
    edit(fresh, '"sum(amount)"', '"sum(CAST(4e18 AS BIGINT))"')
    assert headwater("apply").code == 0
    failed = headwater("materialize")
    assert failed.code == 1
    assert failed.err.startswith("error: ")
    assert "Traceback" not in failed.err
    found = said(headwater("get", "last_country", "-k", "user_id=u1", "--json"))
    assert found["statuses"]["last_country"] == ["PRESENT"]
    runs = said(headwater("list", "runs", "--json"))
    assert {run["status"] for run in runs} == {"done", "failed"}
