"""The tables of a SQL registry. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    desc,
)

LATEST = "0004"
VERSION_TABLE = "headwater_schema"
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)


def _project() -> Column[str]:
    owner = ForeignKey("heads.project", ondelete="CASCADE")
    return Column("project", String(128), owner, primary_key=True)


heads = Table(
    "heads",
    metadata,
    Column("project", String(128), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

objects = Table(
    "objects",
    metadata,
    _project(),
    Column("kind", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "project", "kind", "name", "stored_at"),
)

runs = Table(
    "runs",
    metadata,
    _project(),
    Column("key", String(64), primary_key=True),
    Column("view", String(128), nullable=False),
    Column("revision", String(128), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "project", "started_at"),
    Index(None, "project", "view", "started_at"),
    Index(None, "project", "revision", "started_at"),
)

commits = Table(
    "commits",
    metadata,
    _project(),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("key", String(64), nullable=False),
    Column("author", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "project", "at"),
    Index(None, "project", "key"),
)

changed = Table(
    "changed",
    metadata,
    _project(),
    Column("kind", String(16), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("change", String(16), nullable=False),
    Index(None, "project", "generation", "kind", "name"),
)

usages = Table(
    "usages",
    metadata,
    _project(),
    Column("key", String(64), primary_key=True),
    Column("feature_name", String(128), nullable=False),
    Column("used_by_model", String(256), nullable=False),
    Column("environment", String(16), nullable=False),
    Column("usage_timestamp", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("day", Integer),
    Column("feature_version", String(128), nullable=False),
    Column("service", String(128)),
    Column("operation", String(16)),
    Column("rows", BigInteger, nullable=False),
    Column("feature_importance", Double),
    Column("correlation_with_target", Double),
    Column("body", Text, nullable=False),
    Index(None, "project", "feature_name", "usage_timestamp", "count"),
    Index(None, "project", "used_by_model", "usage_timestamp"),
    Index(None, "project", "usage_timestamp"),
    Index(None, "project", "day"),
    # All that is added up: a million uses in a second, without a look at their texts.
    Index(
        "ix_usages_alike",
        *("project", "feature_name", "feature_version", "used_by_model", "service"),
        *("environment", "operation", "usage_timestamp", "count", "rows"),
        *("feature_importance", "correlation_with_target"),
    ),
)

features = Table(
    "features",
    metadata,
    _project(),
    Column("feature_name", String(128), primary_key=True),
    Column("current_version", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("feature_type", String(32), nullable=False),
    Column("owner", String(256)),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "project", "owner"),
    Index(None, "project", "feature_type"),
    Index(None, "project", "status"),
    Index("ix_features_project_created_at", "project", desc("created_at")),
    Index(None, "project", "feature_name", "current_version"),
)

feature_tags = Table(
    "feature_tags",
    metadata,
    _project(),
    Column("feature_name", String(128), primary_key=True),
    Column("tag", String(128), primary_key=True),
    Index(None, "project", "tag", "feature_name"),
)
