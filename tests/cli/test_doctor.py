"""doctor on the project that `init` makes, well and broken in each part; names in a shell."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from cli.test_commands import EDIT, edit
from cli.test_govern import changing
from headwater.examining import _file_system
from headwater.registry.kinds import Run, new_id
from headwater.store import FeatureStore

__all__ = ["changing"]


def findings(headwater, *before):
    result = headwater(*before, "doctor", "--json")
    return result.code, {(f["part"], f["status"]): f for f in json.loads(result.out)}


def test_a_project_that_is_well(headwater, served):
    result = headwater("doctor")
    assert result.code == 0
    assert {line.split()[0] for line in result.out.splitlines()} == {"ok"}
    assert "0 failed, 0 to look after" in result.err


def test_what_a_new_project_lacks(headwater, fresh):
    code, found = findings(headwater)
    assert code == 0
    assert found["registry", "warning"]["fix"] == "headwater apply"
    assert "serving" not in {part for part, _ in found}
    assert headwater("apply").code == 0
    code, found = findings(headwater)
    assert found["freshness", "warning"]["detail"].startswith("views without values: user_orders")


def test_files_that_differ(headwater, changing):
    edit(changing, *EDIT)
    code, found = findings(headwater)
    assert code == 0
    assert "orders_7d" in found["definitions", "warning"]["detail"]


def test_a_source_that_is_gone(headwater, changing):
    (changing / "data/orders.csv").rename(changing / "data/old.csv")
    code, found = findings(headwater)
    assert code == 1
    assert "no file matches 'data/orders.csv'" in found["definitions", "failed"]["detail"]
    assert ("serving", "ok") in found


def test_a_registry_that_is_none(headwater, changing):
    for file in (changing / ".headwater").glob("registry.db*"):
        file.unlink()
    (changing / ".headwater/registry.db").write_bytes(b"this is no database" * 100)
    code, found = findings(headwater)
    assert code == 1
    assert ("registry", "failed") in found
    assert not {"definitions", "serving", "freshness", "runs"} & {part for part, _ in found}


def test_a_trail_that_was_edited(headwater, changing):
    edit(changing, *EDIT)
    assert headwater("apply").code == 0
    with sqlite3.connect(changing / ".headwater/registry.db") as db:
        db.execute(
            "UPDATE commits SET body = replace(body, 'orders', 'orderz') WHERE generation = 1"
        )
    db.close()
    code, found = findings(headwater)
    assert code == 1
    assert ("registry", "failed") in found


def test_an_online_store_that_was_emptied(headwater, changing):
    shutil.rmtree(changing / ".headwater/online")
    code, found = findings(headwater)
    assert code == 0
    assert "serves nothing" in found["serving", "warning"]["detail"]
    assert ("freshness", "warning") in found


def test_a_run_that_failed(headwater, changing):
    store = FeatureStore(changing)
    at = time.time_ns() // 1000
    view = store.analyzed().views["user_orders"]
    run = Run(
        new_id(at), "materialize", view.name, view.revision, at, status="failed", error="no disk"
    )
    store.registry.put(store.project, [run])
    store.close()
    _, found = findings(headwater)
    said = found["runs", "warning"]
    assert said["detail"] == "the last materialize of 'user_orders' failed: no disk"
    assert said["fix"] == "headwater materialize user_orders"


def test_the_longest_mount_is_the_file_system(tmp_path):
    kind = _file_system(tmp_path)
    assert bool(kind) == sys.platform.startswith("linux")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("headwater show or", ["orders", "orders_30d", "orders_7d"]),
        ("headwater get or", ["orders_30d", "orders_7d"]),
        ("headwater materialize user_p", ["user_profile"]),
        ("headwater doc", ["doctor"]),
        ("headwater -C /nowhere show or", []),
    ],
)
def test_a_shell_completes_names(served, words, expected):
    given = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_HEADWATER_COMPLETE": "complete_bash",
    }
    done = subprocess.run(
        [sys.executable, "-m", "headwater"],
        env={**os.environ, **given},
        cwd=served,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == expected, done.stderr
