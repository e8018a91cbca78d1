"""How a function of the language is declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = Callable[[Sequence[Any]], Any]
Example = tuple[tuple[Any, ...], Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function or operator of the allow-list, in all its forms.

    `takes` is a pattern an argument: a type (to which narrower numbers widen, and a date to a
    timestamp), or `N` (numbers, brought to one of int64 and float64), `T` (any single value, the
    same type for all `T`), `V` (as `T`, lists too), `O`
    (as `T`, float32 widened), `sized` (string or list), `list` (a list of single values) or
    `lists` (of anything) with `E` for the element, `numbers` (a list of them, added as `S`),
    `reals` (as a list of float64), `floats` (a list of them), `map` with `K` and `W`
    for its key and value, `keys` and `items` (lists of what a map may hold), `struct` with `F` for
    the field that the constant behind it names, `vector` (vectors of one size; elsewhere a vector
    counts as a list), `C` (numbers, the components of one), `any`; or a constant: `'a|b'` (one of
    these), `digits` (-30 to 30), `size`
    (0 to 10000), `letter` (one character), `regex`,
    `field` (of the struct before it), `text` (any). A trailing `?` marks an argument that may be
    left out, a trailing `...` one that repeats. `gives` is the type of the result.

    `row` computes one row. Where `strict`, it sees no nulls: one null argument makes the result
    null. `build`, where given, takes the closures of the arguments instead and decides itself
    what it evaluates. `text` is the canonical spelling with `{0}` for arguments (`{*}` for all of
    them with ", "), `duckdb` the spelling for DuckDB where it differs.

    A `hidden` function has no spelling: `resolve` puts it into the tree.

    Every engine must reproduce the `examples`: (arguments, result); `CANNOT` as the result means
    that the call is an error.
    """

    name: str
    takes: tuple[str, ...]
    gives: str
    doc: str
    row: Callable[..., Any]
    examples: tuple[Example, ...]
    text: str = ""
    duckdb: str = ""
    spellings: tuple[str, ...] = ()
    strict: bool = True
    hidden: bool = False
    build: Callable[[Sequence[Row]], Row] | None = None

    @property
    def template(self) -> str:
        return self.text or self.name + "({*})"

    @property
    def least(self) -> int:
        """The smallest number of arguments."""
        return sum("?" not in pattern for pattern in self.takes)

    @property
    def most(self) -> int | None:
        """The greatest number of arguments, None where they repeat without end."""
        repeats = bool(self.takes) and self.takes[-1].endswith("...")
        return None if repeats else len(self.takes)

    def pattern(self, position: int) -> str:
        """The pattern of the argument at a position, without its mark."""
        last = self.takes[min(position, len(self.takes) - 1)]
        return last.removesuffix("...").removesuffix("?")


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """An aggregate or a function of a row and its predecessors; the kernels compute it.

    `takes` and `gives` are as in Function; `constants` says how many of the last arguments are
    constants (the fraction of a quantile, the k of last_k). One that is `elementwise` takes
    vectors too, and gives the vector of what it is of each element.
    """

    name: str
    kind: Literal["aggregate", "sequence"]
    takes: tuple[str, ...]
    gives: str
    doc: str
    spellings: tuple[str, ...] = ()
    constants: int = 0
    elementwise: bool = False

    def pattern(self, position: int) -> str:
        """The pattern of the argument at a position, without its mark."""
        return self.takes[position].removesuffix("?")


class Constant:
    """The closure of a constant, which those around it may recognise."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, row: Sequence[Any]) -> Any:  # noqa: ARG002
        return self.value


CANNOT = object()
