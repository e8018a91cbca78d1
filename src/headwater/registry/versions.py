"""Version numbers of features: how they read, sort and go on, and the bump a change deserves.

A version is `major.minor.patch`, optionally with a pre-release as in `2.0.0-rc.1` (semver.org,
2.0.0). A name as `1.0.0_rollback` is that of a rollback: it sorts right behind the version that
it replaced, which only its VersionEntry tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from headwater.errors import DefinitionError, RefusedError
from headwater.registry.changes import Bump
from headwater.registry.head import FeatureEntry, VersionEntry

FIRST = "1.0.0"
_NUMBER = "(?:0|[1-9][0-9]{0,8})"
_IDENTIFIER = f"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_FORM = re.compile(
    rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER}))?"
    rf"(?:-(?P<pre>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
)
_ROLLBACK = re.compile(r".+_rollback[0-9]*")


class Version(NamedTuple):
    """A version in the form in which it sorts: a pre-release comes before its release."""

    major: int
    minor: int
    patch: int
    is_release: bool = True
    pre: tuple[tuple[bool, int, str], ...] = ()

    def __str__(self) -> str:
        names = ".".join(text if is_text else str(number) for is_text, number, text in self.pre)
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{names}" if names else "")


def parse_version(text: str) -> Version:
    """The version that a text names; `1.0` is read as `1.0.0`. Raises DefinitionError."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise DefinitionError(
            f"version '{text}': write three numbers as in '1.2.0', optionally with a pre-release "
            "as in '1.2.0-rc.1'"
        )
    pre = tuple(_identifier(part) for part in form["pre"].split(".")) if form["pre"] else ()
    numbers = int(form["major"]), int(form["minor"]), int(form["patch"] or 0)
    return Version(*numbers, is_release=not pre, pre=pre)


def _identifier(part: str) -> tuple[bool, int, str]:
    """Numbers sort before texts, by value; texts by code point."""
    return (False, int(part), "") if part.isdecimal() else (True, 0, part)


def is_rollback(text: str) -> bool:
    return _ROLLBACK.fullmatch(text) is not None


def next_version(existing: Iterable[str], bump: Bump) -> str:
    """The version after the highest existing one; the first is 1.0.0 whatever the bump."""
    numbers = [parse_version(text) for text in existing if not is_rollback(text)]
    if not numbers:
        return FIRST
    return str(_raised(max(numbers), bump))


def _raised(last: Version, bump: Bump) -> Version:
    """The next release after a version; a pre-release of one that goes as far leads to it."""
    major, minor, patch = last[:3]
    if bump == "major":
        is_announced = not (last.is_release or minor or patch)
        return Version(major if is_announced else major + 1, 0, 0)
    if bump == "minor":
        is_announced = not (last.is_release or patch)
        return Version(major, minor if is_announced else minor + 1, 0)
    return Version(major, minor, patch + 1 if last.is_release else patch)


def sort_versions(versions: Mapping[str, VersionEntry]) -> list[str]:
    """A feature's versions, oldest first: by number, rollbacks behind what they replaced."""

    def place(name: str) -> tuple[Version, int]:
        base = name
        while (after := versions[base].after if base in versions else None) is not None:
            base = after
        return parse_version(base), versions[name].since if name != base else 0

    return sorted(versions, key=place)


def known_version(entry: FeatureEntry, text: str) -> str | None:
    """The version of a feature that a text means, `1.0` being `1.0.0`; None where it has none."""
    if text in entry.versions:
        return text
    form = _FORM.fullmatch(text)
    full = str(parse_version(text)) if form is not None else text
    return full if full in entry.versions else None


class Wanted(NamedTuple):
    """A version that was asked for by number; `force` overrides what speaks against the number."""

    version: str
    changelog: str
    breaking_changes: bool | tuple[str, ...] = False
    force: bool = False


def check_wanted(
    name: str,
    existing: Mapping[str, VersionEntry],
    wanted: Wanted,
    deserved: Bump | None,
    *,
    cause: str = "",
) -> None:
    """Raise RefusedError where the number is taken, not above all others, or too small.

    `cause` tells why the change deserves what it does; where nobody can tell, any number above is
    big enough. What is taken or lower is refused even when forced.
    """
    label = f"feature '{name}': field 'version': '{wanted.version}'"
    given = parse_version(wanted.version)
    last = max((parse_version(text) for text in existing if not is_rollback(text)), default=None)
    if last is None:
        return
    if given <= last:
        raise RefusedError(f"{label} is not above {last}; the next are {_proposals(existing)}")
    bump = "major" if wanted.breaking_changes else deserved
    if bump is None or wanted.force or given[:3] >= _raised(last, bump)[:3]:
        return
    what = "breaking changes deserve" if wanted.breaking_changes else "this change deserves"
    why = f"; {cause}" if cause and not wanted.breaking_changes else ""
    raise RefusedError(
        f"{label} is too small: {what} {next_version(existing, bump)} or more{why} "
        "(force it where you know better)"
    )


def _proposals(existing: Iterable[str]) -> str:
    known = list(existing)
    bumps: tuple[Bump, ...] = ("patch", "minor", "major")
    return ", ".join(dict.fromkeys(next_version(known, bump) for bump in bumps))


def rollback_name(target: str, existing: Iterable[str]) -> str:
    """`1.0.0_rollback`, or the next such name that is free."""
    taken = set(existing)
    base = f"{target.partition('_')[0]}_rollback"
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}{number}"
    return name


def judge(*, data: bool, serving: bool, rules: bool) -> Bump | None:
    """The bump that a change deserves, by what changes.

    The values themselves: major, since a model trained on the old ones reads others. Only how
    they are served (ttl, default): minor, since the data stays. Only the rules that values must
    satisfy: patch, since what a value means stays, yet a version restores its rules.
    Anything else (description, owner, tags, spelling) makes no version.
    """
    if data:
        return "major"
    if serving:
        return "minor"
    return "patch" if rules else None
