"""YAML files that declare objects: the same model as Python, errors with their line."""

import sys

import pytest

from headwater.errors import DefinitionError
from headwater.loading import load_files

FULL = """\
entities:
  - name: user
    join_keys: {user_id: string}
sources:
  - name: events
    path: data/*.parquet
    event_time: t
    id: [event_id, part]
views:
  - name: clicks
    entity: user
    source: events
    update_frequency: daily
    at: 17:30
    timezone: Europe/Berlin
    ttl: 30d
    features:
      - name: clicks_7d
        expression: count(*) FILTER (WHERE kind = 'click')
        window: 7d
        default: 0
        validation_rules:
          - {rule_type: range, parameters: {min: 0, max: 1e3}, is_blocking: true}
      - {name: since, default: 2024-01-01, expression: "CAST(t AS DATE)"}
services:
  - name: model
    features: [clicks:clicks_7d, {feature: since, alias: no}]
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def load(root, text):
    (root / "features.yaml").write_text(text)
    return load_files(root, ["features.yaml"])


def test_every_kind_of_object(tmp_path):
    found = load(tmp_path, FULL)
    view = found.views["clicks"]
    assert (view.at, view.timezone, view.entity) == ("17:30", "Europe/Berlin", "user")
    assert view.features[0].default == 0
    assert view.features[0].validation_rules[0].parameters == {"min": 0, "max": 1000.0}
    assert view.features[1].default == "2024-01-01"
    assert found.sources["events"].id == ("event_id", "part")
    assert [ref.output for ref in found.services["model"].features] == ["clicks_7d", "no"]


def test_python_reads_it_the_same(tmp_path):
    found = load(tmp_path, FULL)
    again = [type(each).from_dict(each.to_dict()) for each in found.objects()]
    assert again == found.objects()


def test_an_empty_file_and_an_empty_section(tmp_path):
    assert load(tmp_path, "").objects() == []
    assert load(tmp_path, "entities:\nviews: []\n").objects() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "1: expected lists under entities, sources, views, services"),
        ("views: []\nentites: []\n", "2: unknown section 'entites'; did you mean 'entities'?"),
        ("entities: {user: 1}\n", "1: section 'entities': give a list"),
        ("entities:\n  - user\n", "2: entity: give a mapping of its fields"),
        ("entities: []\nentities: []\n", "2: 'entities' is given twice"),
        (
            "entities:\n  - name: user\n    join_keys: {a: string}\n    name: user2\n",
            "4: 'name' is given twice",
        ),
        (
            "entities:\n  - name: user\n    join_keys: {a: string, a: int64}\n",
            "3: 'a' is given twice",
        ),
        (
            "entities:\n\n  - name: user\n    join_key: {a: string}\n",
            "3: entity 'user': field 'join_keys' is required\n"
            "features.yaml:3: entity 'user': unknown field 'join_key'; did you mean 'join_keys'?",
        ),
        (
            "views:\n  - name: v\n    features:\n      - {name: f, window: 7days}\n",
            "2: feature view 'v': feature 'f': field 'window': '7days' is not a duration; "
            "write a number and one of us ms s m h d w, as in '7d'",
        ),
        ("entities: [\n", "2: expected the node content, but found '<stream end>'"),
        (
            "entities:\n  - name: e\n    owner: !!python/object/apply:os.system [ls]\n",
            "3: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        (
            "entities:\n  - {[name]: e}\n",
            "2: a key is a plain text",
        ),
    ],
)
def test_errors_name_the_line(tmp_path, text, expected):
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == f"features.yaml:{expected}"


def test_plain_values_are_those_of_yaml_1_2(tmp_path):
    owners = ["no", "yes", "on", "010", "1_000", "17:30", "2024-01-01", "1e3x"]
    items = "".join(
        f"  - {{name: e{n}, join_keys: {{a: string}}, owner: {owner}}}\n"
        for n, owner in enumerate(owners)
    )
    found = load(tmp_path, f"entities:\n{items}")
    assert [entity.owner for entity in found.entities.values()] == owners


def test_bytes_that_are_not_text(tmp_path):
    (tmp_path / "features.yaml").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(DefinitionError, match=r"^features.yaml"):
        load_files(tmp_path, ["features.yaml"])
