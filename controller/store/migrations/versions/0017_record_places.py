# SPDX-License-Identifier: Apache-2.0
"""The place of each record's source, to be counted by. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column, and fills it from the events; reads and writes every record once."""
    op.add_column("records", sa.Column("place", sa.String(1024)))
    records = sa.table("records", sa.column("place", sa.String), sa.column("body", sa.JSON))
    op.execute(records.update().values(place=records.c.body["place"].as_string()))
    op.create_index("ix_records_host_place_time_action", "records", ["host", "place", "time", "action"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
