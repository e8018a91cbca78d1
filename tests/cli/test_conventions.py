"""Exit codes, streams, one-line errors, the debug switch."""

import os
import subprocess
import sys

import pytest

from headwater.cli import main, output, session
from headwater.errors import HeadwaterError

USAGE = [
    (["plna"], "No such command 'plna'. Did you mean 'plan'?"),
    (["plan", "--jso"], "No such option: --jso"),
    (["--set", "serve.port", "plan"], "--set serve.port: write KEY=VALUE, as serve.port=8600"),
    (["--set", "serv.port=1", "plan"], "unknown setting 'serv.port'; did you mean 'serve.port'?"),
    (["serve", "--port", "70000"], "setting 'serve.port': give a whole number from 0 to 65535"),
    (["list", "fetures"], "there is no kind 'fetures'; did you mean 'features'?"),
    (["show", "x", "--kind", "veiw"], "there is no kind 'veiw'; did you mean 'view'?"),
    (["get"], "give features, or a service with --service, and not both"),
    (["get", "a", "-s", "b"], "give features, or a service with --service, and not both"),
    (["get", "a", "-k", "u1"], "--key u1: write KEY=VALUE, as user_id=u1"),
    (["training-set", "-f", "a", "--out", "x"], "give the rows with --spine"),
    (["training-set", "-f", "a", "--spine", "no.csv"], "--spine no.csv: there is no such file"),
    (["training-set", "-f", "a", "--spine", "select 1"], "give the file to write with --out"),
    (
        ["training-set", "-f", "a", "--spine", "select 1", "--out", "x.csv"],
        "--out x.csv: a Parquet file is written; name it x.parquet",
    ),
    (["materialize", "--until", "soon"], "--until 'soon': write a time as 2024-01-05 or"),
    (["backfill", "v", "--from", "2024-01-05", "--to", "2024-01-05"], "is not before"),
]


@pytest.mark.parametrize(("arguments", "expected"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_wrong_usage(headwater, fresh, arguments, expected):
    result = headwater(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert expected in " ".join(result.err.split())


def test_no_project(headwater, tmp_path):
    result = headwater("-C", tmp_path, "plan")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"error: there is no headwater.toml in {tmp_path} or above it; "
        "start a project with: headwater init my_project\n"
    )


def test_a_mistake_in_a_definition_is_one_line(headwater, fresh):
    (fresh / "features" / "orders.py").write_text("import headwater\nheadwater.Entity('user')\n")
    result = headwater("plan")
    assert result.code == 1
    assert (
        result.err == "error: features/orders.py:2: entity 'user': field 'join_keys' is required\n"
    )


@pytest.mark.parametrize("place", [["--debug", "list"], ["list", "--debug"]])
def test_debug_shows_the_traceback(monkeypatch, fresh, place):
    def fail(settings):
        raise HeadwaterError("broken")

    monkeypatch.setattr(session, "open_store", fail)
    with pytest.raises(HeadwaterError, match="broken"):
        from headwater.cli.app import run

        run(place)


def test_a_bug_is_one_line_too(headwater, monkeypatch, fresh):
    monkeypatch.setattr(session, "open_store", lambda settings: 1 // 0)
    result = headwater("list")
    assert result.code == 1
    assert result.err == (
        "error: ZeroDivisionError: integer division or modulo by zero\n"
        "hint: run it again with --debug for the traceback\n"
    )


def test_a_closed_pipe_is_no_traceback(fresh):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from headwater.cli import main; main()", "version"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_starts_is_no_traceback(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("headwater.cli.app.run", interrupt)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130


GOES_ON = "stopped; run the same command again to go on\n"


@pytest.mark.parametrize(
    ("command", "stopped_in", "said"),
    [
        (["materialize"], "headwater.pipeline.carrying.latest_part", GOES_ON),
        (
            ["backfill", "user_orders", "--from", "2026-01-01", "--to", "2026-01-02"],
            "headwater.offline.tables.OfflineTables.write_interval",
            GOES_ON,
        ),
        (
            ["training-set", "-f", "orders_7d", "--spine", "data/labels.csv", "--out", "s.parquet"],
            "pyarrow.parquet.ParquetWriter.write_table",
            "stopped; nothing was written\n",
        ),
    ],
)
def test_ctrl_c_in_long_work_says_what_has_become_of_it(
    headwater, fresh, monkeypatch, command, stopped_in, said
):
    def interrupt(*_arguments, **_named):
        raise KeyboardInterrupt

    headwater("apply")
    before = sorted(path.name for path in fresh.iterdir())
    monkeypatch.setattr(stopped_in, interrupt)
    result = headwater(*command)
    assert (result.code, result.err) == (130, said)
    assert sorted(path.name for path in fresh.iterdir()) == before


def test_version(headwater):
    result = headwater("version")
    assert (result.code, result.err) == (0, "")
    assert result.out.count(".") == 2


@pytest.mark.parametrize(
    ("environ", "is_terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"CI": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_progress_is_for_terminals(monkeypatch, environ, is_terminal, expected):
    for name in ("CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    assert output.shows_progress() is expected


@pytest.mark.parametrize(("environ", "painted"), [({}, True), ({"NO_COLOR": ""}, False)])
def test_colour(monkeypatch, environ, painted):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert (output.coloured("+ a\nb") == "\033[32m+ a\033[0m\nb") is painted
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert output.coloured("+ a\nb") == "+ a\nb"
