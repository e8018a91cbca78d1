"""Numbered migrations of a SQL registry, run by Alembic."""
