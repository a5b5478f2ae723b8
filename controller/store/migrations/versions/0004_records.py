# SPDX-License-Identifier: Apache-2.0
"""What runtimes said. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table; what is there stays as it is."""
    op.create_table(
        "records",
        sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name="fk_records_host_hosts")),
        sa.Column("key", sa.String(64)),
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("container", sa.String(160)),
        sa.Column("exec_id", sa.String(160)),
        sa.Column("pid", sa.BigInteger),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("host", "key", name="pk_records"),
    )
    op.create_index("ix_records_time", "records", ["time"])
    op.create_index("ix_records_host_container_time", "records", ["host", "container", "time"])
    op.create_index("ix_records_host_exec_id", "records", ["host", "exec_id"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
