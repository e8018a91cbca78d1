"""The example projects and the one that `init` writes: planned, applied, materialized, typed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(file.parent for file in ROOT.glob("examples/*/headwater.toml"))


def headwater(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples():
    assert {project.name for project in PROJECTS} >= {"ads", "equities"}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_an_example_runs(project, tmp_path):
    ignored = shutil.ignore_patterns(".headwater", "__pycache__")
    folder = shutil.copytree(project, tmp_path / project.name, ignore=ignored)
    headwater(folder, "apply")
    assert "no changes" in headwater(folder, "apply")
    assert headwater(folder, "list")
    assert headwater(folder, "materialize")


@pytest.mark.parametrize(
    "file",
    [
        *(project / "features.py" for project in PROJECTS),
        ROOT / "src/headwater/cli/template/features/orders.py",
    ],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_definitions_are_typed(file):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
