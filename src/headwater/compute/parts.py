"""What a sequence feature is made of: frames, lags and smoothings, from inside out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Call, Column, Literal, Node, Over
from headwater.expressions.walk import children, columns_of, is_sequence_call, replace, uses

Frame = tuple[int | None, int]


@dataclass(frozen=True)
class Part:
    """An aggregate over its frame (rows, and how many there must be), or a sequence call.

    `name` is that of its column, `feature` the first that holds it, for errors.
    """

    name: str
    feature: str
    node: Aggregate | Call
    frame: Frame | None

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The row-level expressions that it works on."""
        return children(self.node) if isinstance(self.node, Aggregate) else self.node.args[:1]


@dataclass(frozen=True)
class Level:
    """Parts that hold no others but those of levels before, and the columns needed behind them."""

    parts: tuple[Part, ...]
    needed: frozenset[str]


@dataclass(frozen=True)
class Program:
    """How features are computed: level by level their parts, each of which becomes a column under
    its name, and then the scalar expressions over these that are left.

    What features share is computed once.
    """

    levels: tuple[Level, ...]
    outer: Mapping[str, Node]

    @classmethod
    def of(cls, features: Sequence[AnalyzedFeature]) -> Program:
        trees = {f.name: f.tree for f in features if f.tree is not None}
        frames = {f.name: frame_of(f) for f in features}
        levels: list[Level] = []
        count = 0
        while parts := _next(trees, frames, count):
            count += len(parts)
            needed = {name for tree in trees.values() for name in columns_of(tree)}
            levels.append(Level(tuple(parts), frozenset(needed)))
        return cls(tuple(levels), trees)

    @property
    def parts(self) -> list[Part]:
        return [part for level in self.levels for part in level.parts]


def _next(trees: dict[str, Node], frames: Mapping[str, Frame], count: int) -> list[Part]:
    """The innermost parts of the trees, each of which becomes a column there."""
    found: dict[tuple[Aggregate | Call, Frame | None], Part] = {}
    for name, tree in trees.items():
        places: dict[Node, Node] = {}
        for node in _innermost(tree):
            framed = _with_frame(name, node, frames[name])
            if framed not in found:
                found[framed] = Part(f"#part {count + len(found)}", name, *framed)
            places[node] = Column(found[framed].name)
        trees[name] = replace(tree, places.get)
    return list(found.values())


def least_rows(feature: AnalyzedFeature) -> int:
    """The number of rows that a key must have before the feature has a value."""
    return feature.feature.min_rows or feature.feature.rows or 1


def alpha(node: Node) -> float:
    """The weight of a new value in a smoothing."""
    size = constant(node)
    return 2 / (size + 1) if isinstance(node, Call) and node.name == "ema" else 1 / size


def look_back(features: Sequence[AnalyzedFeature]) -> int | None:
    """How many rows before a changed one its new value may depend on; None is all of them.

    A smoothed value carries its state on, so it looks back no further than its argument.
    """
    furthest = 0
    for feature in features:
        reach = None if feature.tree is None else _look_back(feature.tree, frame_of(feature))
        if reach is None:
            return None
        furthest = max(furthest, (feature.feature.rows or 1) - 1, reach)
    return furthest


def rows_read(feature: AnalyzedFeature) -> int | None:
    """How many last rows a feature's value is made of; None is all rows up to its own."""
    tree = feature.tree
    if tree is None or uses(tree, "ema") or uses(tree, "wilder"):
        return None
    reach = look_back([feature])
    return None if reach is None else reach + 1


def _look_back(node: Node, frame: Frame) -> int | None:
    below = [_look_back(child, frame) for child in children(node)]
    own: int | None = 0
    if isinstance(node, Aggregate):
        own = None if frame[0] is None else frame[0] - 1
    elif isinstance(node, Over):
        own = None if node.rows is None else node.rows - 1
    elif isinstance(node, Call) and node.name in ("lag", "wma"):
        own = constant(node) - (node.name == "wma")
    if own is None or None in below:
        return None
    return own + max((reach for reach in below if reach is not None), default=0)


def frame_of(feature: AnalyzedFeature) -> Frame:
    rows = feature.feature.rows
    return rows, feature.feature.min_rows or rows or 1


def _with_frame(feature: str, node: Node, frame: Frame) -> tuple[Aggregate | Call, Frame | None]:
    if isinstance(node, Over):
        return node.aggregate, (node.rows, 1)
    if isinstance(node, Aggregate):
        return node, frame
    if isinstance(node, Call):
        return node, None
    raise ComputeError(f"feature '{feature}': {canonical(node)} has no frame")


def _innermost(tree: Node) -> Iterator[Node]:
    """The framed parts that hold no other framed part."""
    below = [part for child in children(tree) for part in _innermost(child)]
    if below:
        yield from below
    elif isinstance(tree, Aggregate) or is_sequence_call(tree):
        yield tree


def constant(node: Node) -> int:
    """The number of rows of a sequence call, as in ema(x, 12)."""
    found = node.args[1] if isinstance(node, Call) else None
    if not isinstance(found, Literal) or not isinstance(found.value, int):
        raise ComputeError(f"{canonical(node)}: the number of rows should be a constant")
    return found.value
