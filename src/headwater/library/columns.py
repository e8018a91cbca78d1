"""Columns, or expressions over columns, that a user names and a library writes into expressions."""

from __future__ import annotations

import re

from headwater.errors import DefinitionError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def grouped(expression: str) -> str:
    """An expression that keeps together inside another."""
    return expression if _NAME.fullmatch(expression) else f"({expression})"


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def refuse_text(what: str, values: object) -> None:
    """Raise DefinitionError for a text where several values are meant: it would be its letters."""
    if isinstance(values, str):
        raise DefinitionError(f"{what} is the text {values!r}; give a tuple, ({values!r},)")
