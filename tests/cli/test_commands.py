"""Each command on the project that `init` makes."""

import json
import re

import pyarrow.parquet as pq
import pytest

from headwater.cli import output

EDIT = ('window="7d"', 'window="8d"')


def edit(project, old, new):
    file = project / "features" / "orders.py"
    file.write_text(file.read_text().replace(old, new))


def test_init_writes_a_project_and_names_what_it_wrote(headwater, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = headwater("init", "My-Shop 2")
    assert (result.code, result.out) == (0, "My-Shop 2\n")
    assert "next: cd 'My-Shop 2' && headwater apply" in result.err
    assert (tmp_path / "My-Shop 2" / "headwater.toml").read_text() == 'project = "my_shop_2"\n'
    made = {str(f.relative_to(tmp_path / "My-Shop 2")) for f in tmp_path.rglob("*") if f.is_file()}
    assert made == {
        "headwater.toml",
        "README.md",
        ".gitignore",
        "features/orders.py",
        "data/make_orders.py",
        "data/orders.csv",
        "data/labels.csv",
    }


def test_init_never_overwrites(headwater, fresh):
    (fresh / "data" / "orders.csv").write_text("mine")
    before = {f: f.read_bytes() for f in fresh.rglob("*") if f.is_file()}
    result = headwater("init", ".")
    assert result.code == 1
    assert "headwater.toml, README.md, .gitignore" in result.err
    assert {f: f.read_bytes() for f in fresh.rglob("*") if f.is_file()} == before


def test_init_in_a_folder_that_is_there(headwater, tmp_path, monkeypatch):
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert headwater("init", ".").code == 0
    assert (tmp_path / "headwater.toml").is_file()


def test_init_needs_a_name(headwater, tmp_path):
    assert headwater("init", tmp_path / "123").code == 2


def test_plan_changes_nothing(headwater, fresh):
    for _ in range(2):
        result = headwater("plan")
        assert result.code == 0
        assert "+ view user_orders" in result.out
    assert headwater("plan", "--detailed-exitcode").code == 3


def test_plan_as_json(headwater, fresh):
    found = json.loads(headwater("plan", "--json").out)
    assert found["has_changes"] is True
    assert {f["name"] for f in found["features"]} >= {"orders_7d", "last_country"}


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_plan_with_errors_says_why_on_stderr(headwater, fresh, command):
    edit(fresh, '"repurchase_model", ["orders_7d"', '"repurchase_model", ["orders_7d@3.0.0"')
    result = headwater(command)
    assert result.code == 1
    assert result.err == (
        "error: this plan can't be applied: feature service 'repurchase_model': feature "
        "'orders_7d' has no version '3.0.0' (versions: 1.0.0)\n"
    )
    assert "Errors: this plan can't be applied:" in result.out
    assert headwater("list", "services").err == "no services; apply some first\n"


def test_apply_then_nothing_to_do(headwater, fresh):
    first = headwater("apply")
    assert first.code == 0
    assert "+ view user_orders" in first.out
    assert first.err == "applied: generation 1\n"
    again = headwater("apply")
    assert (again.code, again.err) == (0, "")
    assert "no changes" in again.out
    assert headwater("plan", "--detailed-exitcode").code == 0


def test_apply_as_json(headwater, fresh):
    found = json.loads(headwater("apply", "--json").out)
    assert found["generation"] == 1
    edit(fresh, *EDIT)
    changed = json.loads(headwater("apply", "--json").out)
    assert [(f["name"], f["new_version"]) for f in changed["features"]] == [("orders_7d", "2.0.0")]


def test_apply_asks_on_a_terminal(headwater, fresh, monkeypatch):
    monkeypatch.setattr("headwater.cli.changes.is_interactive", lambda: True)
    for answer, code in (("n", 1), ("y", 0)):
        monkeypatch.setattr("typer.confirm", lambda *_, said=answer, **__: said == "y")
        result = headwater("apply")
        assert result.code == code
    assert headwater("plan", "--detailed-exitcode").code == 0


def test_a_refusal_applies_nothing(headwater, fresh, monkeypatch):
    monkeypatch.setattr("headwater.cli.changes.is_interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert "nothing was applied" in headwater("apply").err
    assert headwater("plan", "--detailed-exitcode").code == 3


def test_removals_need_a_yes(headwater, fresh):
    headwater("apply")
    edit(fresh, "model = FeatureService", "FeatureService")
    assert "no changes" in headwater("apply").out
    refused = headwater("apply", "--prune")
    assert refused.code == 2
    assert "error: this would remove service 'repurchase_model'" in refused.err
    assert headwater("apply", "--prune", "--yes").code == 0
    assert headwater("plan", "--prune", "--detailed-exitcode").code == 0


def test_directory_and_settings_from_elsewhere(headwater, fresh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry = f"registry=sqlite:///{tmp_path}/other.db"
    assert headwater("-C", fresh, "--set", registry, "apply").code == 0
    assert (tmp_path / "other.db").is_file()
    assert headwater("-C", fresh, "plan", "--detailed-exitcode").code == 3


def test_list(headwater, served):
    lines = headwater("list").out.splitlines()
    assert lines[0].startswith("name")
    assert any(line.startswith("orders_7d") for line in lines)
    for kind in ("views", "entities", "sources", "services", "runs", "history"):
        result = headwater("list", kind)
        assert result.code == 0
        assert len(result.out.splitlines()) >= 2, kind
        assert len(json.loads(headwater("list", kind, "--json").out)) >= 1


def test_list_before_the_first_apply(headwater, fresh):
    result = headwater("list")
    assert (result.code, result.out, result.err) == (0, "", "no features; apply some first\n")
    assert json.loads(headwater("list", "--json").out) == []


def test_show(headwater, served):
    shown = headwater("show", "spend_30d")
    assert shown.code == 0
    assert "sum(amount)" in shown.out
    found = json.loads(headwater("show", "user_orders", "--json").out)
    assert found["name"] == "user_orders"
    assert headwater("show", "user", "--kind", "entity").code == 0


def test_show_what_is_not_there(headwater, served):
    result = headwater("show", "spend_30")
    assert result.code == 1
    assert result.err == "error: there is nothing named 'spend_30'; did you mean 'spend_30d'?\n"


def test_get(headwater, served):
    result = headwater("get", "orders_30d", "last_country", "-k", "user_id=u1", "-k", "user_id=zz")
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert rows[0] == ["user_id", "feature", "value", "status", "event_time", "version"]
    assert [(row[0], row[1]) for row in rows[1:]] == [
        ("u1", "orders_30d"),
        ("u1", "last_country"),
        ("zz", "orders_30d"),
        ("zz", "last_country"),
    ]
    assert rows[3][2:4] == ["0", "PRESENT"]
    assert rows[4][2] == "NOT_FOUND"


def test_get_a_service_as_json(headwater, served):
    found = json.loads(headwater("get", "-s", "repurchase_model", "-k", "user_id=u1", "--json").out)
    assert found["values"]["user_id"] == ["u1"]
    assert found["statuses"]["orders_7d"] == ["PRESENT"]


def test_get_an_unknown_feature(headwater, served):
    result = headwater("get", "orders_8d", "-k", "user_id=u1")
    assert result.code == 1
    assert "did you mean 'orders_7d'?" in result.err


def test_training_set(headwater, served, tmp_path):
    out = tmp_path / "training.parquet"
    arguments = ["training-set", "--spine", "data/labels.csv", "-f", "orders_7d,basket_30d"]
    result = headwater(*arguments, "--out", out)
    assert (result.code, result.out) == (0, f"{out}\n")
    table = pq.ParquetFile(out).read()
    names = ["user_id", "event_timestamp", "bought_again", "orders_7d", "basket_30d"]
    assert table.column_names == names
    assert table.num_rows == 40
    assert headwater(*arguments, "--out", out).code == 2
    found = json.loads(headwater(*arguments, "--out", out, "--force", "--json").out)
    assert (found["rows"], found["columns"]) == (40, names)


def test_training_set_of_a_query(headwater, served, tmp_path):
    query = "SELECT 'u1' AS user_id, now() AS at"
    out = tmp_path / "t.parquet"
    arguments = ["training-set", "-s", "repurchase_model", "--timestamp", "at", "--spine", query]
    assert headwater(*arguments, "--out", out).code == 0
    assert pq.ParquetFile(out).read().num_rows == 1


def test_training_set_explained(headwater, served):
    result = headwater("training-set", "-f", "orders_7d", "--explain")
    assert result.code == 0
    assert "count(*)" in result.out


def test_training_set_explained_as_json(headwater, served):
    text = headwater("training-set", "-f", "orders_7d", "--explain").out
    result = headwater("training-set", "-f", "orders_7d", "--explain", "--json")
    assert json.loads(result.out) == {"explanation": text.splitlines()}


def test_materialize_twice(headwater, fresh):
    headwater("apply")
    first = json.loads(headwater("materialize", "--json").out)
    assert {report["view"] for report in first} == {"user_orders", "user_profile"}
    assert all(report["rows"] and not report["note"] for report in first)
    again = json.loads(headwater("materialize", "user_orders", "--json").out)
    assert again[0]["note"] == "this tick is published, and the source is unchanged"
    assert "note" in headwater("materialize", "user_orders").out


def test_materialize_what_is_not_there(headwater, served):
    result = headwater("materialize", "user_order")
    assert result.code == 1
    assert "did you mean 'user_orders'?" in result.err


def test_backfill(headwater, fresh):
    headwater("apply")
    arguments = ["backfill", "user_orders", "--from", "2020-01-01", "--to", "2020-01-03"]
    assert headwater(*arguments).code == 0
    again = json.loads(headwater(*arguments, "--json").out)
    assert "there already" in again[0]["note"]


def test_failed_rules_are_told(headwater, fresh):
    edit(fresh, "Range(min=0)", "Range(min=1e9)")
    headwater("apply")
    result = headwater("materialize", "user_orders")
    assert result.code == 0
    assert "feature 'spend_30d': 40 of 40 rows failed range(min=" in result.err


@pytest.mark.parametrize("text", ["u1", "1.5"])
def test_keys_are_typed(headwater, fresh, text):
    edit(fresh, '"user_id": "string"', '"user_id": "int64"')
    source = fresh / "data" / "orders.csv"
    source.write_text(re.sub(r",u(\d)", r",\1", source.read_text()))
    assert headwater("apply").code == 0
    assert headwater("materialize").code == 0
    good = json.loads(headwater("get", "last_amount", "-k", "user_id=1", "--json").out)
    assert good["values"]["user_id"] == [1]
    bad = headwater("get", "last_amount", "-k", f"user_id={text}")
    assert bad.code == 2
    assert "user_id is a whole number" in bad.err


def test_is_interactive_needs_both_sides(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(output, "shows_progress", lambda: False)
    assert output.is_interactive() is False


def test_serve_passes_its_options_as_settings(headwater, fresh, monkeypatch):
    served = []

    def serve(settings, *, control):
        assert control.settings["given"]["serve__port"] == settings.serve.port
        served.append(settings)

    monkeypatch.setattr("headwater.serving.server.serve", serve)
    assert headwater("serve", "--host", "0.0.0.0", "--port", "0", "--workers", "3").code == 0
    assert headwater("--set", "serve.port=8600", "serve").code == 0
    assert [(s.serve.host, s.serve.port, s.serve.workers) for s in served] == [
        ("0.0.0.0", 0, 3),
        ("127.0.0.1", 8600, 1),
    ]


PAGES = """
from headwater import Entity, Feature, FeatureView, Source

def made(name, key, dtype):
    source = Source(
        f"pages_{name}", query=f"SELECT {key} AS page, 7 AS n, TIMESTAMP '2024-01-01' AS at",
        event_time="at",
    )
    entity = Entity(f"page_{name}", join_keys={"page": dtype})
    return FeatureView(f"by_{name}", entity=entity, source=source, features=[Feature(name, "n")])

views = [made("numbered", "7::BIGINT", "int64"), made("named", "'7'", "string")]
"""


def test_get_reads_keys_in_the_types_of_what_is_asked(headwater, fresh):
    (fresh / "features" / "pages.py").write_text(PAGES)
    assert headwater("apply").code == 0
    assert headwater("materialize", "by_numbered", "by_named").code == 0
    for feature in ("numbered", "named"):
        result = headwater("get", feature, "-k", "page=7")
        assert result.code == 0, result.err
        assert result.out.splitlines()[1].split()[2:4] == ["7", "PRESENT"]


NEAR = """
from features.orders import user
from headwater import Feature, FeatureView

near = FeatureView(
    "near",
    entity=user,
    features=[
        Feature(
            "nearness",
            "array_inner_product(query, array_value(coalesce(spend_30d, 0.0), 2.0))",
            request={"query": "vector[float64, 2]"},
        )
    ],
)
"""


def test_a_value_of_a_request_with_parts_is_written_as_json(headwater, fresh):
    (fresh / "features" / "near.py").write_text(NEAR)
    assert headwater("apply").code == 0
    found = headwater("get", "nearness", "-k", "user_id=nobody", "-k", "query=[0, 2.5]")
    assert (found.code, found.err) == (0, "")
    assert " 5.0 " in found.out
    wrong = headwater("get", "nearness", "-k", "user_id=nobody", "-k", "query=1,2")
    assert wrong.code == 2
    assert "query is vector[float64, 2]; write it as JSON" in " ".join(wrong.err.split())
