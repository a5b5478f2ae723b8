# SPDX-License-Identifier: Apache-2.0
"""Knobs that count for an emulation's containers alone. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; runs so far had none."""
    op.add_column("emulations", sa.Column("knobs", sa.JSON))


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
