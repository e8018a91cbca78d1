"""The shop's projects, as in the tests of the facade."""

from store.conftest import make

__all__ = ["make"]
