# SPDX-License-Identifier: Apache-2.0
"""What lists count, they count in an index: records of a source, visits of a container. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column, and fills it from the events, which reads and writes every record once; and two indexes."""
    op.add_column("records", sa.Column("place", sa.String(1024)))
    records = sa.table("records", sa.column("place", sa.String), sa.column("body", sa.JSON))
    op.execute(records.update().values(place=records.c.body["place"].as_string()))
    op.create_index("ix_records_host_place_time_action", "records", ["host", "place", "time", "action"])
    op.drop_index("ix_sessions_container", "sessions")
    op.create_index("ix_sessions_host_container", "sessions", ["host", "container"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
