# SPDX-License-Identifier: Apache-2.0
"""Which record belongs to which visit, and what is listened to. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two tables; what is there stays as it is."""
    op.create_table(
        "record_sources",
        sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name="fk_record_sources_host_hosts")),
        sa.Column("place", sa.String(1024)),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("away", sa.BigInteger),
        sa.Column("delay", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("host", "place", name="pk_record_sources"),
    )
    op.create_table(
        "attributions",
        sa.Column("session", sa.String(160)),
        sa.Column(
            "host",
            sa.String(64),
            sa.ForeignKey("hosts.id", name="fk_attributions_host_hosts"),
            nullable=False,
        ),
        sa.Column("entry", sa.String(160), nullable=False),
        sa.Column("container", sa.String(160)),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("means", sa.String(32), nullable=False),
        sa.Column("exec_id", sa.String(160)),
        sa.Column("pid", sa.BigInteger),
        sa.Column("command", sa.Text),
        sa.Column("uid", sa.BigInteger, nullable=False),
        sa.Column("arrived", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("confidence", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("told", sa.String(256)),
        sa.Column("source", sa.String(32)),
        sa.PrimaryKeyConstraint("session", name="pk_attributions"),
    )
    op.create_index("ix_attributions_host_container_time", "attributions", ["host", "container", "time"])
    op.create_index("ix_attributions_due", "attributions", ["due"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
