"""history and registry verify, on the project that `init` makes."""

import json

from cli.test_commands import EDIT, edit
from cli.test_govern import changing  # noqa: F401


def test_history_of_a_feature(headwater, changing):  # noqa: F811
    edit(changing, *EDIT)
    assert headwater("apply").code == 0
    assert headwater("rollback", "orders_7d", "1.0").code == 0
    result = headwater("history", "orders_7d")
    assert result.err == "3 changes\n"
    lines = [line for line in result.out.splitlines() if not line.startswith(" ")]
    assert [line.split()[3:6] for line in lines] == [
        ["rollback", "feature", "orders_7d"],
        ["version", "feature", "orders_7d"],
        ["create", "feature", "orders_7d"],
    ]
    assert "    status: (none) -> active" in result.out
    found = json.loads(headwater("history", "--change", "rollback", "--json").out)
    assert found["total"] == 1
    assert found["changes"][0]["new_version"] == "1.0.0_rollback"
    assert headwater("history", "--since", "2999-01-01").err == "0 changes\n"
    assert json.loads(headwater("history", "--author", "nobody", "--json").out)["total"] == 0


def test_mistakes(headwater, served):
    result = headwater("history", "--change", "rolback")
    assert (result.code, "did you mean 'rollback'?" in result.err) == (2, True)
    assert headwater("history", "--kind", "model").code == 2
    result = headwater("history", "nothing", "--kind", "feature")
    assert (result.code, result.err) == (1, "error: no feature 'nothing'\n")
    assert headwater("registry", "verify", "--anchor", "x").code == 2


def test_verify(headwater, changing):  # noqa: F811
    result = headwater("registry", "verify")
    assert result.code == 0
    generation, digest = result.out.strip().split(":")
    assert result.err.startswith(f"{generation} of {generation} commits")
    assert headwater("registry", "verify", "--anchor", f"{generation}:{digest}").code == 0
    result = headwater("registry", "verify", "--anchor", f"{generation}:00")
    assert (result.code, "is not the one of digest 00" in result.err) == (1, True)
