"""lineage and impact: where values come from, what they lead to, and what breaks with them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.completion import object_names
from headwater.cli.output import emit, emit_json, jsonable, moment
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.lineage.graph import Direction, NodeKind
    from headwater.lineage.impact import (
        Impact,
        ImpactedFeature,
        ImpactedModel,
        ImpactedService,
        ImpactedView,
    )
    from headwater.lineage.project import ProjectLineage

_SHOWN = 10


class Output(enum.StrEnum):
    """How a graph is written."""

    TREE = "tree"
    JSON = "json"
    MERMAID = "mermaid"
    GRAPHVIZ = "graphviz"


def lineage(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A feature, source, SOURCE.COLUMN, service or model:NAME.",
            autocompletion=object_names,
        ),
    ],
    *,
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=1, help="Through how many features to go; all unless given."),
    ] = None,
    up: Annotated[bool, typer.Option("--up", help="Only what it comes from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what it leads to.")] = False,
    output: Annotated[
        Output, typer.Option("--output", metavar="FORMAT", help="tree, json, mermaid or graphviz.")
    ] = Output.TREE,
    as_json: AsJson = False,
) -> None:
    """Show what values come from and lead to.

    From columns of sources over features to services and models.
    """
    from headwater.lineage import formats

    found = session(context).store().lineage
    node = found.find(name)
    graph = found.graph([node], direction=_direction(up=up, down=down), depth=depth)
    if as_json or output is Output.JSON:
        emit_json({**formats.to_dict(graph), **_neighbours(found, node.name, depth)})
    elif output is Output.MERMAID:
        emit(formats.to_mermaid(graph).rstrip())
    elif output is Output.GRAPHVIZ:
        emit(formats.to_dot(graph).rstrip())
    else:
        emit(formats.to_tree(graph, direction=_direction(up=up, down=down)).rstrip())


def _direction(*, up: bool, down: bool) -> Direction:
    if up == down:
        return "both"
    return "up" if up else "down"


def _neighbours(found: ProjectLineage, name: str, depth: int | None) -> dict[str, Any]:
    """The features around a feature, in the words of the REST API."""
    if name not in found.contents.head.features:
        return {}
    near = found.contents.graph.lineage(name, depth=depth)
    return {
        "feature": name,
        "upstream": near.upstream,
        "downstream": near.downstream,
        "all_upstream": near.all_upstream,
        "all_downstream": near.all_downstream,
    }


def impact(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A feature, a source or SOURCE.COLUMN.",
            autocompletion=object_names,
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what breaks if something changes.

    The features, services, models and views that a feature, a source or a column reaches.
    """
    from headwater.lineage.impact import impact_of

    found = session(context).store().lineage
    reached = impact_of(found, found.find(name))
    if as_json:
        told = jsonable(reached)
        for model in told["models"]:
            model["last_used_at"] = moment(model["last_used_at"])
        emit_json(told)
        return
    for line in _impact_lines(reached):
        emit(line)


def _impact_lines(found: Impact) -> Iterable[str]:
    if not found.features:
        yield f"nothing reads {found.kind} {found.of}"
    for title, lines in (
        ("features", [_feature_line(one, found.of) for one in found.features]),
        ("services", [_service_line(one, found.kind) for one in found.services]),
        ("models", map(_model_line, found.models)),
        ("to compute again", map(_view_line, found.views)),
    ):
        for place, line in enumerate(lines):
            yield from () if place else (f"{title}:",)
            yield f"  {line}"
    if found.ties:
        yield (
            "only where rows of a key agree in their times, it decides which is the later one in: "
            f"{_some(found.ties)}"
        )


def _feature_line(one: ImpactedFeature, of: str) -> str:
    parts = [f"as {', '.join(one.roles)}"] if one.roles else []
    parts += [f"through {_some(one.reads)}"] if one.reads and one.feature != of else []
    parts += [] if one.status == "active" else [one.status]
    parts += [f"owner {one.owner}"] if one.owner else []
    told = f" ({'; '.join(parts)})" if parts else ""
    return f"{one.feature} {one.version}{told}"


def _service_line(one: ImpactedService, kind: NodeKind) -> str:
    feels = "not touched" if kind == "feature" else "touched too"
    parts = [f"follows {_some(one.following)}"] if one.following else []
    parts += [f"pinned, {feels}: {_some(one.pinned)}"] if one.pinned else []
    return f"{one.service} ({'; '.join(parts)})"


def _model_line(one: ImpactedModel) -> str:
    version = f" {one.model_version}" if one.model_version else ""
    last = f", last used {moment(one.last_used_at)}" if one.last_used_at is not None else ""
    return f"{one.model}{version} ({one.environment}{last}; uses {_some(one.features)})"


def _view_line(one: ImpactedView) -> str:
    how = "" if one.is_stored else ", when it is read"
    return f"view {one.view} ({_some(one.features)}{how})"


def _some(names: Iterable[str]) -> str:
    given = list(names)
    more = f" and {len(given) - _SHOWN} more" if len(given) > _SHOWN else ""
    return ", ".join(given[:_SHOWN]) + more


COMMANDS: Commands = {"lineage": lineage, "impact": impact}
