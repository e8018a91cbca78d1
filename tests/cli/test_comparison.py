"""plan, apply and show tell how values differ, on the project that `init` makes."""

import json

import pytest

from cli.test_commands import edit


def test_what_the_plan_shows_is_what_is_kept(headwater, fresh):
    assert headwater("apply").code == 0
    edit(fresh, "sum(amount)", "sum(amount * 1)")
    text = headwater("plan").out
    assert "spend_30d 1.0.0 -> 1.0.1 (patch: none of " in text
    assert "keys of orders, " in text

    edit(fresh, "amount * 1", "amount) + (1.5")
    planned = json.loads(headwater("plan", "--json").out)
    assert planned == json.loads(headwater("plan", "--json").out)
    spend, basket = (
        next(f for f in planned["features"] if f["name"] == name)
        for name in ("spend_30d", "basket_30d")
    )
    assert (spend["new_version"], spend["bump"]) == ("2.0.0", "major")
    difference = spend["comparison"]["difference"]
    assert difference["max_abs"] == pytest.approx(1.5)
    assert len(difference["examples"]) == 5
    # What is computed from it is looked at as well.
    assert basket["bump"] == "major"
    assert basket["comparison"]["difference"]["differing"] > 0

    out = headwater("apply").out
    assert "sampled values differ, at most by 1.5 (1.5 on average; " in out
    shown = json.loads(headwater("show", "spend_30d", "--json").out)["versions"]
    assert [(v["version"], v["bump"]) for v in shown] == [("2.0.0", "major"), ("1.0.0", None)]
    assert shown[0]["comparison"] == spend["comparison"]
    assert f"differing: {difference['differing']}\n" in headwater("show", "spend_30d").out
