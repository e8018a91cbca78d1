"""Heads, objects, runs and commits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "heads",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", name="pk_heads"),
    )
    _objects()
    _runs()
    _commits()


def _objects() -> None:
    op.create_table(
        "objects",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("stored_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "key", name="pk_objects"),
        _owner("objects"),
    )
    op.create_index(
        "ix_objects_project_kind_name_stored_at",
        "objects",
        ["project", "kind", "name", "stored_at"],
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("view", sa.String(128), nullable=False),
        sa.Column("revision", sa.String(128), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "key", name="pk_runs"),
        _owner("runs"),
    )
    op.create_index("ix_runs_project_started_at", "runs", ["project", "started_at"])
    for column in ("view", "revision"):
        name = f"ix_runs_project_{column}_started_at"
        op.create_index(name, "runs", ["project", column, "started_at"])


def _commits() -> None:
    op.create_table(
        "commits",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "generation", name="pk_commits"),
        _owner("commits"),
    )
    op.create_index("ix_commits_project_at", "commits", ["project", "at"])


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project"], ["heads.project"], name=f"fk_{table}_project", ondelete="CASCADE"
    )
