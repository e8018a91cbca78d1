"""Compiles resolved features to a plan: what is read, computed and answered, each thing once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from headwater.errors import RequestError
from headwater.online.codec import Layout
from headwater.serving.catalogue import Catalogue, Derived, Reference, Stored
from headwater.serving.computations import computation
from headwater.serving.hints import hint_for, shown
from headwater.serving.nothing import revived, sayer
from headwater.serving.plan import (
    DerivedCell,
    GivenColumn,
    Group,
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


class _Found(NamedTuple):
    """A cell in the plan: where it is, its type, what it was read from, its keys."""

    cell: int
    dtype: str
    revisions: tuple[str, ...]
    keys: tuple[int, ...]
    join_keys: frozenset[str]


class _Age(NamedTuple):
    """What cells have in common that grow old alike."""

    read: int
    tick: int | None
    ttl: dt.timedelta | None
    told: bool


class Compilation:
    """A plan in the making."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._keys: dict[KeyColumns, int] = {}
        self._given: dict[str, GivenColumn] = {}
        self._reads: dict[tuple[str, int], int] = {}
        self._ticks_of: dict[str, int] = {}
        self._ages: dict[_Age, list[int]] = {}
        self._cells: list[StoredCell | DerivedCell] = []
        self._found: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Found] = {}
        self._outputs: dict[str, Output] = {}

    def add(self, name: str, reference: Reference, version: str) -> None:
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

    def finish(self, generation: int, service: str | None) -> Plan:
        """The plan of all that was added, which a service may have listed."""
        ordered = [place for places in self._ages.values() for place in places]
        ordered += [i for i, cell in enumerate(self._cells) if isinstance(cell, DerivedCell)]
        moved = {before: after for after, before in enumerate(ordered)}
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
            derived=tuple(
                cell._replace(inputs=tuple(moved[place] for place in cell.inputs))
                for cell in self._cells
                if isinstance(cell, DerivedCell)
            ),
            outputs=outputs,
            answered=None if answered == tuple(range(len(ordered))) else answered,
            columns=self._columns(),
            versions={output.name: output.version for output in outputs},
            views=self._views(outputs),
            generation=generation,
            service=service,
            memo={},
            uses={},
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
        self._cells.append(cell)
        return _Found(
            len(self._cells) - 1,
            column.dtype,
            (made.revision,),
            (keys,),
            frozenset(key for key, _ in revision.join_keys),
        )

    def _derived(self, name: str, version: str, made: Derived, mapping: dict[str, str]) -> _Found:
        features = self._indexes.features
        inputs = [
            self._cell(item.feature, item.version or features[item.feature].current, mapping)
            for item in made.inputs
        ]
        keys = dict.fromkeys(key for found in inputs for key in found.keys)
        if made.join_keys:
            keys[self._key(made.join_keys, mapping)] = None
        run, takes_t = self._indexes.computations[name, version]
        revisions = tuple(dict.fromkeys(r for found in inputs for r in found.revisions))
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
        )
        self._cells.append(cell)
        return _Found(
            len(self._cells) - 1,
            made.dtype,
            revisions,
            tuple(keys),
            frozenset(key for key, _ in made.join_keys).union(*(f.join_keys for f in inputs)),
        )

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
