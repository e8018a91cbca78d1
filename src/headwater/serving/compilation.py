"""Compiles resolved features to a plan: what is read, computed and answered, each thing once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from headwater.errors import RequestError
from headwater.online.codec import Layout
from headwater.serving.catalogue import Catalogue, Derived, Input, Reference, Stored
from headwater.serving.computations import computation
from headwater.serving.hints import hint_for, shown
from headwater.serving.nothing import revived, sayer
from headwater.serving.plan import (
    DerivedCell,
    GivenColumn,
    Group,
    Hop,
    KeyColumns,
    Output,
    Plan,
    Read,
    StoredCell,
)

_NUMBERS = ("bool", "int32", "int64", "float32", "float64")
_T = TypeVar("_T")


class Indexes:
    """What all requests of a generation share: revisions, layouts, compiled expressions."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.features = catalogue.features
        self.revisions = {revision.revision: revision for revision in catalogue.revisions}
        self.layouts = {
            revision.revision: Layout((c.name, c.dtype) for c in revision.columns)
            for revision in catalogue.revisions
        }
        self.places = {
            revision.revision: {c.name: place for place, c in enumerate(revision.columns)}
            for revision in catalogue.revisions
        }
        self.nothing = {
            (revision.revision, column.name): sayer(column.nothing)
            for revision in catalogue.revisions
            for column in revision.columns
            if column.nothing is not None
        }
        self.computations = {
            (name, version): computation(f"{name}@{version}", made)
            for name, feature in catalogue.features.items()
            for version, made in feature.versions.items()
            if isinstance(made, Derived)
        }

    def join_keys(self, name: str, version: str) -> tuple[str, ...]:
        """The join keys of a feature version."""
        made = self.features[name].versions[version]
        if isinstance(made, Stored):
            return tuple(key for key, _ in self.revisions[made.revision].join_keys)
        return tuple(key for key, _ in made.join_keys)


class _Found(NamedTuple):
    """A cell in the plan: where it is, its type, what it was read from, its keys, and how many hops
    have to be done before.
    """

    cell: int
    dtype: str
    revisions: tuple[str, ...]
    keys: tuple[int, ...]
    join_keys: frozenset[str]
    hops: int = 0


class _HopCell(NamedTuple):
    """A cell that a hop reads: the number of the hop, from 1 on."""

    hop: int


class _HopDraft:
    """A hop in the making: what is read at cells, by a compilation of its own."""

    def __init__(self, indexes: Indexes, depth: int) -> None:
        self.inner = Compilation(indexes, depth)
        self.columns: dict[str, int] = {}
        self.known: dict[Reference, _Found] = {}
        """What it reads, each version at each key once."""
        self._depth = depth

    def column(self, cell: int) -> str:
        """The name by which the inner request knows a cell's values: no column of a caller."""
        name = f"{'#' * self._depth}{cell}"
        self.columns[name] = cell
        return name


class _Age(NamedTuple):
    """What cells have in common that grow old alike."""

    read: int
    tick: int | None
    ttl: dt.timedelta | None
    told: bool


class Compilation:
    """A plan in the making."""

    def __init__(self, indexes: Indexes, depth: int = 0) -> None:
        self._indexes = indexes
        self._depth = depth
        self._hops: list[_HopDraft] = []
        self._hops_before: list[int] = []
        self._keys: dict[KeyColumns, int] = {}
        self._given: dict[str, GivenColumn] = {}
        self._reads: dict[tuple[str, int], int] = {}
        self._ticks_of: dict[str, int] = {}
        self._ages: dict[_Age, list[int]] = {}
        self._cells: list[StoredCell | DerivedCell | _HopCell] = []
        self._found: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Found] = {}
        self._outputs: dict[str, Output] = {}

    def add(self, name: str, reference: Reference, version: str) -> Output:
        """Answer a feature under `name`. Raises RequestError where that name is taken."""
        feature = self._indexes.features[reference.feature]
        if name in self._outputs:
            raise _taken(self._outputs[name], f"{feature.view}:{reference.feature}", version)
        found = self._cell(reference.feature, version, reference.join_keys)
        unknown = next((key for key in reference.join_keys if key not in found.join_keys), None)
        if unknown is not None:
            raise RequestError(
                f"feature '{reference.feature}' has no join key '{shown(unknown)}' to be read from "
                f"'{reference.join_keys[unknown]}'{hint_for(unknown, found.join_keys)}"
            )
        self._outputs[name] = Output(
            name,
            found.cell,
            reference.feature,
            feature.view,
            version,
            found.dtype,
            found.keys,
            found.revisions,
        )
        return self._outputs[name]

    def finish(self, generation: int, service: str | None) -> Plan:
        """The plan of all that was added, which a service may have listed."""
        ordered = self._ordered()
        moved = {before: after for after, before in enumerate(ordered)}
        plans = [hop.inner.finish(generation, service) for hop in self._hops]
        for column in (column for plan in plans for column in plan.given):
            self._take(column.feature, column.name, column.dtype)
        outputs = tuple(o._replace(cell=moved[o.cell]) for o in self._outputs.values())
        answered = tuple(output.cell for output in outputs)
        groups = tuple(self._group(age, places) for age, places in self._ages.items())
        return Plan(
            keys=tuple(self._keys),
            given=tuple(self._given.values()),
            reads=tuple(
                Read(revision, self._indexes.layouts[revision], keys)
                for revision, keys in self._reads
            ),
            ticks_of=tuple(self._ticks_of),
            groups=groups,
            stored=[cell for group in groups for cell in group.cells],
            derived=self._moved(0, moved),
            outputs=outputs,
            answered=None if answered == tuple(range(len(ordered))) else answered,
            columns=self._columns(),
            versions={output.name: output.version for output in outputs},
            views=self._views(outputs),
            generation=generation,
            service=service,
            memo={},
            uses={},
            hops=tuple(
                Hop(
                    tuple((name, moved[cell]) for name, cell in hop.columns.items()),
                    plan,
                    self._moved(number, moved),
                )
                for number, (hop, plan) in enumerate(zip(self._hops, plans, strict=True), start=1)
            ),
        )

    def _ordered(self) -> list[int]:
        """The cells in the order of the plan: groups, what is derived, then hop by hop the same."""
        found = [place for places in self._ages.values() for place in places]
        for number in range(len(self._hops) + 1):
            found += [place for place, cell in enumerate(self._cells) if _is_of(cell, number)]
            found += self._derived_after(number)
        return found

    def _derived_after(self, hops: int) -> list[int]:
        """The derived cells that can be computed when so many hops are done, and not before."""
        return [
            place
            for place, cell in enumerate(self._cells)
            if isinstance(cell, DerivedCell) and self._hops_before[place] == hops
        ]

    def _moved(self, hops: int, moved: dict[int, int]) -> tuple[DerivedCell, ...]:
        cells = (self._cells[place] for place in self._derived_after(hops))
        return tuple(
            cell._replace(
                inputs=tuple(moved[place] for place in cell.inputs),
                via=tuple(moved[place] for place in cell.via),
            )
            for cell in cells
            if isinstance(cell, DerivedCell)
        )

    def _group(self, age: _Age, places: Sequence[int]) -> Group:
        cells = tuple(cell for i in places if isinstance(cell := self._cells[i], StoredCell))
        columns = [cell.place for cell in cells]
        return Group(
            read=age.read,
            tick=age.tick,
            ttl=age.ttl,
            pick=_picker(columns),
            cells=cells,
            told=age.told,
        )

    def _columns(self) -> dict[str, str]:
        """The columns that the request must give, and their types."""
        columns = {
            name: dtype
            for keys in self._keys
            for name, dtype in zip(keys.names, keys.dtypes, strict=True)
        }
        for name, dtype, feature in self._given.values():
            if columns.setdefault(name, dtype) != dtype:
                raise RequestError(
                    f"column '{name}' is a join key ({columns[name]}) and a request value "
                    f"({dtype}) of feature '{feature}'; read the key from a column of another name"
                )
        return columns

    def _views(self, outputs: tuple[Output, ...]) -> tuple[tuple[str, int, str], ...]:
        used = dict.fromkeys(revision for output in outputs for revision in output.revisions)
        found = (self._indexes.revisions[revision] for revision in used)
        return tuple((r.view, r.number, r.revision) for r in found)

    def _cell(self, name: str, version: str, mapping: dict[str, str]) -> _Found:
        identity = name, version, tuple(sorted(mapping.items()))
        found = self._found.get(identity)
        if found is None:
            made = self._indexes.features[name].versions[version]
            if isinstance(made, Derived):
                found = self._derived(name, version, made, mapping)
            else:
                found = self._stored(made, mapping)
            self._found[identity] = found
        return found

    def _stored(self, made: Stored, mapping: dict[str, str]) -> _Found:
        revision = self._indexes.revisions[made.revision]
        place = self._indexes.places[made.revision][made.column]
        column = revision.columns[place]
        keys = self._key(revision.join_keys, mapping)
        read = _place(self._reads, (made.revision, keys))
        tick = _place(self._ticks_of, made.revision) if column.windowed else None
        age = _Age(read, tick, _duration(made.ttl), column.told is not None)
        self._ages.setdefault(age, []).append(len(self._cells))
        places = self._indexes.places[made.revision]
        cell = StoredCell(
            place=place,
            has_null=_has_null_number if column.dtype in _NUMBERS else _has_null,
            default=revived(made.default, column.dtype),
            empty=revived(column.empty, column.dtype),
            nothing=self._indexes.nothing.get((made.revision, made.column)),
            told=None if column.told is None else (places[column.told[0]], places[column.told[1]]),
        )
        return _Found(
            self._append(cell, 0),
            column.dtype,
            (made.revision,),
            (keys,),
            frozenset(key for key, _ in revision.join_keys),
        )

    def _derived(self, name: str, version: str, made: Derived, mapping: dict[str, str]) -> _Found:
        via = {key: self._input(item, mapping) for key, item in made.via}
        inputs = [self._input(item, mapping, via) for item in made.inputs]
        hops = max((found.hops for found in (*inputs, *via.values())), default=0)
        keys = dict.fromkeys(key for found in (*inputs, *via.values()) for key in found.keys)
        if made.join_keys:
            keys[self._key(made.join_keys, mapping)] = None
        run, takes_t = self._indexes.computations[name, version]
        read = (*inputs, *via.values())
        revisions = tuple(dict.fromkeys(r for found in read for r in found.revisions))
        # a view with a source reads its own features only: their tick is its own
        is_ticked = takes_t and made.ticked and bool(revisions)
        cell = DerivedCell(
            run=run,
            inputs=tuple(found.cell for found in inputs),
            given=tuple(self._take(name, *item) for item in made.request),
            keys=tuple(keys),
            takes_t=takes_t,
            default=revived(made.default, made.dtype),
            label=f"{name}@{version}",
            tick=_place(self._ticks_of, revisions[0]) if is_ticked else None,
            via=tuple(dict.fromkeys(found.cell for found in via.values())),
        )
        return _Found(
            self._append(cell, hops),
            made.dtype,
            revisions,
            tuple(keys),
            frozenset(key for key, _ in made.join_keys).union(*(f.join_keys for f in inputs)),
            hops,
        )

    def _append(self, cell: StoredCell | DerivedCell | _HopCell, hops: int) -> int:
        self._cells.append(cell)
        self._hops_before.append(hops)
        return len(self._cells) - 1

    def _input(
        self, item: Input, mapping: dict[str, str], via: Mapping[str, _Found] | None = None
    ) -> _Found:
        """An input at the keys of what reads it, or at the values `via`."""
        version = item.version or self._indexes.features[item.feature].current
        join_keys = self._indexes.join_keys(item.feature, version)
        given = {key: via[key] for key in join_keys if key in via} if via else {}
        if not given:
            return self._cell(item.feature, version, mapping)
        number = max(found.hops for found in given.values()) + 1
        while len(self._hops) < number:
            self._hops.append(_HopDraft(self._indexes, self._depth + 1))
        hop = self._hops[number - 1]
        here = {key: mapping.get(key, key) for key in join_keys}
        there = here | {key: hop.column(found.cell) for key, found in given.items()}
        reference = Reference(item.feature, version=version, join_keys=there)
        if reference not in hop.known:
            hop.known[reference] = self._hop_cell(hop, number, reference, version)
        return hop.known[reference]

    def _hop_cell(self, hop: _HopDraft, number: int, reference: Reference, version: str) -> _Found:
        output = hop.inner.add(f"#{len(hop.known)}", reference, version)
        cell = self._append(_HopCell(number), number)
        return _Found(cell, output.dtype, output.revisions, (), frozenset(), number)

    def _take(self, feature: str, name: str, dtype: str) -> int:
        """The place of a column of the request that a feature's expression reads."""
        known = self._given.setdefault(name, GivenColumn(name, dtype, feature))
        if known.dtype != dtype:
            raise RequestError(
                f"column '{name}' is to be {known.dtype} for feature '{known.feature}' and {dtype} "
                f"for '{feature}'; ask for them in two requests"
            )
        return list(self._given).index(name)

    def _key(self, join_keys: tuple[tuple[str, str], ...], mapping: dict[str, str]) -> int:
        names = tuple(mapping.get(name, name) for name, _ in join_keys)
        return _place(self._keys, KeyColumns(names, tuple(dtype for _, dtype in join_keys)))


def _taken(first: Output, asked: str, version: str) -> RequestError:
    known = f"{first.view}:{first.feature}"
    cure = "give one of them an 'alias'"
    if known != asked:
        cure += ", or ask for 'full_feature_names'"
    elif version != first.version:
        known, asked = f"{known}@{first.version}", f"{asked}@{version}"
    return RequestError(f"two outputs are called '{first.name}' ({known} and {asked}); {cure}")


def _is_of(cell: StoredCell | DerivedCell | _HopCell, hop: int) -> bool:
    return isinstance(cell, _HopCell) and cell.hop == hop


def _place(places: dict[_T, int], item: _T) -> int:
    return places.setdefault(item, len(places))


def _picker(columns: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if len(columns) == 1:
        [only] = columns
        return lambda row: (row[only],)
    return itemgetter(*columns)


def _has_null(values: Sequence[Any]) -> bool:
    return None in values


def _has_null_number(values: Sequence[Any]) -> bool:
    """Adding up is three times as fast as looking, and a null can't be added."""
    try:
        sum(values)
    except TypeError:
        return True
    return False


def _duration(micros: int | None) -> dt.timedelta | None:
    """A ttl as timedelta; one that no time can exceed is no limit."""
    if micros is None or micros > dt.timedelta.max // dt.timedelta(microseconds=1):
        return None
    return dt.timedelta(microseconds=micros)
