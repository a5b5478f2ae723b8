# SPDX-License-Identifier: Apache-2.0
"""How containers are configured, each time that it changed. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table; what is there stays as it is."""
    op.create_table(
        "configurations",
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column(
            "host",
            sa.String(64),
            sa.ForeignKey("hosts.id", name="fk_configurations_host_hosts"),
            nullable=False,
        ),
        sa.Column("container", sa.String(160), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("mono", sa.BigInteger, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_configurations"),
    )
    op.create_index("ix_configurations_host_container_time", "configurations", ["host", "container", "time"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
