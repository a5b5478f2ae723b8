# SPDX-License-Identifier: Apache-2.0
"""How well each source of records is heard: gaps, lateness, clocks. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns; what is there stays as it is."""
    for name in ("gaps", "late", "ahead"):
        op.add_column("record_sources", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    for name in ("gap", "up"):
        op.add_column("record_sources", sa.Column(name, sa.BigInteger))
    op.add_column("audit_sources", sa.Column("behind", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Not offered: it would drop what was learned. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
