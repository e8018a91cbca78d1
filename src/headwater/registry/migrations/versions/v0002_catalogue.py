"""What is listed of features, their tags, and their use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _usages()
    _features()
    _tags()


def _usages() -> None:
    op.create_table(
        "usages",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("feature_name", sa.String(128), nullable=False),
        sa.Column("used_by_model", sa.String(256), nullable=False),
        sa.Column("environment", sa.String(16), nullable=False),
        sa.Column("usage_timestamp", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "key", name="pk_usages"),
        _owner("usages"),
    )
    _index("usages", "feature_name", "usage_timestamp", "count")
    _index("usages", "used_by_model", "usage_timestamp")
    _index("usages", "usage_timestamp")


def _features() -> None:
    op.create_table(
        "features",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("feature_name", sa.String(128), nullable=False),
        sa.Column("current_version", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("feature_type", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(256)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "feature_name", name="pk_features"),
        _owner("features"),
    )
    for column in ("owner", "feature_type", "status"):
        _index("features", column)
    newest = sa.text("created_at DESC")
    op.create_index("ix_features_project_created_at", "features", ["project", newest])
    _index("features", "feature_name", "current_version")


def _tags() -> None:
    op.create_table(
        "feature_tags",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("feature_name", sa.String(128), nullable=False),
        sa.Column("tag", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("project", "feature_name", "tag", name="pk_feature_tags"),
        _owner("feature_tags"),
    )
    _index("feature_tags", "tag", "feature_name")


def _index(table: str, *columns: str) -> None:
    name = "_".join(["ix", table, "project", *columns])
    op.create_index(name, table, ["project", *columns])


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project"], ["heads.project"], name=f"fk_{table}_project", ondelete="CASCADE"
    )
