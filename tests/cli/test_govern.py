"""rollback on the project that `init` makes."""

import json
import re
import shutil

import pytest

from cli.test_commands import EDIT, edit


@pytest.fixture
def changing(_served, tmp_path, monkeypatch):
    """A copy of the project with applied and materialized features, to be changed."""
    monkeypatch.chdir(shutil.copytree(_served, tmp_path / "shop"))
    return tmp_path / "shop"


def test_rollback_serves_what_was_served(headwater, changing):
    def orders():
        return json.loads(headwater("get", "orders_7d", "--key", "user_id=u1", "--json").out)

    before = orders()
    edit(changing, *EDIT)
    assert headwater("apply").code == headwater("materialize").code == 0
    result = headwater("rollback", "orders_7d", "1.0")
    assert (result.code, result.out) == (0, "")
    assert result.err == "rolled back: orders_7d 2.0.0 -> 1.0.0_rollback\n"
    after = orders()
    assert json.dumps(after).replace("1.0.0_rollback", "1.0.0") == json.dumps(before)
    assert "no changes" in headwater("apply").out
    again = headwater("rollback", "orders_7d", "1.0.0")
    assert "1.0.0_rollback -> 1.0.0_rollback2" in again.err


def test_rollback_says_what_it_leaves(headwater, changing):
    edit(changing, '"count(*)", window="30d"', '"count(*)", window="31d"')
    edit(
        changing,
        '["orders_7d", "basket_30d", "last_country"]',
        '["orders_7d", "orders_30d@1.0.0", "last_country"]',
    )
    assert headwater("apply").code == 0
    found = json.loads(headwater("rollback", "orders_30d", "1.0.0", "--json").out)
    assert found == {
        "feature": "orders_30d",
        "version": "1.0.0_rollback",
        "replaced": "2.0.0",
        "still_read_by": ["basket_30d@2.0.0"],
        "pinned_services": [],
    }


def test_mistakes_of_a_rollback(headwater, served):
    for arguments, message in (
        (("orders_7", "1.0.0"), "no feature 'orders_7'; did you mean 'orders_7d'?"),
        (("orders_7d", "9.0.0"), "has no version '9.0.0' (versions: 1.0.0)"),
        (("orders_7d", "1.0.0"), "'1.0.0' is the current one"),
    ):
        result = headwater("rollback", *arguments)
        assert (result.code, result.out) == (1, "")
        assert message in result.err


def test_services_that_are_pinned_are_told_and_moved(headwater, changing):
    edit(changing, *EDIT)
    edit(changing, '["orders_7d", "basket_30d"', '["orders_7d@2.0.0", "basket_30d"')
    assert headwater("apply").code == headwater("materialize").code == 0
    said = headwater("rollback", "orders_7d", "1.0.0").err
    name = json.loads(headwater("list", "services", "--json").out)[0]["name"]
    assert f"pinned to 2.0.0, not changed: {name}; " in said
    command = re.search(r"'headwater (repin [^']*)' moves them", said)[1].split()
    moved = headwater(*command)
    assert (moved.code, moved.out) == (0, "")
    assert moved.err == f"re-pinned: {name}: orders_7d 2.0.0 -> 1.0.0\n"
    assert "no service is pinned to orders_7d@2.0.0" in headwater(*command).err
    plan = headwater("plan")
    assert "would read orders_7d@2.0.0, which was rolled back at" in plan.out
    found = json.loads(
        headwater("repin", "orders_7d", "1.0", "2.0", "--service", name, "--json").out
    )
    assert found == {"feature": "orders_7d", "from": "1.0.0", "to": "2.0.0", "services": [name]}
    assert headwater("repin", "orders_7d", "1.0.0", "2.0.0", "-s", "x").code == 1
