# SPDX-License-Identifier: Apache-2.0
"""Which hosts are believed about the audit of an API server of a whole cluster. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; a log that is read already is believed about its own host until somebody says more."""
    op.add_column("audit_sources", sa.Column("trusted", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
