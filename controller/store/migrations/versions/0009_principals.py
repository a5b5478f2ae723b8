# SPDX-License-Identifier: Apache-2.0
"""Who each visit was by, and who has been where before. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two tables and a column; of visits before nobody is named until they are judged again."""
    op.create_table(
        "principals",
        sa.Column("session", sa.String(160), nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("client", sa.String(64)),
        sa.Column("new_in", sa.JSON, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_principals"),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name="fk_principals_host_hosts"),
    )
    op.create_index("ix_principals_host_client", "principals", ["host", "client"])
    op.create_index("ix_principals_name", "principals", ["name"])
    op.create_table(
        "acquaintances",
        sa.Column("scope", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("session", sa.String(160), nullable=False),
        sa.PrimaryKeyConstraint("scope", "kind", "name", name="pk_acquaintances"),
    )
    op.create_index("ix_acquaintances_scope_first", "acquaintances", ["scope", "first"])
    op.create_index("ix_acquaintances_session", "acquaintances", ["session"])
    op.add_column("alerts", sa.Column("principal", sa.Text))


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
