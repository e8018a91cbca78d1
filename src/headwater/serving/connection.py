"""A client's connection, on which requests for features are answered without a task of their own.

Most of what a small request costs under uvicorn is not its answer: a task, an event, ASGI's
messages, and a system call each for headers and body. A request that is here as a whole needs none
of them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from headwater.serving.app import FEATURES, Answer, ServingApp, headers_of, model_in

_TARGET = FEATURES.encode()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with a short way for what can be answered at once.

    All else takes uvicorn's way to the application: other paths, requests that come in pieces,
    that wait behind others or for a client who does not read, that are large, or logged.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(config.loaded_app, ServingApp):
            raise TypeError(f"a Connection serves a ServingApp, not a {type(config.loaded_app)}")
        self._answer = config.loaded_app.answer
        self._parts: list[bytes] | None = None
        self._defaults: list[tuple[bytes, bytes]] | None = None
        self._default_lines = b""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._parts is not None:  # the rest comes later, if at all
            parts, self._parts = self._parts, None
            if not self.transport.is_closing():
                self._hand_over(parts)

    def on_headers_complete(self) -> None:
        if self._is_simple():
            self._parts = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        parts, self._parts = self._parts, None
        if parts is None:
            super().on_message_complete()
            return
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        answer = self._answer(body, model_in(self.headers))
        if answer is None:
            self._hand_over(parts)
            super().on_message_complete()
        else:
            self.transport.write(b"".join((self._head(answer), *answer[2])))
            self.on_response_complete()

    def _is_simple(self) -> bool:
        """Whether the request, once it is here, may be answered at once."""
        parser, flow = self.parser, self.flow
        return (
            self.url == _TARGET
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not (self.expect_100_continue or self.access_log or flow.write_paused)
            and (self.cycle is None or self.cycle.response_complete)
            and not self.transport.is_closing()
        )

    def _hand_over(self, parts: list[bytes]) -> None:
        """Let uvicorn have the request, with what there is of its body."""
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    def _head(self, answer: Answer) -> bytes:
        defaults = self.server_state.default_headers
        if self._defaults is not defaults:  # a new list when the date has changed
            self._defaults = defaults
            self._default_lines = _lines(defaults)
        return b"".join(
            (
                STATUS_LINE[answer[0]],
                self._default_lines,
                _lines(headers_of(answer, FEATURES)),
                b"\r\n",
            )
        )


def _lines(headers: Any) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
