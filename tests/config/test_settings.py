"""Settings: flag over environment over file over default; mistakes name place, key and fix."""

from pathlib import Path

import pytest

from headwater.config import (
    LEAVES,
    Url,
    environment_name,
    find_project,
    load_settings,
    local_settings,
)
from headwater.errors import ConfigError

SECRET = "postgresql://me:s3cret@db:5432/x?sslmode=require&password=t0ken"


@pytest.fixture
def project(tmp_path):
    def write(text):
        (tmp_path / "headwater.toml").write_text(text)
        return tmp_path

    return write


def test_a_file_may_hold_nothing_but_the_name(project):
    root = project('project = "shop"\n')
    settings = load_settings(root, environ={})
    assert settings.project == "shop"
    assert settings.root == root
    assert settings.registry.url == f"sqlite:///{root}/.headwater/registry.db"
    assert settings.offline.path == root / ".headwater/offline"
    assert settings.online.path == root / ".headwater/online"
    assert (settings.serve.host, settings.serve.port) == ("127.0.0.1", 8500)


def test_each_level_wins_over_the_next(project):
    root = project("[serve]\nport = 1\nworkers = 2\nhost = 'filed'\n")
    environ = {"HEADWATER_SERVE__PORT": "3", "HEADWATER_SERVE__WORKERS": "4"}
    settings = load_settings(root, environ=environ, flags={"serve.port": 5})
    assert settings.serve.port == 5
    assert settings.serve.workers == 4
    assert settings.serve.host == "filed"
    assert settings.serve.body_limit == 8 * 1024**2


def test_a_plain_value_sets_the_first_setting_of_a_section(project):
    root = project("online = 'near'\n")
    assert load_settings(root, environ={}).online.path == root / "near"
    environ = {"HEADWATER_REGISTRY": "sqlite:////srv/a.db", "HEADWATER_ONLINE": "/srv/on"}
    settings = load_settings(root, environ=environ)
    assert settings.registry.url == "sqlite:////srv/a.db"
    assert settings.online.path == Path("/srv/on")


def test_the_longer_name_wins(project):
    environ = {"HEADWATER_ONLINE": "/a", "HEADWATER_ONLINE__PATH": "/b"}
    assert load_settings(project(""), environ=environ).online.path == Path("/b")


def test_the_environment_of_this_process_is_read(project, monkeypatch):
    monkeypatch.setenv("HEADWATER_ENGINE__THREADS", "3")
    assert load_settings(project("")).engine.threads == 3


def test_the_file_is_found_upwards(project, monkeypatch):
    root = project("")
    below = root / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below) == root / "headwater.toml"
    assert find_project(root / "headwater.toml") == root / "headwater.toml"
    monkeypatch.chdir(below)
    assert find_project() == root / "headwater.toml"


def test_no_project(tmp_path):
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path)
    assert str(caught.value) == (
        f"there is no headwater.toml in {tmp_path} or above it; "
        "start a project with: headwater init my_project"
    )


def test_a_folder_that_is_not_there_is_not_looked_for_upwards(project):
    with pytest.raises(ConfigError, match=r"there is no folder '.*nowhere'"):
        load_settings(project("project = 'shop'") / "nowhere")


def test_settings_without_a_file(tmp_path):
    settings = local_settings(tmp_path, project="shop", online__path="near", engine__threads=2)
    assert settings.project == "shop"
    assert settings.online.path == tmp_path / "near"
    assert settings.engine.threads == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [("64MiB", 64 * 1024**2), ("2 GB", 2 * 10**9), ("1kib", 1024), (5, 5), ("7", 7), ("7B", 7)],
)
def test_sizes(tmp_path, given, expected):
    assert local_settings(tmp_path, engine__memory_limit=given).engine.memory_limit == expected


def test_lists_in_the_environment_are_separated_by_commas(project):
    environ = {"HEADWATER_DEFINITIONS__PATHS": "a.py, b/*.yaml"}
    paths = load_settings(project(""), environ=environ).definitions.paths
    assert paths == ("a.py", "b/*.yaml")


def test_a_postgres_address_is_left_alone(project):
    settings = load_settings(project(f'registry = "{SECRET}"'), environ={})
    assert settings.registry.url == SECRET


@pytest.mark.parametrize("shown", [repr, lambda settings: repr(settings.registry)])
def test_secrets_are_not_shown(project, shown):
    said = shown(load_settings(project(f'registry = "{SECRET}"'), environ={}))
    assert "s3cret" not in said
    assert "t0ken" not in said
    assert "db:5432/x" in said


@pytest.mark.parametrize("text", ["sqlite:///a.db", "sqlite:////home/me@work/a.db"])
def test_a_url_without_a_secret_is_shown_whole(text):
    assert repr(Url(text)) == f"'{text}'"


@pytest.mark.parametrize("password", ["s3cret", "s3/cret", "s3#cret", "s3?cret", "s3@cret"])
def test_a_password_is_hidden_whatever_its_letters(password):
    assert repr(Url(f"postgresql://me:{password}@db/x")) == "'postgresql://***@db/x'"


def test_a_file_that_windows_wrote(project):
    root = project("")
    (root / "headwater.toml").write_bytes(b"\xef\xbb\xbfproject = 'shop'\r\n")
    assert load_settings(root, environ={}).project == "shop"


FILE_MISTAKES = [
    ("projct = 'x'", "unknown setting 'projct'; did you mean 'project'?"),
    ("[onlin]\npath = 'x'", "unknown setting 'onlin'; did you mean 'online'?"),
    ("[online]\npaht = 'x'", "unknown setting 'online.paht'; did you mean 'online.path'?"),
    (
        "[online]\nzzz = 1",
        "unknown setting 'online.zzz' (settings: online.path, online.kind, online.map_size)",
    ),
    (
        "zzz = 1",
        "unknown setting 'zzz' (sections: project, registry, offline, online, engine, serve, "
        "api, openlineage, usage, definitions)",
    ),
    (
        "project = 'My Shop'",
        "setting 'project': give a name: a small letter, then small letters, "
        "digits and '_', 63 at the most; got 'My Shop'",
    ),
    (
        "[serve]\nport = 70000",
        "setting 'serve.port': give a whole number from 0 to 65535; got 70000",
    ),
    ("[serve]\nport = true", "setting 'serve.port': give a whole number from 0 to 65535; got True"),
    ("[serve]\nport = 1.5", "setting 'serve.port': give a whole number from 0 to 65535; got 1.5"),
    ("[serve]\nhost = ''", "setting 'serve.host': give a text that is not empty; got ''"),
    (
        "[online]\npath = '~nobody-of-that-name/on'",
        "setting 'online.path': give the path in full; there is no such home folder; "
        "got '~nobody-of-that-name/on'",
    ),
    ("[online]\npath = 3", "setting 'online.path': give a text that is not empty; got 3"),
    (
        "[engine]\nmemory_limit = 'much'",
        "setting 'engine.memory_limit': give a number of bytes, or a size as '64MiB' or '2GB'; "
        "got 'much'",
    ),
    ("registry = 'me:s3cret'", "setting 'registry': give an address, as sqlite:///registry.db"),
    ("definitions = []", "setting 'definitions': give a list of texts that is not empty; got []"),
    (
        "online = 'redis://localhost'",
        "setting 'online': give a folder of this machine, not an address; got 'redis://localhost'",
    ),
    ("usage = 'on'", "setting 'usage': give true or false; got 'on'"),
    (
        "[usage]\nenvironment = 'prod'",
        "setting 'usage.environment': give one of dev, staging, production; got 'prod'",
    ),
    (
        "[usage]\nsample = 0",
        "setting 'usage.sample': give a share, more than 0 and 1 at the most; got 0",
    ),
    (
        "[usage]\ninterval = true",
        "setting 'usage.interval': give a number; got True",
    ),
    ("a = ", "is not TOML: Invalid value (at end of document)"),
]


@pytest.mark.parametrize(("text", "expected"), FILE_MISTAKES)
def test_a_mistake_in_the_file(project, text, expected):
    root = project(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(root, environ={})
    place = f"{root}/headwater.toml"
    assert str(caught.value) in {f"{place}: {expected}", f"{place} {expected}"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"HEADWATER_ONLIN__PATH": "x"},
            "environment: unknown setting 'HEADWATER_ONLIN__PATH'; "
            "did you mean 'HEADWATER_ONLINE__PATH'?",
        ),
        (
            {"HEADWATER_SERVE__PORT": "x"},
            "environment: setting 'HEADWATER_SERVE__PORT': give a whole number from 0 to 65535; "
            "got 'x'",
        ),
    ],
)
def test_a_mistake_in_the_environment(project, environ, expected):
    with pytest.raises(ConfigError) as caught:
        load_settings(project(""), environ=environ)
    assert str(caught.value) == expected


def test_a_mistake_in_a_flag(project):
    with pytest.raises(
        ConfigError, match=r"^unknown setting 'serve.prot'; did you mean 'serve.port'"
    ):
        load_settings(project(""), environ={}, flags={"serve.prot": 1})


def test_variables_of_a_kubernetes_service_of_this_name_are_ignored(project):
    environ = {
        "HEADWATER_SERVICE_HOST": "10.0.0.1",
        "HEADWATER_SERVICE_PORT_HTTP": "8500",
        "HEADWATER_PORT": "tcp://10.0.0.1:8500",
        "HEADWATER_PORT_8500_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(project(""), environ=environ).serve.port == 8500


def test_every_setting_has_a_row_in_the_reference():
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    text = page.read_text()
    for dotted in LEAVES:
        assert f"| `{dotted}` | `{environment_name(dotted)}` |" in text, dotted


def test_the_reference_names_no_setting_that_does_not_exist():
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(LEAVES)
