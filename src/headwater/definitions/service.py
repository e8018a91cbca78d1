"""FeatureService: what one model reads; FeatureRef: how a feature is asked for."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from headwater.definitions.base import Definition, Name
from headwater.errors import DefinitionError

_REFERENCE = re.compile(r"(?:(?P<view>\w+):)?(?P<feature>\w+)(?:@(?P<version>[\w.\-]+))?")


class FeatureRef(Definition):
    """One requested feature: `feature` or `view:feature`, either with `@version`.

    `alias` names the output; `join_keys` maps the entity's join keys to the columns of the spine
    or request (`{"location_id": "origin_id"}`). A reference with a version is pinned to it, one
    without follows the current version.
    """

    kind: ClassVar[str] = "feature reference"
    positional: ClassVar[tuple[str, ...]] = ("feature",)

    feature: Name
    view: Name | None = None
    version: str | None = None
    alias: Name | None = None
    join_keys: dict[Name, Name] = Field(default_factory=dict)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if args and isinstance(args[0], str) and re.search("[:@]", args[0]):
            fields = {**_split(args[0]), **fields}
            args = args[1:]
        super().__init__(*args, **fields)

    @property
    def output(self) -> str:
        """The name of the output column."""
        return self.alias or self.feature

    def __str__(self) -> str:
        view = f"{self.view}:" if self.view else ""
        version = f"@{self.version}" if self.version else ""
        return f"{view}{self.feature}{version}"


def _split(text: str) -> dict[str, Any]:
    form = _REFERENCE.fullmatch(text)
    if form is None:
        raise DefinitionError(
            f"feature reference '{text}' can't be read; write 'feature' or 'view:feature', "
            "either with '@version'"
        )
    return {k: v for k, v in form.groupdict().items() if v is not None}


def parse_ref(value: Any) -> FeatureRef:
    """A reference from its text, its fields, or itself. Raises DefinitionError."""
    if isinstance(value, FeatureRef):
        return value
    if isinstance(value, dict):
        return FeatureRef(**value)
    if isinstance(value, str):
        return FeatureRef(**_split(value))
    raise DefinitionError(
        f"feature reference {value!r}: give a text as 'view:feature', or a FeatureRef"
    )


class FeatureService(Definition):
    """The named list of features that one model reads."""

    kind: ClassVar[str] = "feature service"
    positional: ClassVar[tuple[str, ...]] = ("name", "features")

    name: Name
    features: tuple[Annotated[FeatureRef, BeforeValidator(parse_ref)], ...] = Field(min_length=1)
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()
