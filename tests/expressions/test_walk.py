"""Walks over trees, and trees with parts replaced."""

from __future__ import annotations

from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Call, Column, Literal, Node
from headwater.expressions.walk import (
    aggregates_of,
    children,
    columns_of,
    replace,
    sequence_calls_of,
    uses,
    walk,
    with_children,
)

TEXTS = (
    "a",
    "1",
    "case when a then b when c then d else e end",
    "case when a then b end",
    "cast(a as double) + upper(b)",
    "sum(a) filter (where b > c) / nullif(count(*) filter (where d), 0)",
    "quantile_cont(a, 0.5) - last_k(b, 3)[1]",
    "wilder(greatest(close - lag(close), 0), 14)",
)


def tree(text: str) -> Node:
    return parse(text, "test")


def test_children_are_in_written_order() -> None:
    names = [child.name for child in children(tree(TEXTS[2])) if isinstance(child, Column)]
    assert names == ["a", "b", "c", "d", "e"]
    assert children(tree("sum(a) filter (where b)")) == (Column("a"), Column("b"))


def test_walk_visits_parents_first() -> None:
    found = [type(node).__name__ for node in walk(tree("upper(a) = cast(b as text)"))]
    assert found == ["Call", "Call", "Column", "Cast", "Column"]


def test_columns_are_sorted_and_looked_for_in_filters() -> None:
    assert columns_of(tree(TEXTS[5])) == ("a", "b", "c", "d")
    assert columns_of(tree("count(*)")) == ()


def test_aggregates_are_distinct_in_order() -> None:
    found = aggregates_of(tree("sum(a) / count(*) + sum(a) * sum(b)"))
    assert [canonical(node) for node in found] == ['sum("a")', "count(*)", 'sum("b")']


def test_sequence_calls_outer_first() -> None:
    assert [call.name for call in sequence_calls_of(tree(TEXTS[7]))] == ["wilder", "lag"]
    assert sequence_calls_of(tree("a + 1")) == ()


def test_uses() -> None:
    assert uses(tree("date_diff('day', a, as_of())"), "as_of")
    assert uses(tree("1 + sum(a) filter (where b < lag(b))"), "lag")
    assert uses(tree("sum(a)"), "sum")
    assert not uses(tree("as_off"), "as_of")


def test_children_put_back_give_the_same_tree() -> None:
    for text in TEXTS:
        for node in walk(tree(text)):
            assert with_children(node, children(node)) == node


def test_replace_keeps_what_it_does_not_replace() -> None:
    before = tree(TEXTS[5])
    assert replace(before, lambda _: None) is before


def test_replace_reaches_every_part() -> None:
    for text in TEXTS:
        found = replace(tree(text), lambda n: Column("x") if isinstance(n, Column) else None)
        assert set(columns_of(found)) <= {"x"}


def test_replace_is_top_down_and_final() -> None:
    def wrap(node: Node) -> Node | None:
        return Call("abs", (node,)) if isinstance(node, Aggregate) else None

    found = replace(tree("sum(a) + count(*)"), wrap)
    assert canonical(found) == '(abs(sum("a")) + abs(count(*)))'


def test_replace_the_whole() -> None:
    assert replace(tree("sum(a)"), lambda _: Literal(1, "int64")) == Literal(1, "int64")
