# SPDX-License-Identifier: Apache-2.0
"""How far each export has come. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "exports",
        sa.Column("name", sa.String(64)),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("seq", "sent", "failed", "given_up", "left_out")
        ),
        sa.Column("last_sent", sa.BigInteger),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_exports"),
    )


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
