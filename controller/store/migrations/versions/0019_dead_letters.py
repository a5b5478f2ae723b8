# SPDX-License-Identifier: Apache-2.0
"""Messages that a destination does not take. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table; what is there stays as it is."""
    op.create_table(
        "dead_letters",
        sa.Column("export", sa.String(64)),
        sa.Column("seq", sa.BigInteger),
        sa.Column("message", sa.String(256), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("export", "seq", name="pk_dead_letters"),
    )


def downgrade() -> None:
    """Not offered: it would drop what was refused. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
