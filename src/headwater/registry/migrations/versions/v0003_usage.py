"""By what, for what and on how many rows a feature is used; what processes count by the day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_KEPT = "project, key, feature_name, used_by_model, environment, usage_timestamp, count, body"


def upgrade() -> None:
    # SQLite adds no column in the middle of a table: the table is made anew.
    op.execute(f"CREATE TEMPORARY TABLE former AS SELECT {_KEPT} FROM usages")
    op.drop_table("usages")
    _usages()
    told = _told("feature_importance", "correlation_with_target")
    op.execute(
        f"INSERT INTO usages ({_KEPT}, feature_version, rows, feature_importance, "
        f"correlation_with_target) SELECT {_KEPT}, {_text('feature_version')}, 0, {told} "
        "FROM former"
    )
    op.execute("DROP TABLE former")


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
        sa.Column("day", sa.Integer),
        sa.Column("feature_version", sa.String(128), nullable=False),
        sa.Column("service", sa.String(128)),
        sa.Column("operation", sa.String(16)),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("feature_importance", sa.Double),
        sa.Column("correlation_with_target", sa.Double),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project", "key", name="pk_usages"),
        sa.ForeignKeyConstraint(
            ["project"], ["heads.project"], name="fk_usages_project", ondelete="CASCADE"
        ),
    )
    _index("feature_name", "usage_timestamp", "count")
    _index("used_by_model", "usage_timestamp")
    _index("usage_timestamp")
    _index("day")
    alike = (
        *("project", "feature_name", "feature_version", "used_by_model", "service"),
        *("environment", "operation", "usage_timestamp", "count", "rows"),
        *("feature_importance", "correlation_with_target"),
    )
    op.create_index("ix_usages_alike", "usages", alike)


def _index(*columns: str) -> None:
    op.create_index("_".join(["ix_usages_project", *columns]), "usages", ["project", *columns])


def _text(field: str) -> str:
    """A field of the object's text."""
    if op.get_bind().dialect.name == "postgresql":
        return f"body::json ->> '{field}'"
    return f"json_extract(body, '$.{field}')"


def _told(*fields: str) -> str:
    return ", ".join(f"CAST({_text(field)} AS DOUBLE PRECISION)" for field in fields)
