"""headwater registry copy."""

import json

import pytest

from headwater.registry.store import open_registry

PLACE = "sqlite:///.headwater/registry.db"


def test_copy_moves_the_registry(headwater, served, tmp_path, monkeypatch):
    monkeypatch.setenv("TARGET", f"sqlite:///{tmp_path}/copy.db")
    result = headwater("registry", "copy", PLACE, "env:TARGET", "--json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    assert row["generation"] == 1
    assert row["copied"] == row["objects"] == sum(row["counts"].values()) > 4
    before, after = (
        open_registry(f"sqlite:///{served}/.headwater/registry.db"),
        open_registry(f"sqlite:///{tmp_path}/copy.db"),
    )
    assert after.head(row["project"]) == before.head(row["project"])
    before.close()
    after.close()
    again = headwater("registry", "copy", PLACE, "env:TARGET")
    assert again.code == 0
    assert f"copied 0 of {row['objects']} objects" in again.err
    assert row["sha256"] in again.out


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([PLACE, "env:NOWHERE"], "env:NOWHERE: the environment has no variable NOWHERE"),
        ([PLACE, PLACE], "FROM and TO are the same registry"),
    ],
)
def test_wrong_places_are_wrong_usage(headwater, served, places, expected):
    result = headwater("registry", "copy", *places)
    assert result.code == 2
    assert expected in " ".join(result.err.split())


def test_paths_start_at_the_directory(headwater, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = headwater("-C", served, "registry", "copy", PLACE, f"sqlite:///{tmp_path}/copy.db")
    assert result.code == 0
    assert (tmp_path / "copy.db").exists()
