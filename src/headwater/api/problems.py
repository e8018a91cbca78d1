"""Whatever goes wrong becomes `application/problem+json`; nothing of a crash leaves the server."""

from __future__ import annotations

import logging
import secrets
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from headwater.definitions.base import expected
from headwater.errors import HeadwaterError, RequestError
from headwater.serving.hints import hint_for, shown
from headwater.serving.problem import Problem, problem_of

MEDIA = "application/problem+json"
RETRY = {"Retry-After": "1"}
_MOST = 20
_TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    415: "Unsupported media type",
}
_SAID = {
    400: "The body is not JSON.",
    404: "The feature, its version or the project does not exist; the nearest name is suggested.",
    409: "The feature exists already, or what it is now does not allow the change.",
    412: "`If-Match` names another state than the feature's present one.",
    413: "The body is too large.",
    415: "The body is not declared as `application/json`.",
    422: "A field or parameter is wrong; `errors` names each.",
    503: "The registry does not answer; try again.",
}
_SCHEMA = {"schema": {"$ref": "#/components/schemas/Problem"}}

_log = logging.getLogger(__name__)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its description."""
    return {
        status: {"description": _SAID[status], "content": {MEDIA: _SCHEMA}} for status in statuses
    }


def handle_errors(app: FastAPI) -> None:
    """Let an application answer its errors as problems."""
    app.add_exception_handler(HeadwaterError, _told)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _crashed)


def _told(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HeadwaterError):
        raise error
    if error.status >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return _answer(problem_of(error), RETRY if error.status == 503 else None)


def _refused(request: Request, error: Exception) -> Response:
    """An unknown path, another method, or a body that can't be read."""
    if not isinstance(error, HTTPException):
        raise error
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is no '{shown(request.url.path)}'"
    if error.status_code == 405:
        detail = f"'{shown(request.url.path)}' does not take {request.method}"
    title = _TITLES.get(error.status_code, detail)
    return _answer(Problem(error.status_code, title, detail), error.headers)


def _wrong(request: Request, error: Exception) -> Response:
    """Fields and parameters that are wrong, each named."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [_explained(request, item) for item in error.errors()[:_MOST]]
    texts = dict.fromkeys(_sentence(item) for item in errors)
    return _answer(Problem(422, RequestError.title, "; ".join(texts)), errors=errors)


def _crashed(_request: Request, error: Exception) -> Response:
    """The last resort, for a bug: the log has the traceback, the caller its number."""
    mark = secrets.token_hex(4)
    _log.error("a request failed, error %s", mark, exc_info=error)
    detail = f"the server failed to answer; its log tells more under error {mark}"
    return _answer(Problem(500, HeadwaterError.title, detail))


def _answer(
    problem: Problem,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Response:
    members = problem.members()
    if errors:
        members["errors"] = list(errors)
    return Response(msgspec.json.encode(members), problem.status, headers, MEDIA)


# --- what is wrong in a request -------------------------------------------------------------


def _explained(request: Request, item: ErrorDetails) -> dict[str, str]:
    """Where a mistake is (`body`, `query`, `path` or `header`), in which field, and what it is."""
    place, *path = item["loc"]
    field = ".".join(str(part) for part in path if part != "[key]")
    if item["type"] == "extra_forbidden":
        known = _known_fields(request, str(place), path[:-1])
        hint = hint_for(str(path[-1]), known) or f"; known are {', '.join(known)}"
        detail = f"unknown{hint}"
    elif item["type"] == "missing":
        detail = "is required"
    elif item["type"] == "model_attributes_type":
        detail = "give a JSON object"
    else:
        detail = expected(item)
    return {"in": str(place), "field": shown(field), "detail": detail}


def _sentence(item: Mapping[str, str]) -> str:
    what = "field" if item["in"] == "body" else f"{item['in']} parameter"
    if item["field"]:
        return f"{what} '{item['field']}': {item['detail']}"
    return f"the {item['in']}: {item['detail']}"


def _known_fields(request: Request, place: str, path: Iterable[Any]) -> list[str]:
    """The fields of the object in which an unknown one stands."""
    route = request.scope["route"]
    fields = [route.body_field] if place == "body" else route.dependant.query_params
    models = [found for field in fields for found in _models(field.field_info.annotation)]
    for part in path:
        if isinstance(part, str):
            held = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [found for field in held for found in _models(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation holds: `list[Rule] | None` holds Rule."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (list, Union, types.UnionType, Annotated):
        for inner in get_args(annotation):
            yield from _models(inner)
