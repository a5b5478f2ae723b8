# SPDX-License-Identifier: Apache-2.0
"""Addresses of containers. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table; what is there stays as it is."""
    op.create_table(
        "container_addresses",
        sa.Column("address", sa.String(64)),
        sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name="fk_container_addresses_host_hosts")),
        sa.Column("container", sa.String(160)),
        sa.PrimaryKeyConstraint("address", "host", "container", name="pk_container_addresses"),
    )
    op.create_index("ix_container_addresses_host_container", "container_addresses", ["host", "container"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
