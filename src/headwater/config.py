"""All settings, typed, in one place: flag > environment > headwater.toml > default.

The environment names a setting as `HEADWATER_ONLINE__PATH`; `HEADWATER_ONLINE` alone sets the
section's first setting, as a plain value does in the file (`registry = "postgresql://..."`).
Relative paths start at the project's folder, where headwater.toml is.
"""

# ruff: noqa: RUF009 - the defaults of settings are immutable values

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from headwater.errors import ConfigError, near_miss

FILE_NAME = "headwater.toml"
PREFIX = "HEADWATER_"
# What Kubernetes puts into every container for a service that is called "headwater".
_FOREIGN = re.compile(r"HEADWATER_(SERVICE_(HOST|PORT)|PORT)(_.*)?")
# Up to the last '@': a password may hold any letter, and a file's path begins with a slash.
_SECRETS = re.compile(r"(?<=://)(?!/).*(?=@)|(?<=password=)[^&]*|(?<=token=)[^&]*", re.IGNORECASE)
_SIZES = {"": 1, "B": 1}
_SIZES |= {f"{unit}B": 1000**power for power, unit in enumerate("KMGT", start=1)}
_SIZES |= {f"{unit}IB": 1024**power for power, unit in enumerate("KMGT", start=1)}

Parser = Callable[[Any], Any]
_T = TypeVar("_T")


class Url(str):
    """An address whose repr hides the password that it may hold."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.redacted)

    @property
    def redacted(self) -> str:
        return _SECRETS.sub("***", self)


class Secret(str):
    """A text that no repr shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def read_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give a text that is not empty")
    return value.strip()


def read_project(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", value):
        raise ValueError(
            "give a name: a small letter, then small letters, digits and '_', 63 at the most"
        )
    return value


def read_url(value: Any) -> Url:
    found = read_text(value)
    if "://" not in found:
        raise ValueError("give an address, as sqlite:///registry.db")
    return Url(found)


def read_web_address(value: Any) -> Url:
    """An http or https address that holds no password."""
    found = read_url(value)
    scheme, _, rest = found.partition("://")
    if scheme.lower() not in ("http", "https") or not rest.strip("/"):
        raise ValueError("give an http or https address")
    if "@" in rest.partition("/")[0]:
        raise ValueError("give the address without user and password")
    return found


def read_secret(value: Any) -> Secret:
    return Secret(read_text(value))


def read_path(value: Any) -> Path:
    text = read_text(str(value) if isinstance(value, Path) else value)
    if "://" in text:
        raise ValueError("give a folder of this machine, not an address")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("give the path in full; there is no such home folder") from None


def read_texts(value: Any) -> tuple[str, ...]:
    """A list of texts; the environment separates them by commas."""
    many = value.split(",") if isinstance(value, str) else value
    if not isinstance(many, (list, tuple)) or not many:
        raise ValueError("give a list of texts that is not empty")
    return tuple(read_text(item) for item in many)


def read_names(value: Any) -> tuple[str, ...]:
    """A list of texts that may be empty."""
    return () if value in ([], (), "") else read_texts(value)


def whole(low: int, high: int) -> Parser:
    """Reads a whole number within [low, high], from a number or from text."""

    def parse(value: Any) -> int:
        is_text = isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value.strip())
        found = int(value) if is_text else value
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return found

    return parse


def read_size(value: Any) -> int:
    """Bytes of `64MiB`, `2GB` or a number of bytes."""
    form = re.fullmatch(r"(\d{1,15})\s*([A-Za-z]*)", str(value).strip())
    unit = _SIZES.get(form[2].upper()) if form and not isinstance(value, bool) else None
    if form is None or unit is None or int(form[1]) == 0:
        raise ValueError("give a number of bytes, or a size as '64MiB' or '2GB'")
    return int(form[1]) * unit


def read_switch(value: Any) -> bool:
    found = value.strip().lower() if isinstance(value, str) else value
    if isinstance(found, bool) or found in {"true", "false"}:
        return found in {True, "true"}
    raise ValueError("give true or false")


def one_of(*words: str) -> Parser:
    """Reads one of some words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"give one of {', '.join(words)}")
        return str(value)

    return parse


def read_model(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,128}", value):
        raise ValueError("give a name of ASCII letters, digits and signs, 128 at the most")
    return value


def read_share(value: Any) -> float:
    found = _number(value)
    if not 0.0 < found <= 1.0:
        raise ValueError("give a share, more than 0 and 1 at the most")
    return found


def read_seconds(value: Any) -> float:
    found = _number(value)
    if not 0.1 <= found <= 3600.0:
        raise ValueError("give a number of seconds, from 0.1 to 3600")
    return found


def _number(value: Any) -> float:
    try:
        return float("no number" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise ValueError("give a number") from None


def _setting(default: _T, parse: Parser) -> _T:
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """Where definitions, versions and runs are recorded."""

    url: Url = _setting(Url("sqlite:///.headwater/registry.db"), read_url)
    rollback_days: int = _setting(7, whole(0, 3650))
    compare_rows: int = _setting(20_000_000, whole(0, 10**12))


@dataclass(frozen=True, kw_only=True)
class OfflineSettings:
    """Where the history of values is kept, as Delta tables."""

    path: Path = _setting(Path(".headwater/offline"), read_path)


@dataclass(frozen=True, kw_only=True)
class OnlineSettings:
    """Where the latest values are kept."""

    path: Path = _setting(Path(".headwater/online"), read_path)
    kind: str = _setting("lmdb", read_text)
    map_size: int = _setting(64 * 1024**2, read_size)


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """What reads sources and computes values."""

    kind: str = _setting("duckdb", read_text)
    threads: int | None = _setting(None, whole(1, 1024))
    memory_limit: int | None = _setting(None, read_size)


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """The server of online values."""

    host: str = _setting("127.0.0.1", read_text)
    port: int = _setting(8500, whole(0, 65_535))
    workers: int = _setting(1, whole(1, 256))
    body_limit: int = _setting(8 * 1024**2, read_size)
    row_limit: int = _setting(10_000, whole(1, 10_000_000))


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """What code that came over the API may do where it is run."""

    memory_limit: int = _setting(1024**3, read_size)
    time_limit: int = _setting(60, whole(1, 86_400))
    trusted_authors: tuple[str, ...] = _setting((), read_names)


@dataclass(frozen=True, kw_only=True)
class OpenLineageSettings:
    """Who is told of applies and runs, in OpenLineage's events; nobody unless set."""

    url: Url | None = _setting(None, read_web_address)
    token: Secret | None = _setting(None, read_secret)
    timeout: int = _setting(5, whole(1, 60))
    file: Path | None = _setting(None, read_path)


@dataclass(frozen=True, kw_only=True)
class UsageSettings:
    """What is recorded of the use of features, by training sets and online reads."""

    enabled: bool = _setting(default=True, parse=read_switch)
    environment: str = _setting("dev", one_of("dev", "staging", "production"))
    model: str | None = _setting(None, read_model)
    sample: float = _setting(1.0, read_share)
    interval: float = _setting(10.0, read_seconds)


@dataclass(frozen=True, kw_only=True)
class DefinitionSettings:
    """Which files of the project declare its objects."""

    paths: tuple[str, ...] = _setting(
        (
            "features.py",
            "features.yaml",
            "features.yml",
            "features/**/*.py",
            "features/**/*.yaml",
            "features/**/*.yml",
        ),
        read_texts,
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one project; `root` is its folder."""

    root: Path = field(default_factory=Path.cwd)
    project: str = _setting("default", read_project)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    offline: OfflineSettings = field(default_factory=OfflineSettings)
    online: OnlineSettings = field(default_factory=OnlineSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    openlineage: OpenLineageSettings = field(default_factory=OpenLineageSettings)
    usage: UsageSettings = field(default_factory=UsageSettings)
    definitions: DefinitionSettings = field(default_factory=DefinitionSettings)


def _leaves() -> dict[str, tuple[Any, Parser]]:
    """Every setting by its dotted path, with its default and what reads it."""
    found: dict[str, tuple[Any, Parser]] = {}
    empty = Settings(root=Path())
    for section in fields(empty):
        value = getattr(empty, section.name)
        if is_dataclass(value):
            for leaf in fields(value):
                dotted = f"{section.name}.{leaf.name}"
                found[dotted] = (getattr(value, leaf.name), leaf.metadata["parse"])
        elif "parse" in section.metadata:
            found[section.name] = (value, section.metadata["parse"])
    return found


LEAVES = _leaves()
SECTIONS: dict[str, tuple[str, ...]] = {
    section: tuple(leaf for leaf in LEAVES if leaf.startswith(f"{section}."))
    for section in dict.fromkeys(leaf.partition(".")[0] for leaf in LEAVES if "." in leaf)
}


def find_project(start: str | Path | None = None) -> Path:
    """The nearest headwater.toml at or above a folder (or the file itself).

    Raises ConfigError where there is none.
    """
    begin = Path(start).expanduser() if start is not None else Path.cwd()
    if begin.is_file():
        return begin.resolve()
    if not begin.is_dir():
        raise ConfigError(f"there is no folder '{begin}'")
    folder = begin.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    raise ConfigError(
        f"there is no {FILE_NAME} in {begin} or above it; "
        "start a project with: headwater init my_project"
    )


def load_settings(
    start: str | Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of the project at or above `start` (the working folder, unless given).

    `flags` maps dotted paths (`serve.port`) to values and wins over the environment, which wins
    over the file. Raises ConfigError that names the place, the setting and what was expected.
    """
    file = find_project(start)
    given = dict(_from_file(file))
    given.update(_from_environment(os.environ if environ is None else environ))
    given.update(_from_flags(flags or {}))
    return _built(file.parent, given)


def local_settings(root: str | Path, **given: Any) -> Settings:
    """The default settings of a folder without a file; `given` maps `online__path` to values."""
    flags = {name.replace("__", "."): value for name, value in given.items()}
    return _built(Path(root).expanduser().resolve(), dict(_from_flags(flags)))


def for_model(settings: Settings, model: str) -> Settings:
    """The settings with another `usage.model`."""
    _, value = _read("usage.model", model, "", str)
    return replace(settings, usage=replace(settings.usage, model=value))


def check_flags(flags: Mapping[str, Any]) -> None:
    """Raise ConfigError where a flag names no setting, or gives it a wrong value."""
    dict(_from_flags(flags))


def _from_file(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    for key, value in tree.items():
        if isinstance(value, dict) and key in SECTIONS:
            for inner, leaf in value.items():
                yield _read(f"{key}.{inner}", leaf, f"{file}: ", str)
        else:
            yield _read(key, value, f"{file}: ", str)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    # Sorted, so that HEADWATER_ONLINE__PATH is read after HEADWATER_ONLINE and wins.
    for name in sorted(environ):
        if name.startswith(PREFIX) and not _FOREIGN.fullmatch(name):
            dotted = name.removeprefix(PREFIX).lower().replace("__", ".")
            yield _read(dotted, environ[name], "environment: ", environment_name)


def _from_flags(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for dotted, value in flags.items():
        yield _read(dotted, value, "", str)


def environment_name(dotted: str) -> str:
    """The variable that sets a setting: `online.path` is HEADWATER_ONLINE__PATH."""
    return PREFIX + dotted.replace(".", "__").upper()


def _read(dotted: str, value: Any, where: str, spelt: Callable[[str], str]) -> tuple[str, Any]:
    """The full path and the parsed value of one given setting."""
    leaf = SECTIONS[dotted][0] if dotted in SECTIONS else dotted
    if leaf not in LEAVES:
        raise ConfigError(f"{where}unknown setting '{spelt(dotted)}'{_hint(dotted, spelt)}")
    parse = LEAVES[leaf][1]
    try:
        return leaf, parse(value)
    except ValueError as error:
        # an address may hold a password
        got = "" if parse in (read_url, read_web_address, read_secret) else f"; got {value!r}"
        raise ConfigError(f"{where}setting '{spelt(dotted)}': {error}{got}") from None


def _hint(dotted: str, spelt: Callable[[str], str]) -> str:
    section, _, name = dotted.partition(".")
    if section not in SECTIONS:
        near = near_miss(spelt(dotted), map(spelt, [*LEAVES, *SECTIONS]))
        return near or f" (sections: {', '.join(map(spelt, ['project', *SECTIONS]))})"
    leaves = SECTIONS[section]
    # The section's own name is no likeness: it is in all of them.
    if near_miss(name, (leaf.partition(".")[2] for leaf in leaves)):
        return near_miss(spelt(dotted), map(spelt, leaves))
    return f" (settings: {', '.join(map(spelt, leaves))})"


def _built(root: Path, given: Mapping[str, Any]) -> Settings:
    settings = Settings(root=root)
    for dotted, (default, _) in LEAVES.items():
        value = _placed(given.get(dotted, default), root)
        section, _, name = dotted.partition(".")
        if name:
            settings = replace(
                settings, **{section: replace(getattr(settings, section), **{name: value})}
            )
        else:
            settings = replace(settings, **{section: value})
    return settings


def _placed(value: Any, root: Path) -> Any:
    """Relative paths, and the relative file of a SQLite address, below the project's folder."""
    if isinstance(value, Path):
        return root / value
    if isinstance(value, Url):
        scheme, slashes, rest = value.partition(":///")
        if scheme.partition("+")[0] == "sqlite" and slashes and rest and rest != ":memory:":
            return Url(f"{scheme}:///{root / rest}")
    return value
