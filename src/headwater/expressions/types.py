"""Types of expressions: every argument is checked, every conversion is written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headwater.definitions.types import (
    FLOATS,
    INTEGERS,
    MAX_DIGITS,
    NUMBERS,
    decimal_of,
    digits,
    element,
    is_decimal,
    is_list,
    is_nested,
    is_struct,
    is_vector,
    list_of,
    size,
    struct_of,
    vector_of,
)
from headwater.errors import ExpressionError, near_miss
from headwater.expressions.casts import can_cast
from headwater.expressions.functions import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    AggregateFunction,
    Function,
)
from headwater.expressions.functions.matching import check_regex
from headwater.expressions.nested import (
    as_list,
    bracketed,
    field_of,
    has_no_type,
    nested_groups,
    qualified,
    settled,
)
from headwater.expressions.printing import fill
from headwater.expressions.tree import (
    Aggregate,
    Call,
    Case,
    Cast,
    Column,
    Literal,
    Node,
    Over,
    Pack,
)
from headwater.expressions.widening import (
    NULL,
    convert,
    fits,
    fits_constant,
    is_constant,
    null_type,
    unify,
    widens,
    words,
)

_Typed = tuple[Node, str]


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


class _Resolver:
    def __init__(self, columns: Mapping[str, str], where: str) -> None:
        self._columns = columns
        self._where = where

    def error(self, message: str) -> ExpressionError:
        return ExpressionError(f"{self._where}: {message}")

    def visit(self, node: Node) -> _Typed:
        match node:
            case Literal():
                return node, node.dtype
            case Column():
                return node, self._column(node.name)
            case Cast():
                return self._cast(node)
            case Case():
                return self._case(node)
            case Pack():
                return self._pack(node)
            case Aggregate():
                return self._aggregate(node)
            case Over():
                inner, dtype = self._aggregate(node.aggregate)
                return Over(inner, node.rows), dtype
            case Call(name="as_of"):
                return node, "timestamp"
            case Call(name=name) if name in SEQUENCE_FUNCTIONS:
                return self._sequence(node)
            case Call():
                return self._call(node)

    def _column(self, name: str) -> str:
        found = self._columns.get(name)
        if found is not None:
            return found
        same = [known for known in self._columns if known.lower() == name.lower()]
        hint = f"; did you mean '{same[0]}'?" if same else near_miss(name, self._columns)
        raise self.error(f"unknown column or feature '{name}'{hint}")

    def _pack(self, node: Pack) -> _Typed:
        found = [self.visit(value) for value in node.values]
        dtype = struct_of(zip(node.names, (dtype for _, dtype in found), strict=True))
        return Pack(node.names, tuple(value for value, _ in found)), dtype

    def _field(self, found: Sequence[_Typed]) -> _Typed:
        (value, dtype), (name, _) = found
        if not is_struct(dtype):
            raise self.error(f"'.{_shown(name)}' is a field of a struct, not of {dtype}")
        try:
            known, inner = field_of(dtype, name)
        except ValueError as error:
            raise self.error(str(error)) from None
        return Call("struct_extract", (value, Literal(known, "string"))), inner

    def _cast(self, node: Cast) -> _Typed:
        arg, before = self.visit(node.arg)
        after = node.dtype
        if not can_cast(before, after):
            hint = ""
            if before in ("timestamp", "date") and after in NUMBERS:
                hint = "; write epoch(x) or epoch_us(x)"
            if before in NUMBERS and after in ("timestamp", "date"):
                hint = "; write to_timestamp(seconds) or make_timestamp(microseconds)"
            if is_vector(before) and is_vector(after):
                hint = "; vectors of different sizes have nothing in common"
            raise self.error(f"{before} can't be cast to {after}{hint}")
        return _written_cast(arg, before, after, is_try=node.is_try), after

    def _case(self, node: Case) -> _Typed:
        conditions = [
            self._given(self.visit(test), "bool", f"CASE: condition {number}")
            for number, (test, _) in enumerate(node.branches, 1)
        ]
        values = [self.visit(value) for _, value in node.branches]
        if node.otherwise is not None:
            values.append(self.visit(node.otherwise))
        common = self._common(values, "CASE: the values")
        nodes = [convert(value, before, common) for value, before in values]
        branches = tuple(zip(conditions, nodes, strict=False))
        return Case(branches, None if node.otherwise is None else nodes[-1]), common

    def _given(self, found: _Typed, expected: str, what: str) -> Node:
        """The argument as `expected`, to which nulls, narrower numbers and dates widen."""
        node, dtype = found
        if not widens(dtype, expected):
            raise self.error(f"{what} should be {expected}, is {dtype}{_hint(node, expected)}")
        return convert(node, dtype, expected)

    def _common(self, found: Sequence[_Typed], what: str) -> str:
        common = unify([dtype for _, dtype in found])
        if common is None:
            types = sorted({dtype for _, dtype in found} - {NULL})
            raise self.error(
                f"{what} should have one type, are {' and '.join(types)}{_mixed_hint(found)}"
            )
        return common

    def _call(self, node: Call) -> _Typed:
        self._check_qualified(node)
        found = [self.visit(arg) for arg in node.args]
        name = bracketed(node, found[0][1]) if found else node.name
        function = SCALAR_FUNCTIONS[name]
        self._check_count(function, len(found))
        found = [as_list(function.pattern(place), *given) for place, given in enumerate(found)]
        if name == "struct_extract":
            return self._field(found)
        if function.name in ("add", "subtract"):
            self._refuse_times(function, [dtype for _, dtype in found])
        for position, given in enumerate(found):
            self._check(function, position, given)
        groups = self._groups(function, found)
        args = tuple(
            self._argument(function, position, given, groups)
            for position, given in enumerate(found)
        )
        gives = groups.get(function.gives, function.gives)
        # engines fold what a constant null makes null, before they meet an error elsewhere
        decisive = args if function.strict else args[:1] if function.name == "nullif" else ()
        if any(_is_null(arg) for arg in decisive):
            return _null(gives), gives
        return settled(Call(name, args), groups), gives

    def _check_qualified(self, node: Call) -> None:
        """`s.city` where nothing is called s: a source's name before a column's, most likely."""
        if node.name == "struct_extract" and len(node.args) == 2:
            of, field = node.args
            if isinstance(of, Column) and of.name not in self._columns:
                raise self.error(qualified(of.name, _shown(field)))

    def _check_count(self, function: Function, count: int) -> None:
        least, most = function.least, function.most
        if least <= count and (most is None or count <= most):
            return
        wanted = f"{least} to {most}" if most is not None else f"at least {least}"
        if least == most:
            wanted = f"{least}"
        plural = "" if wanted.endswith(" 1") or wanted == "1" else "s"
        raise self.error(f"{_title(function)} takes {wanted} argument{plural}, got {count}")

    def _refuse_times(self, function: Function, types: Sequence[str]) -> None:
        if {"date", "timestamp"} & set(types):
            raise self.error(
                f"{_title(function)} is for numbers, not for {' and '.join(types)}; add or "
                "subtract INTERVAL 3 DAY, or take date_diff('day', from, to)"
            )

    def _check(self, function: Function | AggregateFunction, position: int, given: _Typed) -> None:
        node, dtype = given
        pattern = function.pattern(position)
        what = f"{_title(function)}: argument {position + 1} should be {words(pattern)}"
        if is_constant(pattern):
            if not fits_constant(pattern, node):
                raise self.error(what)
            if pattern == "regex" and isinstance(node, Literal):
                self._check_regex(str(node.value))
        elif not fits(pattern, dtype) and not _is_elementwise(function, dtype):
            raise self.error(f"{what}, is {dtype}{_hint(node, pattern, dtype)}")

    def _check_known(self, function: AggregateFunction, given: _Typed) -> None:
        if given[1] != NULL and has_no_type(given[1]):
            raise self.error(
                f"{_title(function)}: a part of {given[1]} has no type; cast the NULL, or the "
                "empty list, that stands there"
            )

    def _check_regex(self, pattern: str) -> None:
        try:
            check_regex(pattern)
        except ExpressionError as error:
            raise self.error(str(error)) from None

    def _groups(self, function: Function, found: Sequence[_Typed]) -> dict[str, str]:
        """What the letters in the patterns stand for in this call."""
        members: dict[str, list[_Typed]] = {}
        for position, given in enumerate(found):
            members.setdefault(function.pattern(position), []).append(given)
        groups: dict[str, str] = {}
        for letter in {"T", "V", "O"} & members.keys():
            groups[letter] = self._common(members[letter], f"{_title(function)}: the arguments")
        if "vector" in members:
            groups["vector"] = self._common(members["vector"], f"{_title(function)}: the vectors")
        if groups.get("O") == "float32":
            groups["O"] = "float64"
        if "N" in members:
            real = any(dtype in FLOATS or is_decimal(dtype) for _, dtype in members["N"])
            groups["N"] = "float64" if real else "int64"
        types = {pattern: [dtype for _, dtype in of] for pattern, of in members.items()}
        return groups | {"list[V]": list_of(groups.get("V", NULL))} | nested_groups(types)

    def _argument(
        self, function: Function, position: int, given: _Typed, groups: Mapping[str, str]
    ) -> Node:
        node, dtype = given
        pattern = function.pattern(position)
        if pattern in ("digits", "size") and isinstance(node, Literal):
            return Literal(node.value, "int32")
        if is_constant(pattern) or pattern == "any":
            return node
        if pattern in groups:
            what = f"{_title(function)}: argument {position + 1}"
            return self._given(given, groups[pattern], what)
        wanted = null_type(pattern)
        if dtype == NULL:
            return node if wanted is None else Cast(node, wanted)
        return node if pattern == "sized" or wanted is None else convert(node, dtype, wanted)

    def _sequence(self, node: Call) -> _Typed:
        function = SEQUENCE_FUNCTIONS[node.name]
        given = self.visit(node.args[0])
        self._check(function, 0, given)
        self._check_known(function, given)
        arg, dtype = given
        if function.gives in FLOATS:
            arg = convert(arg, dtype, function.gives)
        return Call(node.name, (arg, *node.args[1:])), _result(function, dtype)

    def _aggregate(self, node: Aggregate) -> tuple[Aggregate, str]:
        function = AGGREGATE_FUNCTIONS[node.name]
        found = [self.visit(arg) for arg in node.args]
        for position, given in enumerate(found):
            self._check(function, position, given)
            self._check_known(function, given)
        if node.distinct and is_nested(found[0][1]):
            raise self.error(f"count(DISTINCT x): x should be a single value, is {found[0][1]}")
        where = None
        if node.where is not None:
            where = self._given(self.visit(node.where), "bool", "FILTER (WHERE ...)")
        if "number" in function.takes and function.name != "sum":
            found = [_given_double(*given) for given in found]
        if function.takes == ("key",):
            found = [(_given_key(*found[0]), _key(found[0][1]))]
        args = tuple(arg for arg, _ in found)
        tree = Aggregate(node.name, args, node.distinct, where, node.parameters)
        return tree, _result(function, found[0][1] if found else NULL)


def _given_double(node: Node, dtype: str) -> _Typed:
    """A decimal as the double by which it is counted on; all else as it is."""
    return (Cast(node, "float64"), "float64") if is_decimal(dtype) else (node, dtype)


def _written_cast(arg: Node, before: str, after: str, *, is_try: bool) -> Node:
    """The cast in steps that every engine does alike."""
    if before == after:
        return arg
    if _is_null(arg):
        return _null(after)
    if is_vector(after):
        return _vector_cast(arg, before, after, is_try=is_try)
    verb = "try_read_" if is_try else "read_"
    if before == "string" and after in ("date", "timestamp"):
        return Call(f"{verb}{after}", (arg,))
    if before == "string" and after in NUMBERS and not _is_call(arg, "number_text"):
        arg = Call("number_text", (arg,))
    if after == "float32" and before not in FLOATS:
        arg = Cast(arg, "float64", is_try)
    if after == "list[float32]" and element(before) in INTEGERS:
        arg = Cast(arg, "list[float64]", is_try)
    if after == "string" and before in FLOATS:
        return Call("float_text", (convert(arg, before, "float64"),))
    return Cast(arg, after, is_try)


def _shown(node: Node) -> str:
    return str(node.value) if isinstance(node, Literal) else "..."


def _vector_cast(arg: Node, before: str, after: str, *, is_try: bool) -> Node:
    """A vector's elements are cast first, then looked at: none may be null."""
    if unify([before, after]) == after:
        return Cast(arg, after, is_try)
    arg = _written_cast(arg, before, list_of(element(after)), is_try=is_try)
    name = "try_elements" if is_try else "elements"
    return Cast(arg if _is_call(arg, name) else Call(name, (arg,)), after, is_try)


def _is_elementwise(function: Function | AggregateFunction, dtype: str) -> bool:
    """Whether an aggregate of numbers is, of vectors, that of each element."""
    return isinstance(function, AggregateFunction) and function.elementwise and is_vector(dtype)


def _is_call(node: Node, name: str) -> bool:
    return isinstance(node, Call) and node.name == name


def _null(dtype: str) -> Node:
    literal = Literal(None, NULL)
    return literal if dtype == NULL else Cast(literal, dtype)


def _is_null(node: Node) -> bool:
    return (isinstance(node, Literal) and node.value is None) or (
        isinstance(node, Cast) and _is_null(node.arg)
    )


def _title(function: Function | AggregateFunction) -> str:
    """How a message names a function: `function 'upper'`, `operator 'x + y'`."""
    if isinstance(function, AggregateFunction) or not function.text:
        return f"function '{function.name}'"
    text = fill(function.text, ["x", "y", "z"][: max(2, function.least)])
    return f"operator '{text.removeprefix('(').removesuffix(')')}'"


def _result(function: AggregateFunction, dtype: str) -> str:
    """The type of an aggregate or sequence call over values of a type."""
    if _is_elementwise(function, dtype):
        return vector_of(_result(function, element(dtype)), size(dtype))
    if function.gives == "wide" and is_decimal(dtype):
        return decimal_of(MAX_DIGITS, digits(dtype)[1])
    if function.gives == "wide":
        return "int64" if dtype in INTEGERS else "float64"
    if function.gives == "T":
        return dtype
    return function.gives.replace("T", dtype)


def _key(dtype: str) -> str:
    """The type in which a map holds keys of a type."""
    return "int64" if dtype == "int32" else dtype


def _given_key(node: Node, dtype: str) -> Node:
    return convert(node, dtype, _key(dtype))


def _mixed_hint(found: Sequence[_Typed]) -> str:
    types = {dtype for _, dtype in found} - {NULL}
    if types == {"date", "timestamp"}:
        return "; write CAST(x AS TIMESTAMP) or CAST(x AS DATE)"
    hints = (_hint(node, other) for node, _ in found for other in types)
    return next((hint for hint in hints if hint), "")


def _hint(node: Node, expected: str, dtype: str = "") -> str:
    if expected == "vector" and is_list(dtype) and element(dtype) in NUMBERS:
        return "; write CAST(x AS FLOAT[64]), with the number of its elements"
    if isinstance(node, Literal) and node.dtype == "string":
        if expected == "date":
            return "; write DATE '2024-01-31'"
        if expected == "timestamp":
            return "; write TIMESTAMP '2024-01-31 00:00:00'"
    return ""
