"""The control plane as one ASGI application: the routes of the registry, and the description.

The description covers the data plane too, whose routes the workers answer themselves.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from headwater import __version__
from headwater.api import audit, lineage, pins, proposals, routes, usage, validate
from headwater.api.problems import handle_errors
from headwater.api.routes import Services

ROUTERS = (
    routes.router,
    lineage.router,
    audit.router,
    usage.router,
    validate.router,
    proposals.router,
    pins.router,
)


def create_app(services: Services, *, close: Callable[[], None] = lambda: None) -> FastAPI:
    """The application over the services of a registry; `close` is called when it stops."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        close()

    app = FastAPI(
        title="Headwater",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.services = services
    for router in ROUTERS:
        app.include_router(router)
    app.add_route("/openapi.json", lambda _request: Response(_described(), 200, None, _JSON))
    handle_errors(app)
    return app


_JSON = "application/json"


@lru_cache(maxsize=1)
def _described() -> bytes:
    return json.dumps(describe()).encode()


def describe() -> dict[str, Any]:
    """The OpenAPI document of both planes."""
    data = json.loads((files("headwater.serving") / "static" / "openapi.json").read_bytes())
    mine = get_openapi(
        title="Headwater",
        version=__version__,
        openapi_version=data["openapi"],
        description="The latest values of features, and the registry that governs them.",
        routes=[route for router in ROUTERS for route in router.routes],
    )
    mine["paths"] = {**data["paths"], **mine["paths"]}
    schemas = {**data["components"]["schemas"], **mine["components"]["schemas"]}
    mine["components"]["schemas"] = schemas
    return mine
