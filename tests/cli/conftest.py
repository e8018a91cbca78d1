"""Runs commands in this process, on a fresh copy of the project that `init` makes."""

import shutil
import sys
from dataclasses import dataclass

import pytest

from headwater.cli.app import run


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _own_imports(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "features"]:
        del sys.modules[name]


@pytest.fixture
def headwater(capsys, monkeypatch):
    """Runs one command and returns its exit code and what it wrote."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Result(left.value.code or 0, said.out, said.err)

    return call


def _made(folder, *commands):
    for command in (["init", str(folder)], *commands):
        with pytest.raises(SystemExit) as left:
            run(command)
        assert not left.value.code, command
    return folder


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory):
    return _made(tmp_path_factory.mktemp("cli") / "shop")


@pytest.fixture(scope="session")
def _served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "shop"
    at = ["-C", str(folder)]
    return _made(folder, [*at, "apply"], [*at, "materialize"])


@pytest.fixture
def fresh(_fresh, tmp_path, monkeypatch):
    """The working folder is a project to which nothing has been applied."""
    monkeypatch.chdir(shutil.copytree(_fresh, tmp_path / "shop"))
    return tmp_path / "shop"


@pytest.fixture
def served(_served, monkeypatch):
    """The working folder is a project with applied and materialized features. Don't change it."""
    monkeypatch.chdir(_served)
    return _served
