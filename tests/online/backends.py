"""The online stores under test. A new one joins with an entry here."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.online.store import OnlineStore, open_online_store

KINDS = ("lmdb",)


@dataclass(frozen=True)
class Backend:
    """How to open one store, again and in another process too."""

    kind: str
    options: dict[str, Any]

    def open(self) -> OnlineStore:
        return open_online_store(self.kind, **self.options)


def backend(kind: str, folder: Path, **options: Any) -> Backend:
    assert kind == "lmdb"
    return Backend(kind, {"path": str(folder / "online"), **options})


_numbers = itertools.count()


def fresh(name: str = "revision") -> str:
    """A revision that no test has used."""
    return f"{name}-{next(_numbers)}"
