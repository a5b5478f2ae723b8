# SPDX-License-Identifier: Apache-2.0
"""What differs in a container's configuration, by whom, and whether it was authorised. Frozen, as the step before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two columns to `configurations`, NULL in what was told before, and a table of the hosts' own files."""
    op.add_column("configurations", sa.Column("slot", sa.String(520)))
    op.add_column("configurations", sa.Column("change", sa.JSON(none_as_null=True)))
    op.create_index("ix_configurations_slot_time", "configurations", ["slot", "time"])
    where = sa.text("change IS NOT NULL")
    op.create_index(
        "ix_configurations_changes", "configurations", ["time"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "file_changes",
        sa.Column("id", sa.String(160)),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("path", sa.String(1024), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("change", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("id", name="pk_file_changes"),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name="fk_file_changes_host_hosts"),
    )
    op.create_index("ix_file_changes_host_time", "file_changes", ["host", "time"])
    op.create_index("ix_file_changes_time", "file_changes", ["time"])


def downgrade() -> None:
    """Not offered: it would drop who changed what. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
