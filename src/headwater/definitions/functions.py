"""Python functions as features: named by import path and content hash, never pickled."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from headwater.definitions.base import Definition, DType, Name
from headwater.errors import DefinitionError

Mode = Literal["row", "sequence"]
Frame = Literal["arrow", "polars", "pandas"]


class FunctionRef(Definition):
    """A function by import path (`module:name`) and content hash.

    Of one that came over the API, `code` is the text of its module, and `parameters` is what it is
    given beside its frame. It is never imported here.
    """

    kind: ClassVar[str] = "function"
    positional: ClassVar[tuple[str, ...]] = ("path",)

    path: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    content_hash: str
    mode: Mode
    frame: Frame
    inputs: tuple[Name, ...] = Field(min_length=1)
    output: DType
    code: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(
            self,
            path: str,
            *,
            content_hash: str,
            mode: Mode,
            frame: Frame,
            inputs: Sequence[str],
            output: str,
            code: str | None = None,
            parameters: Mapping[str, Any] | None = None,
        ) -> None: ...

    def load(self) -> FeatureFunction:
        """Import the function and check that its content is the one that was declared.

        Raises DefinitionError when it can't be imported, is no feature function, or has changed.
        """
        if self.code is not None:
            raise DefinitionError(
                f"function '{self.path}' came over the API; it runs in a process of its own alone"
            )
        module, _, attributes = self.path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for attribute in attributes.split("."):
                found = getattr(found, attribute)
        except (ImportError, AttributeError) as error:
            raise DefinitionError(f"function '{self.path}' can't be imported: {error}") from None
        if not isinstance(found, FeatureFunction):
            raise DefinitionError(f"function '{self.path}' is not decorated with @feature_function")
        if found.ref.content_hash != self.content_hash:
            raise DefinitionError(
                f"function '{self.path}' has changed since it was applied; apply the change first"
            )
        return found


class FeatureFunction:
    """A decorated Python function. Call it as the function that it was."""

    def __init__(self, function: Callable[[Any], Any], ref: FunctionRef) -> None:
        self.function = function
        self.ref = ref
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function

    def __call__(self, frame: Any) -> Any:
        return self.function(frame)

    def __repr__(self) -> str:
        return f"FeatureFunction({self.ref.path}, mode={self.ref.mode})"


def feature_function(
    *, inputs: Sequence[str], output: str, mode: Mode = "row", frame: Frame = "arrow"
) -> Callable[[Callable[[Any], Any]], FeatureFunction]:
    """Make a Python function a feature's definition.

    The function gets one frame (`arrow` table, `polars` or `pandas` frame) that holds the columns
    `inputs`, and returns one column of the same length and of type `output`. With
    `mode="row"` each value depends on its own row alone; with `mode="sequence"` the frame holds
    the rows of one key in order, and a value depends on its row and the rows before it.
    """

    def decorate(function: Callable[[Any], Any]) -> FeatureFunction:
        if "<locals>" in function.__qualname__ or function.__name__ == "<lambda>":
            raise DefinitionError(
                f"function '{function.__qualname__}': define it at the top of a module, "
                "so that it can be found by import path"
            )
        ref = FunctionRef(
            f"{function.__module__}:{function.__qualname__}",
            content_hash=_content_hash(function),
            mode=mode,
            frame=frame,
            inputs=tuple(inputs),
            output=output,
        )
        return FeatureFunction(function, ref)

    return decorate


def _content_hash(function: Callable[[Any], Any]) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise DefinitionError(
            f"function '{function.__qualname__}': its source can't be read; define it in a file"
        ) from None
    return hashlib.sha256(text.encode()).hexdigest()
