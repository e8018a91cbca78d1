"""How commands speak: data on stdout, as tables or JSON; narration and errors on stderr."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from headwater.cli import INTERRUPTED


def say(text: str) -> None:
    """Tell the user something that is not the result."""
    print(text, file=sys.stderr)  # noqa: T201


def complain(text: str, hint: str | None = None) -> None:
    """Tell the user what went wrong, and what to do about it."""
    say(f"error: {text}")
    if hint is not None:
        say(f"hint: {hint}")


@contextmanager
def stoppable(outcome: str) -> Iterator[None]:
    """Say what has become of long work where Ctrl-C ends it, and leave with 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; {outcome}")
        sys.exit(INTERRUPTED)


def emit(text: str) -> None:
    """Write the result of a command."""
    print(text)  # noqa: T201


def emit_json(value: Any) -> None:
    """Write a result as JSON: times in ISO form, bytes in base64, NaN and infinities as text."""
    emit(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def emit_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as aligned columns with a header."""
    cells = [[*columns]] + [[cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        emit("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def cell(value: Any) -> str:
    """One value on one line of a table; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(_inner(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{jsonable(key)}: {_inner(item)}" for key, item in value.items())
    return str(jsonable(value)).replace("\n", " ")


def _inner(value: Any) -> str:
    """What stands inside a list or an object: in brackets of its own, where it has parts."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return f"{{{cell(value)}}}"
    return f"[{cell(value)}]" if isinstance(value, (list, tuple)) else cell(value)


def jsonable(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dt.datetime):
        moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_name(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    return value


def _name(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(jsonable(key))


def moment(microseconds: int | None) -> str | None:
    """Microseconds since the epoch as ISO text."""
    if microseconds is None:
        return None
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    found: str = jsonable(epoch + dt.timedelta(microseconds=microseconds))
    return found


def is_interactive() -> bool:
    """Whether somebody sits before the screen: a terminal on both sides, and no CI."""
    return sys.stdin.isatty() and shows_progress()


def shows_progress() -> bool:
    """Whether a moving line on stderr makes sense."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def coloured(text: str) -> str:
    """A plan's lines in the colour of their sign, where stdout is a terminal that wants colour."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    codes = {"+": "32", "~": "33", "-": "31"}
    lines = text.splitlines()
    signs = [codes.get(line.lstrip()[:1]) for line in lines]
    painted = zip(lines, signs, strict=True)
    return "\n".join(f"\033[{code}m{line}\033[0m" if code else line for line, code in painted)
