"""Upper and lower case by Unicode's simple mapping: one code point stays one."""

from __future__ import annotations

from functools import lru_cache


def lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(map(_lower_one, text))


def upper(text: str) -> str:
    return text.upper() if text.isascii() else "".join(map(_upper_one, text))


@lru_cache(maxsize=4096)
def _lower_one(letter: str) -> str:
    # Python has the full mapping, in which a few letters become two
    return letter.lower()[0]


@lru_cache(maxsize=4096)
def _upper_one(letter: str) -> str:
    found = letter.upper()
    if len(found) == 1:
        return found
    if letter == "ß":
        return "ẞ"
    titled = letter.title()
    return titled if len(titled) == 1 else letter
