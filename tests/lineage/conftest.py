"""Projects of the shop, closed when their test ends."""

from store.conftest import make

__all__ = ["make"]
