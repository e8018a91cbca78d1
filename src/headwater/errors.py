"""Every error that Headwater raises on purpose.

    HeadwaterError
      DefinitionError        an object that a user wrote is wrong: names object, field and fix
        ExpressionError      the SQL expression of a feature is wrong
      ConfigError            headwater.toml, the environment or a flag is wrong
      NotFoundError          no object of that name, with the nearest one that exists
      ConflictError          somebody else changed the project in the meantime (retryable)
      RefusedError           what an object is now does not allow the change
      PreconditionError      an object is no longer what the caller saw (retryable)
      SourceError            the rows of a source can't be read, or lack a column
      SpineError             the rows for which a training set is wanted are wrong
      RequestError           an online request is wrong
      ComputeError           a value can't be computed: overflow, a function that failed
        EngineLostError      the process that computed it was lost (retryable)
      StoreError             an online or offline store can't do what was asked
      NotSupportedError      a part that is not built, or that this engine lacks
      MissingExtraError      an optional dependency is not installed

`status` is the HTTP status of the answer that carries the error, `retryable` tells whether
the same call may succeed later. A message names the object and the field, says what was
expected and suggests the near-miss name; it never holds a secret.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable
from typing import ClassVar

_COMPARED = 400


class HeadwaterError(Exception):
    """The root of all errors that Headwater raises on purpose."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False


class DefinitionError(HeadwaterError):
    """An object that a user wrote is wrong."""

    status = 422
    title = "Wrong definition"


class ExpressionError(DefinitionError):
    """The SQL expression of a feature is wrong."""

    title = "Wrong expression"


class ConfigError(HeadwaterError):
    """headwater.toml, the environment or a flag is wrong."""

    status = 500
    title = "Wrong configuration"


class NotFoundError(HeadwaterError):
    """No object of that name."""

    status = 404
    title = "Not found"


class ConflictError(HeadwaterError):
    """Somebody else changed the project in the meantime."""

    status = 409
    title = "Conflict"
    retryable = True


class RefusedError(HeadwaterError):
    """What an object is now does not allow the change."""

    status = 409
    title = "Refused"


class PreconditionError(HeadwaterError):
    """An object is no longer what the caller saw."""

    status = 412
    title = "Changed in the meantime"
    retryable = True


class SourceError(HeadwaterError):
    """The rows of a source can't be read, or lack a column."""

    status = 422
    title = "Source can't be read"


class SpineError(HeadwaterError):
    """The rows for which a training set is wanted are wrong."""

    status = 422
    title = "Wrong spine"


class RequestError(HeadwaterError):
    """An online request is wrong."""

    status = 422
    title = "Wrong request"


class ComputeError(HeadwaterError):
    """A value can't be computed."""

    status = 422
    title = "Can't be computed"


class EngineLostError(ComputeError):
    """The process that computed a value was lost before it was done."""

    status = 503
    title = "Engine lost"
    retryable = True


class StoreError(HeadwaterError):
    """An online or offline store can't do what was asked."""

    status = 503
    title = "Store failed"
    retryable = True


class NotSupportedError(HeadwaterError):
    """A part that is not built, or that this engine lacks."""

    status = 501
    title = "Not supported"


class MissingExtraError(HeadwaterError):
    """An optional dependency is not installed."""

    status = 501
    title = "Missing extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an extra: pip install "headwater[{extra}]"')


def near_miss(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known name, or an empty text.

    Of many names only those that share most with it are compared: all would take long.
    """
    names = sorted(set(known))
    if len(names) > _COMPARED:
        parts = {name[i : i + 3] for i in range(len(name) - 2)}
        names = heapq.nlargest(_COMPARED, names, lambda other: sum(p in other for p in parts))
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""
