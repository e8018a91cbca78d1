"""What each commit changed, so that the history of one object is found at once."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

from headwater.registry.changed import changed_rows
from headwater.registry.kinds import Commit, kind_of

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("ix_commits_project_key", "commits", ["project", "key"])
    made = op.create_table(
        "changed",
        sa.Column("project", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("project", "kind", "name", "generation", name="pk_changed"),
        sa.ForeignKeyConstraint(
            ["project"], ["heads.project"], name="fk_changed_project", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_changed_project_generation_kind_name",
        "changed",
        ["project", "generation", "kind", "name"],
    )
    _fill(made)


def _fill(made: sa.Table) -> None:
    """The rows of the commits that are there."""
    kind = kind_of(Commit)
    for project, body in op.get_bind().execute(sa.text("SELECT project, body FROM commits")).all():
        rows = [
            {"project": project, **msgspec.structs.asdict(row)}
            for row in changed_rows(kind.decode(body))
        ]
        if rows:
            op.bulk_insert(made, rows)
