# SPDX-License-Identifier: Apache-2.0
"""Ways to look at the alerts, under names. Frozen, as the step before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table; what is there stays as it is."""
    op.create_table(
        "saved_views",
        sa.Column("name", sa.String(64)),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("saved", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_saved_views"),
    )


def downgrade() -> None:
    """Not offered: it would drop what people saved. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
