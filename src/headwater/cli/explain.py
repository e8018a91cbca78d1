"""explain: one value, and what it was made of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, instant
from headwater.cli.completion import feature_names
from headwater.cli.output import cell, emit, emit_json, moment
from headwater.cli.reading import typed
from headwater.cli.session import session

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.explaining import Explanation


def explain(
    context: typer.Context,
    feature: Annotated[
        str,
        typer.Argument(
            metavar="FEATURE",
            help="The feature, with @version if not current.",
            autocompletion=feature_names,
        ),
    ],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", "-k", metavar="KEY=VALUE", help="A join key or a value of the request."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it is read; now, unless given.")
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Rows of a source to show at the most.")
    ] = 20,
    sql: Annotated[bool, typer.Option("--sql", help="Show the statements that were run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain one value.

    Its version, its definition, and the source rows that made it. It is computed from the source,
    as training data is, and so also tells what was served if it was materialized then.
    """
    from headwater.definitions.instants import as_micros
    from headwater.explaining import explain as explained

    read_at = time.time_ns() // 1_000 if at is None else as_micros(instant(at, "--at"))
    store = session(context).store()
    types = store.get_historical_features({}, [feature]).requests[0].given_types
    given = {name: typed(name, text, types.get(name, "string")) for name, text in _pairs(key or [])}
    found = explained(store, feature, given, read_at or 0, rows=rows)
    if as_json:
        emit_json(_plain(found))
        return
    for line in _lines(found):
        emit(line)
    if sql:
        emit("")
        for statement in found.sql:
            emit(f"{statement};")


def _pairs(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"--key {text}: write KEY=VALUE, as user_id=u1")
        yield name, value


def _plain(found: Explanation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "feature": found.feature,
        "version": found.version,
        "view": found.view,
        "revision": found.revision,
        "definition": found.definition,
        "value": found.value,
        "status": found.status,
        "at": moment(found.at),
        "evaluated_at": moment(found.evaluated_at),
        "event_time": moment(found.event_time),
        "request": dict(found.request),
        "key": dict(found.key),
    }
    if found.rows is not None:
        made["source"] = found.source
        made["rows_of_value"], made["rows_known"] = found.rows.count, found.rows.known
        made["rows"] = found.rows.rows.to_pylist(maps_as_pydicts="strict")
    made["inputs"] = [_plain(item) for item in found.inputs]
    return made | ({"sql": list(found.sql)} if found.sql else {})


def _lines(
    found: Explanation, indent: str = "", reader: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """The lines of a value and of what it reads; its key, unless that is its `reader`'s."""
    version = "" if found.version is None else f"@{found.version}"
    status = "" if found.status == "PRESENT" else f" ({found.status})"
    value = "null" if found.value is None else cell(found.value)
    there = {k: v for k, v in found.key.items() if reader is not None and reader.get(k) != v}
    at = "".join(f", {name}={cell(part)}" for name, part in there.items())
    at = f" at {at[2:]}" if at else ""
    yield f"{indent}{found.feature}{version}{at} = {value}{status}"
    inner = f"{indent}  "
    yield f"{inner}{found.definition}"
    yield f"{inner}view {found.view}, revision {found.revision[:12]}"
    ticked = "" if found.evaluated_at == found.at else f", as of {moment(found.evaluated_at)}"
    yield f"{inner}read at {moment(found.at)}{ticked}"
    for name, given in found.request.items():
        yield f"{inner}request: {name} = {cell(given)}"
    yield from (f"{inner}{line}" for line in _rows(found))
    for item in found.inputs:
        yield from _lines(item, inner, found.key)


def _rows(found: Explanation) -> Iterator[str]:
    if found.rows is None:
        return
    shown: pa.Table = found.rows.rows
    yield (
        f"made of {found.rows.count:,} of {found.rows.known:,} known rows of source "
        f"{found.source} for this key" + (":" if shown.num_rows else "")
    )
    left = found.rows.count - shown.num_rows
    if shown.num_rows and left:
        yield f"  ... {left:,} earlier ones"
    cells = [shown.column_names]
    cells += [
        [cell(value) for value in row.values()] for row in shown.to_pylist(maps_as_pydicts="strict")
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells if shown.num_rows else []:
        yield (
            "  "
            + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


COMMANDS: Commands = {"explain": explain}
