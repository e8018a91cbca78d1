"""LIKE without backtracking, and regular expressions by the engine that DuckDB uses too (RE2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from headwater.errors import ComputeError, ExpressionError
from headwater.expressions.functions.declare import Function
from headwater.expressions.functions.letters import lower

Matcher = Callable[[str], bool]
_MOST_STEPS = 10**8
"""Characters of a text times those of a pattern: `_` are tried at each place of the text."""


def like(text: str, pattern: str, escape: str = "") -> bool:
    if len(text) * len(pattern) > _MOST_STEPS:
        raise ComputeError(
            f"LIKE: {len(text)} characters and a pattern of {len(pattern)} take too long online"
        )
    return _like(pattern, escape)(text)


def ilike(text: str, pattern: str) -> bool:
    return like(lower(text), lower(pattern))


@lru_cache(maxsize=1024)
def _like(pattern: str, escape: str) -> Matcher:
    """Each piece between two % is sought from where the one before ended, so time is linear."""
    pieces = _pieces(pattern, escape)
    compiled = [re.compile("".join(piece), re.DOTALL) for piece in pieces]
    if len(pieces) == 1:
        return lambda text: compiled[0].fullmatch(text) is not None
    head, *middle, tail = compiled
    tail_size = len(pieces[-1])

    def match(text: str) -> bool:
        found = head.match(text)
        for piece in middle:
            found = found and piece.search(text, found.end())
        if not found:
            return False
        start = len(text) - tail_size
        return start >= found.end() and tail.match(text, start) is not None

    return match


def _pieces(pattern: str, escape: str) -> list[list[str]]:
    """For each text between two %, its characters as regular expressions."""
    pieces: list[list[str]] = [[]]
    letters = iter(pattern)
    for letter in letters:
        if escape and letter == escape:
            pieces[-1].append(re.escape(next(letters, "")))
        elif letter == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if letter == "_" else re.escape(letter))
    return pieces


def check_regex(pattern: str) -> None:
    """Raises ExpressionError where RE2 can't read a pattern."""
    import pyarrow as pa

    try:
        regex(pattern)("")
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ").splitlines()[0]
        raise ExpressionError(f"'{pattern}' is not a regular expression: {reason}") from None
    try:
        regexp_full_match("", pattern)
    except pa.ArrowInvalid:
        # the quotation would take in what is put around the pattern
        raise ExpressionError(
            f"'{pattern}' is not a regular expression: its \\Q has no \\E"
        ) from None


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Matcher:
    """Whether a text holds a match. Arrow brings RE2, whose time is linear too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    options = pc.MatchSubstringOptions(pattern)
    kind = pa.string()

    def match(text: str) -> bool:
        scalar = pa.scalar(text, kind)
        found: bool = pc.match_substring_regex(scalar, options=options).as_py()
        return found

    return match


def regexp_matches(text: str, pattern: str) -> bool:
    return regex(pattern)(text)


def regexp_full_match(text: str, pattern: str) -> bool:
    return regex(rf"\A(?:{pattern})\z")(text)


MATCHING = (
    Function(
        "like",
        ("string", "string"),
        "bool",
        "Whether it matches a pattern, in which % stands for any text and _ for a character.",
        like,
        (
            (("abc", "a%"), True),
            (("abc", "a_c"), True),
            (("abc", "A%"), False),
            (("a\nb", "a%b"), True),
            (("", "%"), True),
            (("aab", "%ab"), True),
            (("ab", "ab%b"), False),
            (("ab", None), None),
        ),
        text="({0} LIKE {1})",
    ),
    Function(
        "like_escape",
        ("string", "text", "letter"),
        "bool",
        "LIKE with a constant pattern, in which the character after the escape stands for itself.",
        like,
        (
            (("a%", "a$%", "$"), True),
            (("ab", "a$%", "$"), False),
            (("a$b", "a$$b", "$"), True),
        ),
        text="({0} LIKE {1} ESCAPE {2})",
    ),
    Function(
        "ilike",
        ("string", "string"),
        "bool",
        "LIKE on both in lower case.",
        ilike,
        ((("ABC", "a%"), True), (("É", "é"), True), (("ab", "B"), False)),
        text="({0} ILIKE {1})",
    ),
    Function(
        "regexp_matches",
        ("string", "regex"),
        "bool",
        "Whether a part matches a constant regular expression (RE2's syntax).",
        regexp_matches,
        ((("abc", "b+"), True), (("abc", "^b"), False), (("a\nb", "a.b"), False)),
    ),
    Function(
        "regexp_full_match",
        ("string", "regex"),
        "bool",
        "Whether the whole matches a constant regular expression (RE2's syntax).",
        regexp_full_match,
        ((("abc", "b"), False), (("abc", "a.c|x"), True), (("ab\n", "ab"), False)),
    ),
)
