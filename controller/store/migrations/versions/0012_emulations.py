# SPDX-License-Identifier: Apache-2.0
"""Emulations, what came of them, and which alerts are theirs. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two tables and a column; of the alerts that are there already none is known to be staged."""
    op.create_table(
        "emulations",
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("detection", sa.String(96), nullable=False),
        sa.Column("runtime", sa.String(16), nullable=False),
        sa.Column("host", sa.String(64)),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("fired", sa.Boolean),
        sa.Column("seconds", sa.Float),
        sa.Column("session", sa.String(160)),
        sa.Column("alert", sa.String(32)),
        sa.Column("also", sa.JSON),
        sa.Column("error", sa.Text),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name="fk_emulations_host_hosts"),
        sa.PrimaryKeyConstraint("run", name="pk_emulations"),
    )
    op.create_index("ix_emulations_detection_host_began", "emulations", ["detection", "host", "began"])
    op.create_table(
        "emulation_containers",
        sa.Column("container", sa.String(160), nullable=False),
        sa.Column("run", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["emulations.run"], name="fk_emulation_containers_run_emulations"),
        sa.PrimaryKeyConstraint("container", name="pk_emulation_containers"),
    )
    op.add_column("alerts", sa.Column("emulation", sa.String(32)))


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
