"""Asks the control plane as a caller would, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

PROBLEM = "application/problem+json"
PREFIX = "/api/v1"

RSI = {
    "feature_name": "stock_rsi_14d",
    "feature_type": "technical_indicator",
    "data_type": "float",
    "description": "14일 RSI (Relative Strength Index)",
    "owner": "quant-team",
    "tags": ["technical", "momentum", "oscillator"],
    "upstream_features": ["stock_daily_close"],
    "transformation": {
        "transformation_type": "python",
        "code": "def calculate_rsi(prices, period=14): ...",
        "parameters": {"period": 14},
    },
    "validation_rules": [
        {"rule_type": "range", "parameters": {"min": 0.0, "max": 100.0}, "is_blocking": True}
    ],
    "duckdb_table": "features.stock_rsi_14d",
}
"""The feature of the specification's call."""


class Api:
    """The REST API of an application; paths start behind `/api/v1`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, options))

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, PREFIX + path, **options)

    def get(self, path: str, **params: Any) -> Any:
        """What a GET that succeeds answers."""
        return self._said(self.request("GET", path, params=params), 200)

    def post(self, path: str, body: Any = None, *, status: int | None = None, **params: Any) -> Any:
        """What a POST that succeeds answers: 201 with a body, 200 without."""
        wanted = status or (200 if body is None else 201)
        return self._said(self.request("POST", path, json=body, params=params), wanted)

    def put(self, path: str, body: Any, **params: Any) -> Any:
        return self._said(self.request("PUT", path, json=body, params=params), 200)

    def create(self, name: str, *upstream: str, active: bool = False, **fields: Any) -> Any:
        """A feature; nothing but its name matters unless `fields` say so."""
        fields = {"feature_type": "raw", "data_type": "float", **fields}
        made = self.post(
            "/features", {"feature_name": name, "upstream_features": upstream, **fields}
        )
        return self.post(f"/features/{name}/activate") if active else made

    def problem(self, method: str, path: str, status: int, **options: Any) -> str:
        """The detail of the problem that a request is answered with."""
        response = self.request(method, path, **options)
        found = self._said(response, status)
        assert response.headers["content-type"] == PROBLEM
        assert found["status"] == status
        assert found["type"].startswith("urn:headwater:problem:")
        assert found["title"]
        assert "Traceback" not in response.text
        detail: str = found["detail"]
        return detail

    @staticmethod
    def _said(response: httpx.Response, status: int) -> Any:
        assert response.status_code == status, response.text
        return response.json()
