"""Python files that declare objects: collected, isolated, importable, errors with their line."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from headwater.config import local_settings
from headwater.errors import DefinitionError
from headwater.loading import definition_files, load_definitions, load_files

PATTERNS = ("features.py", "features.yaml", "features/**/*.py", "features/**/*.yaml")

ENTITIES = """
    from headwater import Entity, Source

    user = Entity("user", {"user_id": "string"})
    events = Source("events", path="events.parquet", event_time="t")
"""
VIEW = """
    from headwater import Feature, FeatureView
    from features.base import events, user

    clicks = FeatureView("clicks", entity=user, source=events, features=[
        Feature("clicks_7d", "count(*)", window="7d"),
    ])
"""


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch):
    # a project that other tests have opened may have a file of that name
    own = [place for place in sys.path if not (Path(place) / "features.py").exists()]
    monkeypatch.setattr(sys, "path", own)
    for name in [name for name in sys.modules if name.partition(".")[0] == "features"]:
        monkeypatch.delitem(sys.modules, name)
    before = dict(sys.modules)
    yield
    for name in [name for name in sys.modules if name not in before]:
        if name.partition(".")[0] == "features":
            del sys.modules[name]


def write(root, **files):
    """Files by name, with a double underscore for the slash."""
    for name, text in files.items():
        file = root / f"{name.replace('__', '/', 1)}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"))


def load(root):
    return load_files(root, PATTERNS)


def message(root):
    with pytest.raises(DefinitionError) as caught:
        load(root)
    return str(caught.value)


def test_all_objects_at_the_top_of_modules(tmp_path):
    lists = """
        from headwater import Feature, FeatureService, FeatureView
        views = [FeatureView(f"v{n}", features=[Feature(f"f{n}", "x")]) for n in range(2)]
        feature_alone = Feature("ignored", "x")
        service = FeatureService("model", ["f0", "clicks_7d"])
    """
    write(tmp_path, features__base=ENTITIES, features__ads=VIEW, features__lists=lists)
    found = load(tmp_path)
    assert list(found.entities) == ["user"]
    assert list(found.sources) == ["events"]
    assert list(found.views) == ["clicks", "v0", "v1"]
    assert list(found.services) == ["model"]


def test_one_file_is_enough(tmp_path):
    write(tmp_path, features=ENTITIES)
    assert list(load_definitions(local_settings(tmp_path)).sources) == ["events"]


def test_an_edit_is_read_at_once(tmp_path):
    write(tmp_path, features=ENTITIES)
    load(tmp_path)
    write(tmp_path, features=ENTITIES.replace("string", "binary"))
    assert load(tmp_path).entities["user"].join_keys == {"user_id": "bytes"}


def test_two_projects_with_files_of_one_name(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for root, dtype in ((first, "string"), (second, "int64")):
        root.mkdir()
        write(root, features__base=ENTITIES.replace("string", dtype), features__ads=VIEW)
    for root, dtype in ((first, "string"), (second, "int64"), (first, "string")):
        assert load(root).entities["user"].join_keys == {"user_id": dtype}


def test_helpers_are_those_of_the_project(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for root, dtype in ((first, "string"), (second, "int64")):
        root.mkdir()
        write(root, features___base=ENTITIES.replace("string", dtype))
        write(root, features__ads=VIEW.replace(".base", "._base"))
    for root, dtype in ((first, "string"), (second, "int64"), (first, "string")):
        assert load(root).entities["user"].join_keys == {"user_id": dtype}


def test_functions_are_found_again_by_path(tmp_path):
    module = """
        from headwater import Feature, FeatureView, feature_function

        @feature_function(inputs=["x"], output="float64")
        def doubled(frame):
            return frame["x"]

        view = FeatureView("v", features=[Feature("twice", doubled)])
    """
    write(tmp_path, features__math=module)
    ref = load(tmp_path).views["v"].features[0].function
    assert ref.path == "features.math:doubled"
    assert ref.load()({"x": 3}) == 3
    del sys.modules["features.math"], sys.modules["features"]
    importlib.invalidate_caches()
    assert ref.load()({"x": 3}) == 3


def test_helpers_are_not_read_but_can_be_imported(tmp_path):
    write(tmp_path, features___base=ENTITIES, features__ads=VIEW.replace(".base", "._base"))
    assert [file.name for file in definition_files(tmp_path, PATTERNS)] == ["ads.py"]
    assert list(load(tmp_path).entities) == ["user"]


def test_a_package_is_run_first(tmp_path):
    write(tmp_path, features____init__="OWNER = 'ads'", features__base=ENTITIES)
    write(tmp_path, features__ads="from features import OWNER\n")
    assert list(load(tmp_path).entities) == ["user"]


def test_two_files_that_disagree(tmp_path):
    other = ENTITIES.replace("string", "int64")
    write(tmp_path, features__base=ENTITIES, features__more=other, features__ads=VIEW)
    assert message(tmp_path) == (
        "two entities named 'user' disagree in 'join_keys': "
        "declared in features/base.py:3 and in features/more.py:3"
    )


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("x = 1\ny = z\n", "features.py:2: NameError: name 'z' is not defined"),
        ("x = 1\ndef f(:\n", "features.py:2: SyntaxError: invalid syntax"),
        (
            "import nothing_of_that_name\n",
            "features.py:1: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        (
            "from headwater import Entity\n\nuser = Entity('user', {'a': 'strin'})\n",
            "features.py:3: entity 'user': field 'join_keys.a': 'strin' is not a type; "
            "did you mean 'string'? (types: bool, int32, int64, float32, float64, string, bytes, "
            "timestamp, date, decimal(digits, scale), list[...], struct[name: type, ...], "
            "map[key, value], vector[float32, size])",
        ),
        ("raise RuntimeError\n", "features.py:1: RuntimeError"),
    ],
)
def test_errors_name_the_line(tmp_path, module, expected):
    write(tmp_path, features=module)
    assert message(tmp_path) == expected


def test_an_error_in_a_helper_names_the_helper(tmp_path):
    write(tmp_path, features___base="import json\njson.loads('{')\n")
    write(tmp_path, features__ads="import features._base\n")
    assert message(tmp_path).startswith("features/_base.py:2: JSONDecodeError: Expecting")


def test_no_files(tmp_path):
    assert message(tmp_path) == (
        f"no definitions: no file below {tmp_path} matches {', '.join(PATTERNS)}; "
        "declare features in one of them, or set 'definitions.paths'"
    )


@pytest.mark.parametrize("pattern", ["../features.py", "/features.py"])
def test_files_outside_the_project(tmp_path, pattern):
    with pytest.raises(DefinitionError, match="leads out of the project"):
        load_files(tmp_path, [pattern])


def test_other_endings(tmp_path):
    (tmp_path / "features.txt").touch()
    with pytest.raises(DefinitionError, match=r"features.txt: definitions stand in .py"):
        load_files(tmp_path, ["*.txt"])


def test_names_of_pythons_own_library(tmp_path):
    write(tmp_path, json="")
    with pytest.raises(DefinitionError, match=r"json.py: 'json' is the name of a module"):
        load_files(tmp_path, ["*.py"])
