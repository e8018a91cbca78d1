"""YAML as definition files: the same objects, read safely, errors with their line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from headwater.definitions.base import Definition
from headwater.definitions.collection import Placed
from headwater.definitions.entity import Entity
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, near_miss

_SECTIONS: dict[str, type[Definition]] = {
    "entities": Entity,
    "sources": Source,
    "views": FeatureView,
    "services": FeatureService,
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: `17:30`, `no` and `2024-01-01` are texts, `010` is not 8."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            wrong = None
            if not isinstance(key, yaml.ScalarNode):
                wrong = "a key is a plain text"
            elif key.value in seen:
                wrong = f"'{key.value}' is given twice"
            if wrong is not None:
                raise yaml.constructor.ConstructorError(None, None, wrong, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _form, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), [*_first]
    )


def read_document(file: Path, shown: str) -> list[Placed]:
    """The objects of a YAML file, each with its line; `shown` is what errors call the file.

    The top level holds lists under `entities`, `sources`, `views` and `services`. Raises
    DefinitionError.
    """
    try:
        with file.open("rb") as stream:
            loader = _Loader(stream)
            try:
                root = loader.get_single_node()
                return [] if root is None else _objects(loader, root, shown)
            finally:
                loader.dispose()
    except yaml.YAMLError as error:
        raise DefinitionError(_explained(error, shown)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{shown} can't be read: {error}") from None


def _objects(loader: _Loader, root: Any, shown: str) -> list[Placed]:
    expected = f"expected lists under {', '.join(_SECTIONS)}"
    if not isinstance(root, yaml.MappingNode):
        raise DefinitionError(f"{shown}:{_line(root)}: {expected}")
    loader.construct_mapping(root)  # refuses a section that is given twice
    found: list[Placed] = []
    for key, items in root.value:
        if key.value not in _SECTIONS:
            hint = near_miss(key.value, _SECTIONS) or f"; {expected}"
            raise DefinitionError(f"{shown}:{_line(key)}: unknown section '{key.value}'{hint}")
        empty = isinstance(items, yaml.ScalarNode) and items.tag.endswith(":null")
        if not empty and not isinstance(items, yaml.SequenceNode):
            raise DefinitionError(f"{shown}:{_line(items)}: section '{key.value}': give a list")
        model = _SECTIONS[key.value]
        nodes = [] if empty else items.value
        found += [_object(loader, node, model, f"{shown}:{_line(node)}") for node in nodes]
    return found


def _object(loader: _Loader, node: Any, model: type[Definition], place: str) -> Placed:
    if not isinstance(node, yaml.MappingNode):
        raise DefinitionError(f"{place}: {model.kind}: give a mapping of its fields")
    data = loader.construct_mapping(node, deep=True)
    try:
        return Placed(model.from_dict(data), place)
    except DefinitionError as error:
        lines = str(error).splitlines()
        raise DefinitionError("\n".join(f"{place}: {line}" for line in lines)) from None


def _line(node: Any) -> int:
    line: int = node.start_mark.line
    return line + 1


def _explained(error: yaml.YAMLError, shown: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{shown}: {' '.join(str(error).split())}"
    return f"{shown}:{mark.line + 1}: {getattr(error, 'problem', None)}"
