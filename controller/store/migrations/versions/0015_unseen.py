# SPDX-License-Identifier: Apache-2.0
"""Records that wait for their entry, and how late entries come. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table, and columns to the sources; what is there stays as it is."""
    op.create_table(
        "unseen",
        sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name="fk_unseen_host_hosts")),
        sa.Column("key", sa.String(256)),
        sa.Column("record", sa.String(160), nullable=False),
        sa.Column("container", sa.String(160), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("exec_id", sa.String(160)),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("arrived", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("decided", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(32)),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("host", "key", name="pk_unseen"),
    )
    op.create_index("ix_unseen_due", "unseen", ["due"])
    op.create_index("ix_unseen_time", "unseen", ["time"])
    op.create_index("ix_attributions_host_told", "attributions", ["host", "told"])
    op.add_column(
        "record_sources", sa.Column("entry_delay", sa.BigInteger, nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
