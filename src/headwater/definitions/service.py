"""FeatureService: what one model reads; FeatureRef: how a feature is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from headwater.definitions.base import Definition, Name, listed, or_empty
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
    join_keys: Annotated[dict[Name, Name], BeforeValidator(or_empty)] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(
            self,
            feature: str,
            *,
            view: str | None = None,
            version: str | None = None,
            alias: str | None = None,
            join_keys: Mapping[str, str] | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _written(cls, data: Any) -> Any:
        text = data.get("feature") if isinstance(data, dict) else None
        if not isinstance(text, str) or not re.search("[:@]", text):
            return data
        parts = _split(text)
        twice = sorted((parts.keys() & data.keys()) - {"feature"})
        if twice:
            raise ValueError(f"'{twice[0]}' is given twice, in '{text}' and by name")
        return {**data, **parts}

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
        raise ValueError(
            f"'{text}' can't be read; write 'feature' or 'view:feature', either with '@version'"
        )
    return {k: v for k, v in form.groupdict().items() if v is not None}


def parse_ref(value: Any) -> FeatureRef:
    """A reference from its text, its fields, or itself. Raises DefinitionError."""
    if isinstance(value, FeatureRef):
        return value
    if isinstance(value, dict):
        return FeatureRef.from_dict(value)
    if isinstance(value, str):
        return FeatureRef(value)
    raise DefinitionError(
        f"feature reference {value!r}: give a text as 'view:feature', or a FeatureRef"
    )


def each_reference(features: Any) -> list[str | FeatureRef]:
    """What is asked for, one by one: texts as they are. Raises DefinitionError for anything else
    than a list of references.
    """
    if isinstance(features, Mapping) or not isinstance(features, Iterable):
        raise DefinitionError(
            f"features: expected a list of references, a service or its name; got {features!r}"
        )
    return [given if isinstance(given, str) else parse_ref(given) for given in features]


class FeatureService(Definition):
    """The named list of features that one model reads."""

    kind: ClassVar[str] = "feature service"
    positional: ClassVar[tuple[str, ...]] = ("name", "features")

    name: Name
    features: Annotated[
        tuple[Annotated[FeatureRef, BeforeValidator(parse_ref)], ...], BeforeValidator(listed)
    ] = Field(min_length=1)
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            features: Sequence[str | FeatureRef],
            *,
            description: str = "",
            owner: str | None = None,
            tags: Sequence[str] = (),
        ) -> None: ...

    @model_validator(mode="after")
    def _outputs_differ(self) -> Self:
        outputs = [ref.output for ref in self.features]
        twice = next((name for name in outputs if outputs.count(name) > 1), None)
        if twice is not None:
            raise ValueError(
                f"field 'features': two outputs are named '{twice}'; rename one with alias="
            )
        return self
