# SPDX-License-Identifier: Apache-2.0
"""What is normal, by image and by workload. Frozen, as the step before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two tables; what is there stays as it is."""
    op.create_table(
        "baselines",
        sa.Column("subject", sa.String(600)),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("frozen", sa.BigInteger),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text),
        sa.Column("left_out", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("subject", name="pk_baselines"),
    )
    op.create_index("ix_baselines_changed", "baselines", ["changed"])
    op.create_table(
        "baseline_traits",
        sa.Column("subject", sa.String(600)),
        sa.Column("key", sa.String(32)),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("facet", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("author", sa.Text),
        sa.PrimaryKeyConstraint("subject", "key", name="pk_baseline_traits"),
        sa.ForeignKeyConstraint(
            ["subject"], ["baselines.subject"], name="fk_baseline_traits_subject_baselines"
        ),
    )


def downgrade() -> None:
    """Not offered: it would drop what was learned and approved. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
