"""What an import loads, and what the package offers."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import headwater

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text()
DEFINING = "from headwater import Entity, Feature, FeatureService, FeatureView, Range, Source"
ENGINES = {
    "alembic",
    "deltalake",
    "duckdb",
    "fastapi",
    "lmdb",
    "msgspec",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "sqlalchemy",
    "sqlglot",
    "starlette",
    "typer",
    "uvicorn",
    "uvloop",
    "yaml",
}


def loaded(code):
    """The top-level modules that a fresh interpreter holds after running some code."""
    asked = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("\n")[0].rpartition("\n")[2].split())


@pytest.mark.parametrize("code", ["import headwater", "import headwater; headwater.__version__"])
def test_import_loads_next_to_nothing(code):
    assert not loaded(code) & {*ENGINES, "pydantic"}


@pytest.mark.parametrize("code", [DEFINING, f"{DEFINING}\nEntity('user', {{'user_id': 'string'}})"])
def test_defining_features_loads_no_engine(code):
    assert not loaded(code) & ENGINES


def test_help_loads_no_engine_and_no_definitions():
    code = """
import sys
from headwater.cli.app import run
try:
    run(["--help"])
except SystemExit as left:
    assert not left.code
print()
"""
    found = loaded(code)
    assert "typer" in found
    assert not found & (ENGINES - {"typer"})
    assert "pydantic" not in found


@pytest.mark.parametrize("name", headwater.__all__)
def test_every_public_name_is_there(name):
    assert getattr(headwater, name) is not None
    assert name in dir(headwater)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'headwater' has no attribute 'FeatureStor'"):
        headwater.FeatureStor  # noqa: B018


def test_the_package_is_typed():
    from importlib.resources import files

    assert (files("headwater") / "py.typed").is_file()


def test_the_version_is_that_of_the_project():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert headwater.__version__ == pyproject["project"]["version"]


@pytest.mark.parametrize("name", headwater.__all__)
def test_every_public_name_is_documented(name):
    assert re.search(rf"`{name}[(`]", REFERENCE) or f", `{name}(" in REFERENCE


def test_every_method_of_the_store_is_documented():
    public = {
        name
        for name, value in vars(headwater.FeatureStore).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    documented = set(re.findall(r"^\| `(\w+)\(", REFERENCE, re.MULTILINE))
    for_the_rooms = {
        "analyzed",
        "applied_head",
        "is_filled",
        "plan_definitions",
        "project_of",
        "publish_all",
    }
    assert public - documented <= for_the_rooms, "a method for the rooms, not for users"


def test_no_thread_is_the_first_to_decode_into_a_class():
    """Msgspec crashes where several threads are: decoders are made when modules are imported."""
    calls = re.compile(r"msgspec\.\w+\.decode\(.*type=(\w+)")
    found = {
        (path.name, kind)
        for path in (ROOT / "src").rglob("*.py")
        for kind in calls.findall(path.read_text())
    }
    # an integer is no class of fields, and a worker reads its settings before it has threads
    assert {item for item in found if item[1] != "int"} == {("worker.py", "WorkerSettings")}
