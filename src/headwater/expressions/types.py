"""Types of expressions: every argument is checked, every conversion is written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headwater.definitions.types import FLOATS, INTEGERS, NUMBERS, element, is_list, list_of
from headwater.errors import ExpressionError, near_miss
from headwater.expressions.casts import can_cast
from headwater.expressions.functions import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    AggregateFunction,
    Function,
)
from headwater.expressions.tree import Aggregate, Call, Case, Cast, Column, Literal, Node

NULL = "null"
WORDS = {
    "N": "a number",
    "number": "a number",
    "time": "date or timestamp",
    "sized": "string or list",
    "list": "a list",
    "scalar": "a single value",
    "ordered": "a value with an order",
}


def type_of(node: Node, columns: Mapping[str, str], where: str) -> str:
    """The type of an expression over columns of the given types; `null` for a bare NULL.

    Raises ExpressionError, its text starting with `where`, for an unknown name or an argument of
    the wrong type.
    """
    return resolve(node, columns, where)[1]


def resolve(node: Node, columns: Mapping[str, str], where: str) -> tuple[Node, str]:
    """The tree with every implicit conversion written as a Cast, and its type.

    This is the tree to print and to compile: the same conversions then happen on every engine.
    Arithmetic works on int64 and float64 only; int32 and float32 are widened first.
    """
    return _Resolver(columns, where).visit(node)


def unify(types: Sequence[str]) -> str | None:
    """The type that holds values of all these types without a change of meaning, or None."""
    kinds = {t for t in types if t != NULL}
    if not kinds:
        return NULL
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= set(INTEGERS):
        return "int64"
    if kinds <= set(NUMBERS):
        return "float64"
    if all(is_list(kind) for kind in kinds):
        inner = unify([element(kind) for kind in kinds])
        return None if inner is None else list_of(inner)
    return None


def convert(node: Node, before: str, after: str) -> Node:
    """The node as a value of the type `after`, to which `before` widens."""
    if before == after:
        return node
    if isinstance(node, Literal) and isinstance(node.value, int) and after == "float64":
        return Literal(float(node.value), after)
    if isinstance(node, Case):
        return Cast(node, after)
    return Cast(node, after)


def describe(function: Function | AggregateFunction) -> str:
    """How a message names a function: `function 'upper'`, `operator 'x + y'`."""
    if isinstance(function, AggregateFunction) or not function.text:
        return f"function '{function.name}'"
    from headwater.expressions.printing import fill

    count = max(2, function.least) if function.most is None else function.least
    text = fill(function.text, ["x", "y", "z", "u"][:count])
    return f"operator '{text.removeprefix('(').removesuffix(')')}'"


class _Resolver:
    def __init__(self, columns: Mapping[str, str], where: str) -> None:
        self._columns = columns
        self._where = where

    def error(self, message: str) -> ExpressionError:
        return ExpressionError(f"{self._where}: {message}")

    def visit(self, node: Node) -> tuple[Node, str]:
        match node:
            case Literal():
                return node, node.dtype
            case Column():
                return node, self._column(node.name)
            case Cast():
                return self._cast(node)
            case Case():
                return self._case(node)
            case Aggregate():
                return self._aggregate(node)
            case Call():
                return self._call(node)

    def _column(self, name: str) -> str:
        found = self._columns.get(name)
        if found is not None:
            return found
        same = [known for known in self._columns if known.lower() == name.lower()]
        hint = f"; did you mean '{same[0]}'?" if same else near_miss(name, self._columns)
        raise self.error(f"unknown column or feature '{name}'{hint}")

    def _cast(self, node: Cast) -> tuple[Node, str]:
        arg, found = self.visit(node.arg)
        if not can_cast(found, node.dtype):
            hint = ""
            if found in ("timestamp", "date") and node.dtype in NUMBERS:
                hint = "; write epoch_us(x) or epoch(x)"
            if found in NUMBERS and node.dtype in ("timestamp", "date"):
                hint = "; write to_timestamp(seconds) or make_timestamp(microseconds)"
            raise self.error(f"a {found} can't be cast to {node.dtype}{hint}")
        return Cast(arg, node.dtype, node.is_try), node.dtype

    def _case(self, node: Case) -> tuple[Node, str]:
        conditions = [
            self._given(self.visit(test), "bool", f"CASE: condition {i}")
            for i, (test, _) in enumerate(node.branches, 1)
        ]
        values = [self.visit(value) for _, value in node.branches]
        if node.otherwise is not None:
            values.append(self.visit(node.otherwise))
        common = self._common(values, "CASE: the values")
        nodes = [convert(value, before, common) for value, before in values]
        branches = tuple(zip(conditions, nodes, strict=False))
        return Case(branches, None if node.otherwise is None else nodes[-1]), common

    def _given(self, found: tuple[Node, str], expected: str, what: str) -> Node:
        """The argument as `expected`, to which null and narrower numbers widen."""
        node, dtype = found
        if unify([dtype, expected]) != expected:
            raise self.error(f"{what} should be {expected}, is {dtype}{_hint(node, expected)}")
        return convert(node, dtype, expected)

    def _common(self, found: Sequence[tuple[Node, str]], what: str) -> str:
        types = [dtype for _, dtype in found]
        common = unify(types)
        if common is None:
            names = " and ".join(sorted({t for t in types if t != NULL}))
            hints = [_hint(n, t) for n, d in found if d == "string" for t in types]
            hint = next((h for h in hints if h), "")
            if not hint and {*types} - {NULL} == {"date", "timestamp"}:
                hint = "; write CAST(x AS TIMESTAMP) or CAST(x AS DATE)"
            raise self.error(f"{what} should have one type, are {names}{hint}")
        return common

    def _call(self, node: Call) -> tuple[Node, str]:
        sequence = SEQUENCE_FUNCTIONS.get(node.name)
        if sequence is not None:
            arg, dtype = self.visit(node.args[0])
            self._check_pattern(sequence, 0, dtype, node.args[0])
            if sequence.takes[0] == "float64":
                arg = convert(arg, dtype, "float64")
            return Call(node.name, (arg, *node.args[1:])), _result(sequence, dtype)
        function = SCALAR_FUNCTIONS[node.name]
        found = [self.visit(arg) for arg in node.args]
        self._check_count(function, len(found))
        if function.name in ("add", "subtract"):
            self._refuse_times(function, [dtype for _, dtype in found])
        groups = self._groups(function, found)
        args = tuple(
            self._argument(function, i, node, dtype, groups)
            for i, (node, dtype) in enumerate(found)
        )
        return Call(node.name, args), _named(function.gives, groups)

    def _check_count(self, function: Function, count: int) -> None:
        most = function.most
        if function.least <= count and (most is None or count <= most):
            return
        if most == function.least:
            wanted = f"{most}"
        elif most is None:
            wanted = f"at least {function.least}"
        else:
            wanted = f"{function.least} to {most}"
        plural = "" if wanted == "1" else "s"
        raise self.error(f"{describe(function)} takes {wanted} argument{plural}, got {count}")

    def _refuse_times(self, function: Function, types: Sequence[str]) -> None:
        if {"date", "timestamp"} & set(types):
            raise self.error(
                f"{describe(function)} is for numbers, not for {' and '.join(types)}; add or "
                "subtract INTERVAL 3 DAY, or take date_diff('day', from, to)"
            )

    def _groups(self, function: Function, found: Sequence[tuple[Node, str]]) -> dict[str, str]:
        """What `T`, `N` and `E` stand for in this call."""
        groups: dict[str, str] = {}
        shared = [f for i, f in enumerate(found) if function.pattern(i) == "T"]
        if shared:
            groups["T"] = self._common(shared, f"{describe(function)}: the arguments")
        numbers = [dtype for i, (_, dtype) in enumerate(found) if function.pattern(i) == "N"]
        if numbers:
            groups["N"] = "int64" if set(numbers) <= {*INTEGERS, NULL} else "float64"
        lists = [dtype for i, (_, dtype) in enumerate(found) if function.pattern(i) == "list"]
        if lists and is_list(lists[0]):
            others = [dtype for i, (_, dtype) in enumerate(found) if function.pattern(i) == "E"]
            groups["E"] = unify([element(lists[0]), *others]) or element(lists[0])
            groups["list"] = list_of(groups["E"])
        return groups

    def _argument(
        self,
        function: Function,
        position: int,
        node: Node,
        dtype: str,
        groups: Mapping[str, str],
    ) -> Node:
        pattern = function.pattern(position)
        self._check_pattern(function, position, dtype, node)
        if pattern in groups:
            what = f"{describe(function)}: argument {position + 1}"
            return self._given((node, dtype), groups[pattern], what)
        if dtype == NULL:
            return node if pattern == "any" else Cast(node, NULL_TYPES.get(pattern, pattern))
        return convert(node, dtype, pattern) if pattern in FLOATS + INTEGERS else node

    def _check_pattern(
        self, function: Function | AggregateFunction, position: int, dtype: str, node: Node
    ) -> None:
        pattern = function.takes[min(position, len(function.takes) - 1)].rstrip(".?")
        if "'" in pattern:
            allowed = pattern.strip("'").split("|")
            if not (isinstance(node, Literal) and node.value in allowed):
                raise self.error(
                    f"{describe(function)}: argument {position + 1} should be one of the "
                    f"constants {', '.join(allowed)}"
                )
        elif not fits(pattern, dtype):
            raise self.error(
                f"{describe(function)}: argument {position + 1} should be "
                f"{WORDS.get(pattern, pattern)}, is {dtype}{_hint(node, pattern)}"
            )

    def _aggregate(self, node: Aggregate) -> tuple[Node, str]:
        function = AGGREGATE_FUNCTIONS[node.name]
        found = [self.visit(arg) for arg in node.args]
        for i, (arg, dtype) in enumerate(found):
            self._check_pattern(function, i, dtype, arg)
        where = None
        if node.where is not None:
            where = self._given(self.visit(node.where), "bool", "FILTER (WHERE ...)")
        args = tuple(arg for arg, _ in found)
        tree = Aggregate(node.name, args, node.distinct, where, node.parameters)
        return tree, _result(function, found[0][1] if found else NULL)


NULL_TYPES = {"time": "timestamp", "sized": "string", "list": "list[int64]"}


def fits(pattern: str, dtype: str) -> bool:
    """Whether a value of a type may stand where the pattern of an argument asks for it."""
    if dtype == NULL or pattern in ("any", "T", "E"):
        return True
    if pattern in ("N", "number", "float64"):
        return dtype in NUMBERS
    if pattern == "int64":
        return dtype in INTEGERS
    if pattern == "time":
        return dtype in ("date", "timestamp")
    if pattern == "sized":
        return dtype == "string" or is_list(dtype)
    if pattern == "list":
        return is_list(dtype)
    if pattern in ("scalar", "ordered"):
        return not is_list(dtype)
    return pattern == dtype


def _named(gives: str, groups: Mapping[str, str]) -> str:
    if is_list(gives):
        return list_of(_named(element(gives), groups))
    return groups.get(gives, NULL if gives in ("T", "E") else gives)


def _result(function: AggregateFunction, dtype: str) -> str:
    """The type of an aggregate or sequence call over values of a type."""
    if function.gives == "wide":
        return "int64" if dtype in INTEGERS else "float64"
    if function.gives == "T":
        return dtype
    return list_of(dtype) if function.gives == "list[T]" else function.gives


def _hint(node: Node, expected: str) -> str:
    if isinstance(node, Literal) and node.dtype == "string":
        if expected in ("date", "time"):
            return "; write DATE '2024-01-31'"
        if expected == "timestamp":
            return "; write TIMESTAMP '2024-01-31 00:00:00'"
    return ""
