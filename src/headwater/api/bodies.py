"""Bodies of requests: JSON, declared as such, read strictly."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

_DEEPEST = 50


class _JsonRequest(Request):
    """Refuses what Python's own reader lets pass: NaN, lone surrogates, endless nesting."""

    async def json(self) -> Any:
        if not hasattr(self, "_read"):
            self._read = read_json(await self.body())
        return self._read


class JsonRoute(APIRoute):
    """A route whose body, where it takes one, has to be declared as JSON.

    A page of another site can't send such a body without being asked first, by the browser.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None:
                _check_media(request.headers.get("content-type", ""))
            return await handle(_JsonRequest(request.scope, request.receive))

        return strict


def _check_media(said: str) -> None:
    media = said.partition(";")[0].strip().lower()
    if media != "application/json":
        got = f"; got '{media[:100]}'" if media else ""
        raise HTTPException(415, f"send the header 'Content-Type: application/json'{got}")


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises HTTPException with status 400."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise HTTPException(400, "the body is nested too deeply") from None
    if _is_deep(found):
        raise HTTPException(400, f"the body is nested more than {_DEEPEST} levels deep")
    return found


def _is_deep(value: Any) -> bool:
    """Whether there are more levels than anybody writes; level by level, without recursion."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for item in level for part in _parts(item)]
        if not level:
            return False
    return True


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
