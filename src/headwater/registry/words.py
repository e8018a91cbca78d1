"""Texts as words, for search: what is written and what is asked are read alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from headwater.errors import RequestError

LONGEST = 8
"""Parts of a compound, or letters of a script without blanks, that one word holds at the most."""
MOST_WORDS = 16
_PART = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def terms_of(text: str) -> set[str]:
    """The words by which a text is found.

    Of `user_ctr_7d` these are `user`, `ctr`, `7d`, `user_ctr_7d` and `ctr_7d`. What is written
    without blanks between its words is found from any letter on.
    """
    found: set[str] = set()
    for parts in _compounds(text):
        for start, part in enumerate(parts):
            found.add(part)
            found.add("_".join(parts[start : start + LONGEST]))
            if _UNSPACED.search(part):
                found |= {
                    part[at : at + LONGEST]
                    for at in range(1, len(part))
                    if _UNSPACED.match(part, at)
                }
    return found


def asked_of(text: str) -> tuple[str, ...]:
    """The words that a question asks for; a compound is one."""
    return tuple(
        dict.fromkeys(
            "_".join(parts[start : start + LONGEST])
            for parts in _compounds(text)
            for start in range(0, len(parts), LONGEST)
        )
    )


def check_words(text: str) -> tuple[str, ...]:
    """The words of a question. Raises RequestError where there are none, or too many."""
    words = asked_of(text)
    if not words:
        raise RequestError("give a word to search for, of letters or digits")
    if len(words) > MOST_WORDS:
        raise RequestError(f"{len(words)} words to search for; {MOST_WORDS} at the most")
    return words


def _compounds(text: str) -> Iterator[list[str]]:
    """What stands between blanks, in parts of letters and digits, without case."""
    for chunk in _folded(text).split():
        parts = _PART.findall(chunk)
        if parts:
            yield parts


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
