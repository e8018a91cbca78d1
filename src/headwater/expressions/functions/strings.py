"""Functions of strings. Positions and lengths count code points."""

from __future__ import annotations

from headwater.errors import ComputeError
from headwater.expressions.functions.declare import CANNOT, Function
from headwater.expressions.functions.letters import lower, upper

# the Unicode category Zs
SPACES = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
_LONGEST = 2**32 - 1
LONGEST_TEXT = 2**16
"""Characters of a text that is put together while a request waits: each step may multiply it."""


def substring(text: str, start: int, length: int | None = None) -> str:
    _check_range(start, "start")
    size = len(text)
    if start > 0:
        first = start - 1
    elif start < 0:
        first = max(size + start, 0) if length is None else size + start
    else:
        first = -1 if length is not None else 0
    if length is None:
        return text[first:]
    _check_range(length, "length")
    first, last = (first, first + length) if length >= 0 else (first + length, first)
    return text[max(first, 0) : max(last, 0)]


def _check_range(value: int, what: str) -> None:
    if not -_LONGEST - 1 <= value <= _LONGEST:
        raise ComputeError(f"substring: the {what} {value} is out of range")


def left(text: str, count: int) -> str:
    if count > _LONGEST:
        raise ComputeError(f"left: the length {count} is out of range")
    return text[:count] if count >= 0 else text[: max(len(text) + count, 0)]


def right(text: str, count: int) -> str:
    if count >= 0:
        return text[max(len(text) - count, 0) :]
    return text[min(-count, len(text)) :]


def replace(text: str, old: str, new: str) -> str:
    if not old:
        return text
    more = len(new) - len(old)
    if more > 0:
        _check_length("replace", len(text) + more * text.count(old))
    return text.replace(old, new)


def _check_length(name: str, length: int) -> None:
    if length > LONGEST_TEXT:
        raise ComputeError(
            f"{name}: the text would have {length} characters, {LONGEST_TEXT} at the most online"
        )


def split_part(text: str, separator: str, index: int) -> str:
    parts = text.split(separator) if separator else list(text)
    place = index - 1 if index > 0 else len(parts) + index
    return parts[place] if index and 0 <= place < len(parts) else ""


def concat(*texts: str | None) -> str:
    parts = [text for text in texts if text is not None]
    _check_length("concat", sum(map(len, parts)))
    return "".join(parts)


def both(left: str, right: str) -> str:
    _check_length("||", len(left) + len(right))
    return left + right


def lpad(text: str, length: int, padding: str) -> str:
    return _padding(text, length, padding) + text[:length]


def rpad(text: str, length: int, padding: str) -> str:
    return text[:length] + _padding(text, length, padding)


def _padding(text: str, length: int, padding: str) -> str:
    missing = length - len(text)
    if missing <= 0:
        return ""
    if not padding:
        raise ComputeError("lpad and rpad need something to pad with, the padding is empty")
    return (padding * (missing // len(padding) + 1))[:missing]


def translate(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for place, letter in enumerate(old):
        table.setdefault(ord(letter), new[place] if place < len(new) else None)
    return text.translate(table)


def code_point(text: str) -> int:
    return ord(text[0]) if text else -1


STRINGS = (
    Function(
        "lower",
        ("string",),
        "string",
        "In lower case, code point by code point.",
        lower,
        ((("ÀB",), "àb"), (("İ",), "i"), (("ÈÉ",), "èé"), ((None,), None)),
        spellings=("lcase",),
    ),
    Function(
        "upper",
        ("string",),
        "string",
        "In upper case, code point by code point.",
        upper,
        ((("àb",), "ÀB"), (("ß",), "ẞ"), (("ŉ",), "ŉ"), ((None,), None)),
        spellings=("ucase",),
    ),
    Function(
        "length",
        ("sized",),
        "int64",
        "Number of code points, or of a list's elements.",
        len,
        ((("añb",), 3), (("",), 0), ((None,), None), ((("a", "b"),), 2)),
        spellings=("len", "char_length", "character_length"),
    ),
    Function(
        "strlen",
        ("string",),
        "int64",
        "Number of bytes in UTF-8.",
        lambda s: len(s.encode()),
        ((("añb",), 4), (("",), 0)),
    ),
    Function(
        "trim",
        ("string", "string?"),
        "string",
        "Without spaces, or the given characters, at both ends.",
        lambda s, chars=SPACES: s.strip(chars) if chars else s,
        (((" a\t ",), "a\t"), (("xyaxy", "yx"), "a"), (("xa", ""), "xa")),
    ),
    Function(
        "ltrim",
        ("string", "string?"),
        "string",
        "As `trim`, at the left end only.",
        lambda s, chars=SPACES: s.lstrip(chars) if chars else s,
        (((" a ",), "a "), (("xyaxy", "yx"), "axy")),
    ),
    Function(
        "rtrim",
        ("string", "string?"),
        "string",
        "As `trim`, at the right end only.",
        lambda s, chars=SPACES: s.rstrip(chars) if chars else s,
        (((" a ",), " a"), (("xyaxy", "yx"), "xya")),
    ),
    Function(
        "substring",
        ("string", "int64", "int64?"),
        "string",
        "Part from a position (1 is the first, -1 the last) on, of at most that length.",
        substring,
        (
            (("hello", 2), "ello"),
            (("hello", 2, 3), "ell"),
            (("hello", -3, 2), "ll"),
            (("hello", 0, 2), "h"),
            (("hello", 2, -1), "h"),
            (("añb", 3, 1), "b"),
            (("hello", 1, 2**40), CANNOT),
        ),
        spellings=("substr",),
    ),
    Function(
        "left",
        ("string", "int64"),
        "string",
        "The first n characters; for a negative n all but the last -n.",
        left,
        ((("hello", 2), "he"), (("hello", -2), "hel"), (("hello", -9), "")),
    ),
    Function(
        "right",
        ("string", "int64"),
        "string",
        "The last n characters; for a negative n all but the first -n.",
        right,
        ((("hello", 2), "lo"), (("hello", -2), "llo"), (("hello", 9), "hello")),
    ),
    Function(
        "concat",
        ("string...",),
        "string",
        "All together; nulls count as empty strings.",
        concat,
        ((("a", None, "b"), "ab"), ((None, None), "")),
        strict=False,
    ),
    Function(
        "concat_operator",
        ("string", "string"),
        "string",
        "Both together; null where one is null.",
        both,
        ((("a", "b"), "ab"), (("a", None), None)),
        text="({0} || {1})",
    ),
    Function(
        "replace",
        ("string", "string", "string"),
        "string",
        "With each occurrence of the second string replaced by the third.",
        replace,
        ((("aXbX", "X", "-"), "a-b-"), (("aa", "", "x"), "aa")),
    ),
    Function(
        "translate",
        ("string", "string", "string"),
        "string",
        "With each character of the second string replaced by the one of the third, or cut.",
        translate,
        ((("abc", "ab", "xy"), "xyc"), (("abc", "ab", "x"), "xc")),
    ),
    Function(
        "contains",
        ("string", "string"),
        "bool",
        "Whether the second string is inside.",
        lambda s, part: part in s,
        ((("abc", "b"), True), (("abc", ""), True), (("abc", "x"), False)),
    ),
    Function(
        "starts_with",
        ("string", "string"),
        "bool",
        "Whether it begins with the second one.",
        lambda s, part: s.startswith(part),
        ((("abc", "a"), True), (("abc", "b"), False)),
        spellings=("prefix",),
    ),
    Function(
        "ends_with",
        ("string", "string"),
        "bool",
        "Whether it ends with the second one.",
        lambda s, part: s.endswith(part),
        ((("abc", "c"), True), (("abc", "b"), False)),
        spellings=("suffix",),
        duckdb="suffix({0}, {1})",
    ),
    Function(
        "split_part",
        ("string", "string", "int64"),
        "string",
        "The n-th part between separators (1 is the first, -1 the last); empty if none.",
        split_part,
        (
            (("a,b,c", ",", 2), "b"),
            (("a,b,c", ",", -1), "c"),
            (("a,b", ",", 9), ""),
            (("a,b", ",", 0), ""),
            (("abc", "", 2), "b"),
        ),
    ),
    Function(
        "strpos",
        ("string", "string"),
        "int64",
        "Where the second string begins first in the first one; 0 if nowhere. Also written "
        "`POSITION(part IN s)`.",
        lambda s, part: s.find(part) + 1,
        ((("añb", "b"), 3), (("abc", "x"), 0), (("abc", ""), 1)),
        spellings=("instr",),
    ),
    Function(
        "lpad",
        ("string", "size", "string"),
        "string",
        "Filled at the left up to a constant length, or cut to it.",
        lpad,
        ((("7", 3, "0"), "007"), (("abc", 2, "0"), "ab"), (("a", 2, ""), CANNOT)),
    ),
    Function(
        "rpad",
        ("string", "size", "string"),
        "string",
        "Filled at the right up to a constant length, or cut to it.",
        rpad,
        ((("7", 3, "ab"), "7ab"), (("abc", 2, "0"), "ab"), (("a", 2, ""), CANNOT)),
    ),
    Function(
        "unicode",
        ("string",),
        "int64",
        "The first code point; -1 of an empty string.",
        code_point,
        ((("é",), 233), (("",), -1)),
        spellings=("ord",),
        duckdb="CAST(unicode({0}) AS BIGINT)",
    ),
)
