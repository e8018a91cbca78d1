"""list, show and get: what the project holds, and what it serves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, features_or_service
from headwater.cli.completion import feature_names, object_names, service_names
from headwater.cli.output import cell, emit, emit_json, emit_table, say
from headwater.cli.session import open_store, session
from headwater.definitions.types import is_nested
from headwater.errors import NotFoundError, near_miss

if TYPE_CHECKING:
    from headwater.serving.response import OnlineResponse
    from headwater.store import FeatureStore

KINDS = ("features", "views", "entities", "sources", "services", "runs", "history")
_SINGULAR = {
    "features": "feature",
    "views": "view",
    "entities": "entity",
    "sources": "source",
    "services": "service",
}


def list_(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")
    ] = "features",
    *,
    as_json: AsJson = False,
) -> None:
    """List the objects of a kind.

    Features, unless another kind is named.
    """
    if kind not in KINDS:
        raise typer.BadParameter(f"there is no kind '{kind}'{_near(kind, KINDS)}")
    rows = session(context).store().list(kind)
    if as_json:
        emit_json(rows)
    elif rows:
        emit_table(rows, _columns(rows))
    else:
        say(f"no {kind} yet" if kind in {"runs", "history"} else f"no {kind}; apply some first")


def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The object.", autocompletion=object_names)
    ],
    *,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Its kind, where several objects share the name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one object.

    All that is known of one feature, view, entity, source or service.
    """
    if kind is not None and kind not in _SINGULAR.values():
        raise typer.BadParameter(f"there is no kind '{kind}'{_near(kind, _SINGULAR.values())}")
    store = session(context).store()
    found = store.show(kind or _kind_of(store, name), name)
    if as_json:
        emit_json(found)
    else:
        for line in _lines(found):
            emit(line)


def get(
    context: typer.Context,
    features: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FEATURE",
            help="As feature or view:feature, with @version.",
            autocompletion=feature_names,
        ),
    ] = None,
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="KEY=VALUE",
            help="A join key, or a value of the request; repeat it for rows.",
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            "-s",
            help="Read the features of this service.",
            autocompletion=service_names,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the latest values of features."""
    wanted = features_or_service(features or [], service)
    rows = rows_given(key or [])
    # a look at values is no use of them
    store = open_store(session(context).settings(usage__enabled=False))
    types = store.online_keys(wanted)
    keys = [
        {name: typed(name, text, types.get(name, "string")) for name, text in row.items()}
        for row in rows
    ]
    response = store.get_online_features(wanted, keys)
    if as_json:
        emit_json(response.to_dict())
    else:
        _emit_values(response)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return near_miss(name, names) or f" (kinds: {', '.join(names)})"


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """The columns in which any row says something."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if any(cell(row.get(name)) for row in rows)]


def _kind_of(store: FeatureStore, name: str) -> str:
    listed = {kind: [row["name"] for row in store.list(kind)] for kind in _SINGULAR}
    kinds = [_SINGULAR[kind] for kind, known in listed.items() if name in known]
    if len(kinds) > 1:
        raise typer.BadParameter(
            f"several objects are named '{name}'; say which with --kind: {', '.join(kinds)}"
        )
    if not kinds:
        known = [other for others in listed.values() for other in others]
        raise NotFoundError(f"there is nothing named '{name}'{near_miss(name, known)}")
    return kinds[0]


def _lines(found: Any, indent: str = "") -> list[str]:
    """A nested object as indented text, without what is not set."""
    if not isinstance(found, dict):
        return [f"{indent}{cell(found)}"]
    lines = []
    for name, value in found.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", *_lines(value, f"{indent}  ")]
        elif isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value):
            lines.append(f"{indent}{name}:")
            for item in value:
                first, *rest = _lines(item, f"{indent}    ") or [""]
                lines += [f"{indent}  - {first.lstrip()}", *rest]
        elif cell(value):
            lines.append(f"{indent}{name}: {cell(value)}")
    return lines


def rows_given(pairs: list[str]) -> list[dict[str, str]]:
    """Rows of join keys and values of requests: a name that comes again begins the next row."""
    rows: list[dict[str, str]] = [{}]
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"--key {pair}: write KEY=VALUE, as user_id=u1")
        if name in rows[-1]:
            rows.append({})
        rows[-1][name] = text
    return rows


def typed(name: str, text: str, dtype: str) -> Any:
    """A key's value in the form that a request takes; a usage error where it is no such value."""
    if dtype in {"int32", "int64"}:
        try:
            return int(text)
        except ValueError:
            raise typer.BadParameter(f"--key {name}={text}: {name} is a whole number") from None
    if dtype in {"float32", "float64"}:
        try:
            return float(text)
        except ValueError:
            raise typer.BadParameter(f"--key {name}={text}: {name} is a number") from None
    if dtype == "bool":
        if text not in {"true", "false"}:
            raise typer.BadParameter(f"--key {name}={text}: {name} is true or false")
        return text == "true"
    if is_nested(dtype):
        try:
            return json.loads(text)
        except ValueError:
            raise typer.BadParameter(
                f"--key {name}={text}: {name} is {dtype}; write it as JSON, as [1, 2.5]"
            ) from None
    return text


def _emit_values(response: OnlineResponse) -> None:
    """One line a key and feature."""
    found = response.to_dict()
    values, keys = found["values"], list(response.entities)
    lines = [
        {
            **{key: values[key][row] for key in keys},
            "feature": name,
            "value": values[name][row],
            "status": status[row],
            "event_time": found["event_timestamps"][name][row],
            "version": found["versions"].get(name),
        }
        for row in range(len(response))
        for name, status in found["statuses"].items()
    ]
    emit_table(lines, [*keys, "feature", "value", "status", "event_time", "version"])


COMMANDS: Commands = {"list": list_, "show": show, "get": get}
