# SPDX-License-Identifier: Apache-2.0
"""Whose daemon a record source is. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; of a source that is there already root is taken to be the owner until it is heard again."""
    op.add_column("record_sources", sa.Column("owner", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
