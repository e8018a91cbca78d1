"""The example projects and the one that `init` writes: planned, applied, materialized, typed."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

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


def generate(folder):
    """Write a small log into the project that reads one."""
    command = [sys.executable, "-m", "ad_log", "--users", "100", "--impressions", "5000"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)


def test_there_are_examples():
    assert {project.name for project in PROJECTS} >= {"ads", "ads_log", "equities"}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_an_example_runs(project, tmp_path):
    ignored = shutil.ignore_patterns(".headwater", "__pycache__")
    folder = shutil.copytree(project, tmp_path / project.name, ignore=ignored)
    if (folder / "ad_log").exists():
        generate(folder)
    headwater(folder, "apply")
    assert "no changes" in headwater(folder, "apply")
    assert headwater(folder, "list")
    assert headwater(folder, "materialize")


def test_a_plot_has_raw_and_smoothed_rates(tmp_path):
    ignored = shutil.ignore_patterns(".headwater", "__pycache__")
    folder = shutil.copytree(ROOT / "examples" / "ads", tmp_path / "ads", ignore=ignored)
    script, file = ROOT / "examples" / "ads" / "plot.py", tmp_path / "plot.svg"
    command = [sys.executable, str(script), str(file), "--project", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    drawn = ET.parse(file).getroot()
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"raw", "smoothed, with its interval", "mean of the prior 0.48%", "3146"} <= texts
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) > 48
    assert "nan" not in file.read_text().lower()
    assert file.read_text() == (ROOT / "docs/images/ctr-by-segment.svg").read_text()


def test_a_plot_has_every_panel(tmp_path):
    folder = shutil.copytree(ROOT / "examples" / "equities", tmp_path / "equities")
    script, file = ROOT / "examples" / "equities" / "plot.py", tmp_path / "plot.svg"
    command = [sys.executable, str(script), str(file), "--project", str(folder), "--ticker", "FB"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    drawn = ET.parse(file).getroot()
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"close", "sma_20", "rsi_14", "adx_14", "macd", "signal", "drawdown"} <= texts
    assert "nan" not in file.read_text().lower()


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


def test_the_labels_of_the_real_log():
    script = ROOT / "examples" / "ads" / "labels.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "59,862 impressions, 287 clicks: 0.4794%",
        "3,182 rows kept: 9.0195% of them",
        "weighted: 0.4932%",
    ]
