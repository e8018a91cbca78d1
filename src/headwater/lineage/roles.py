"""Which names an expression reads, and what each is for: its value, or a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from headwater.expressions.tree import Aggregate, Case, Column, Node, Over
from headwater.expressions.walk import children

Role = Literal["value", "filter", "key", "event_time", "available_at", "id", "sequence"]
ROLES: tuple[Role, ...] = (
    "value",
    "filter",
    "key",
    "event_time",
    "available_at",
    "id",
    "sequence",
)


def ordered(roles: set[Role]) -> tuple[Role, ...]:
    """Roles in the order in which they are told."""
    return tuple(role for role in ROLES if role in roles)


def roles_in(
    tree: Node, inner: Callable[[str], Node | None] = lambda _name: None
) -> Mapping[str, set[Role]]:
    """The names that a tree reads, each with its roles.

    A name is a filter where it decides which rows or which branch count (`FILTER (WHERE ...)`,
    `CASE WHEN ...`), a value elsewhere. `inner` gives the tree that stands for a name, or None.
    """
    found: dict[str, set[Role]] = {}
    seen: set[tuple[str, Role]] = set()
    waiting: list[tuple[Node, Role]] = [(tree, "value")]
    while waiting:
        node, role = waiting.pop()
        if not isinstance(node, Column):
            waiting.extend(_parts(node, role))
        elif (node.name, role) not in seen:
            seen.add((node.name, role))
            other = inner(node.name)
            if other is None:
                found.setdefault(node.name, set()).add(role)
            else:
                waiting.append((other, role))
    return found


def _parts(node: Node, role: Role) -> list[tuple[Node, Role]]:
    """The nodes below one, each with the role that it plays."""
    if isinstance(node, Over):
        return _parts(node.aggregate, role)
    if isinstance(node, Aggregate):
        filters: list[tuple[Node, Role]] = [] if node.where is None else [(node.where, "filter")]
        return [*((part, role) for part in node.args), *filters]
    if isinstance(node, Case):
        parts: list[tuple[Node, Role]] = []
        for condition, value in node.branches:
            parts += [(condition, "filter"), (value, role)]
        return parts if node.otherwise is None else [*parts, (node.otherwise, role)]
    return [(part, role) for part in children(node)]


def through(role: Role, inputs: set[Role]) -> set[Role]:
    """The roles of a column for what reads a feature in `inputs`: a value that only filters is a
    filter there.
    """
    return set(inputs) if role == "value" else {role}
