"""The page of all functions is complete and as the code has it."""

from __future__ import annotations

from pathlib import Path

from headwater.expressions.functions import (
    AGGREGATE_FUNCTIONS,
    FAMILIES,
    SCALAR_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    SPELLINGS,
)
from headwater.expressions.reference import page
from headwater.expressions.refusal import DOCS, FORBIDDEN

PAGE = Path(__file__).parents[2] / DOCS


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), (
        f"write it anew: python -m headwater.expressions.reference > {DOCS}"
    )


def test_every_spelling_is_documented() -> None:
    text = page()
    for name in SPELLINGS:
        assert f"`{name}(" in text or f"`{name}`" in text, name


def test_every_function_has_a_line_and_examples() -> None:
    functions = [f for family in FAMILIES.values() for f in family]
    assert all(f.doc.endswith(".") and f.examples for f in functions)
    framed = [*AGGREGATE_FUNCTIONS.values(), *SEQUENCE_FUNCTIONS.values()]
    assert all(f.doc.endswith(".") for f in framed)
    assert len(functions) >= 80


def test_names_are_unique() -> None:
    names = [f.name for family in FAMILIES.values() for f in family]
    names += [*AGGREGATE_FUNCTIONS, *SEQUENCE_FUNCTIONS]
    assert len(names) == len(set(names))
    others = [s for f in SCALAR_FUNCTIONS.values() for s in f.spellings]
    assert len(others) == len(set(others))
    assert not set(others) & set(names) - {"mod", "list_value"}
    assert not set(FORBIDDEN) & set(SPELLINGS)
