"""What the documents print runs as it stands, and their links lead somewhere."""

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
REST = ROOT / "docs" / "reference" / "rest.md"
START = "headwater init shop"
HOW_TOS = [page for page in sorted(ROOT.glob("docs/howto/*.md")) if START in page.read_text()]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")


def blocks(page, language):
    return [text for name, text in BLOCK.findall(page.read_text()) if name == language]


def run(script, folder):
    """Run a script as somebody would type it: it stops at the first command that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) || true' EXIT\n{script}"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_commands_of_the_readme(tmp_path):
    script = "\n".join(blocks(ROOT / "README.md", "sh"))
    assert START in script
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "orders_7d" in done.stdout
    assert (tmp_path / "shop" / "training.parquet").is_file()


def script_of(page):
    """All that a page prints, in its order: commands, code to run, and files to write.

    A block that begins with a comment which is the name of a file is that file's content. What
    stands in a `text` block has to be in the output.
    """
    parts = []
    for language, text in BLOCK.findall(page.read_text()):
        file = FILE.match(text)
        if file is not None:
            parts.append(f"cat > {file[1]} <<'END'\n{text}END")
        elif language == "python":
            parts.append(f"python <<'END'\n{text}END")
        elif language == "sh":
            parts.append(text)
    return "\n".join(parts).replace("8500", str(free_port()))


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_a_how_to_runs_as_it_is_printed(page, tmp_path):
    if shutil.which("curl") is None and "curl" in page.read_text():
        pytest.skip("the page asks over HTTP with curl, which is not here")
    done = run(script_of(page), tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    said = " ".join(f"{done.stdout}\n{done.stderr}".split())
    for shown in blocks(page, "text"):
        assert " ".join(shown.split()) in said
    if page.stem == "first-five-minutes":
        assert '"orders_7d"' in done.stdout
        assert "basket_30d" in done.stdout


def test_the_commands_of_the_rest_reference(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("the page asks over HTTP with curl, which is not here")
    port = str(free_port())
    script = "\n".join(blocks(REST, "sh")).replace("8500", port)
    assert "14일 RSI" in script
    script = script.replace("headwater serve &", f"headwater serve --port {port} &")
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"feature_name":"stock_rsi_14d"' in done.stdout
    assert '"version":"1.0.0_rollback"' in done.stdout
    assert '"total_usage":1' in done.stdout


def test_the_readme_shows_what_init_writes():
    shown = blocks(ROOT / "README.md", "python")
    made = (ROOT / "src/headwater/cli/template/features/orders.py").read_text()
    features = re.findall(r"Feature\([^\n]*\)", "".join(shown))
    assert features
    flat = re.sub(r"\s+", "", made)
    for feature in features:
        assert re.sub(r"\s+", "", feature).removesuffix(")") in flat


def test_the_readme_fits_a_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_documents_can_be_read(page):
    for code in blocks(page, "python"):
        ast.parse(code)


def test_every_page_is_listed():
    index = (ROOT / "docs" / "README.md").read_text()
    for page in ROOT.glob("docs/*/*.md"):
        if page.parent.name in {"howto", "reference"}:
            assert f"({page.relative_to(ROOT / 'docs')})" in index, page.name


def test_every_dependency_is_explained():
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    for name in re.findall(r'"([a-z0-9]+)', block):
        assert re.search(rf"\b{name}\b", explained), name
