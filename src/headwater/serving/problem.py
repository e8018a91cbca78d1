"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.errors import HeadwaterError

_LONGEST = 2000
_encode = msgspec.json.Encoder().encode


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """An answer that is an error: `title` names the kind of mistake, `detail` this one."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail

    @property
    def type(self) -> str:
        """A stable name of the kind of mistake, for programs."""
        words = self.title.lower().replace("'", "").split()
        return f"urn:headwater:problem:{'-'.join(words)}"

    def members(self) -> dict[str, Any]:
        """The fields of the answer."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail[:_LONGEST],
        }

    def render(self) -> bytes:
        return _encode(self.members())


def problem_of(error: HeadwaterError) -> Problem:
    """The problem that tells a caller of an error that was raised on purpose."""
    return Problem(error.status, error.title, str(error))
