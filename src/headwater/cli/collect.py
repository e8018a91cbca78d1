"""gc: what nothing can reach any more, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.output import emit_json, emit_table, moment, say
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.pipeline.collection import Garbage

_COLUMNS = ["view", "revision", "versions", "unread_since", "rows", "online", "offline"]
_SHORT = 12


def gc(
    context: typer.Context,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Remove it; without, it is only shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove values that nothing can reach.

    Without --yes it shows what would be removed, and what that frees.
    """
    store = session(context).store()
    found = store.collect_garbage() if yes else store.garbage()
    if as_json:
        emit_json([_as_dict(one) for one in found])
    elif found:
        emit_table([_row(one) for one in found], _COLUMNS)
    say(_said(found, removed=yes))


def _said(found: list[Garbage], *, removed: bool) -> str:
    if not found:
        return "nothing to remove: all values can be reached"
    online, offline = (
        bytes_text(sum(getattr(one, field) for one in found))
        for field in ("online_bytes", "offline_bytes")
    )
    count = f"{len(found)} revision{'' if len(found) == 1 else 's'}"
    if removed:
        return (
            f"removed {count}: {offline} of offline files are gone; {online} in the online store "
            "are free for new rows, its file keeps its size"
        )
    return (
        f"{count} can be removed: {offline} of offline files; {online} in the online store, which "
        "are free for new rows then, while its file keeps its size; 'headwater gc --yes' does it"
    )


def _row(one: Garbage) -> dict[str, Any]:
    return {
        **_as_dict(one),
        "revision": one.revision[:_SHORT],
        "unread_since": (moment(one.since) or "unknown")[:19],
        "rows": f"{one.rows:,}",
        "online": bytes_text(one.online_bytes),
        "offline": bytes_text(one.offline_bytes),
    }


def _as_dict(one: Garbage) -> dict[str, Any]:
    return {
        "view": one.view,
        "revision": one.revision,
        "versions": one.versions,
        "unread_since": moment(one.since),
        "rows": one.rows,
        "online_bytes": one.online_bytes,
        "offline_bytes": one.offline_bytes,
    }


def bytes_text(count: int) -> str:
    """A number of bytes as people read it: 512 B, 1.5 KiB."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


COMMANDS: Commands = {"gc": gc}
