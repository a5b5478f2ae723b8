# SPDX-License-Identifier: Apache-2.0
"""What containers do of themselves, by container; health checks and replaced hosts are told apart.

Frozen, as the step before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table, columns and indexes; what is there stays as it is."""
    op.create_table(
        "activities",
        sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name="fk_activities_host_hosts")),
        sa.Column("container", sa.String(160)),
        sa.Column("key", sa.String(64)),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("host", "container", "key", name="pk_activities"),
    )
    op.create_index("ix_activities_host_container_last", "activities", ["host", "container", "last"])
    op.add_column(
        "containers", sa.Column("activities_left_out", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("hosts", sa.Column("replaced_by", sa.String(64)))
    for table, column in (("sessions", "began"), ("entries", "time")):
        where = sa.text("means = 'probe'")
        op.create_index(f"ix_{table}_probes", table, [column], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
