# SPDX-License-Identifier: Apache-2.0
"""What was changed of a cluster's roles and bindings, and whether it was authorised. Frozen, as the step before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column to `records`, NULL in what was told before."""
    op.add_column("records", sa.Column("change", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Not offered: it would drop who changed what. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
