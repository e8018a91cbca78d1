"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import msgspec

from headwater.errors import HeadwaterError

MEDIA_TYPE = b"application/problem+json"

_encode = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True):
    """What went wrong: `title` names the kind of mistake, `detail` this one."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"


def problem_of(error: HeadwaterError) -> Problem:
    """The problem that tells a caller of an error that was raised on purpose."""
    return Problem(error.status, error.title, str(error))


def render(problem: Problem) -> bytes:
    return _encode(
        {
            "type": problem.type,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        }
    )
