# SPDX-License-Identifier: Apache-2.0
"""What is normal: exceptions, approvals, knobs, and what came of them. Frozen, as the step before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds tables and two columns; what is there stays as it is."""
    _said()
    _judged()
    _seen()


def _said() -> None:
    """What people say."""
    op.create_table(
        "exceptions",
        sa.Column("name", sa.String(64)),
        sa.Column("detection", sa.String(96)),
        sa.Column("expression", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger),
        sa.Column("removed_by", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_exceptions"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", _SERIAL, autoincrement=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("pod", sa.Text),
        sa.Column("container", sa.Text),
        sa.Column("image", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("means", sa.JSON, nullable=False),
        sa.Column("begins", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("revoked_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_approvals_until", "approvals", ["until"])
    op.create_table(
        "knobs",
        sa.Column("name", sa.String(64)),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_knobs"),
    )
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("object", sa.String(128), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_object", "audit", ["object"])


def _judged() -> None:
    """What was judged by it."""
    op.add_column("alerts", sa.Column("likeness", sa.String(32)))
    op.add_column("alerts", sa.Column("repeats", sa.String(32)))
    op.create_index("ix_alerts_likeness_changed", "alerts", ["likeness", "changed"])
    op.create_table(
        "approved_visits",
        sa.Column("session", sa.String(160)),
        sa.Column("approval", sa.BigInteger, nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_approved_visits"),
        sa.ForeignKeyConstraint(["approval"], ["approvals.id"], name="fk_approved_visits_approval_approvals"),
    )
    op.create_index("ix_approved_visits_approval_standing", "approved_visits", ["approval", "standing"])
    op.create_table(
        "withheld",
        sa.Column("id", _SERIAL, autoincrement=True),
        sa.Column("session", sa.String(160), nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("detection", sa.String(96), nullable=False),
        sa.Column("event", sa.String(160), nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("because", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_withheld"),
        sa.UniqueConstraint("session", "detection", "event", name="uq_withheld_session_detection_event"),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name="fk_withheld_host_hosts"),
    )
    op.create_index("ix_withheld_because_name_time", "withheld", ["because", "name", "time"])


def _seen() -> None:
    """What rules look back on, and how they fare."""
    op.create_table(
        "visitors",
        sa.Column("session", sa.String(160)),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("principal", sa.Text),
        sa.Column("means", sa.String(32), nullable=False),
        sa.Column("container", sa.String(160)),
        sa.Column("image", sa.Text),
        sa.Column("namespace", sa.Text),
        sa.PrimaryKeyConstraint("session", name="pk_visitors"),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name="fk_visitors_host_hosts"),
    )
    for column in ("principal", "host", "container"):
        op.create_index(f"ix_visitors_{column}_time", "visitors", [column, "time"])
    op.create_table(
        "troubles",
        sa.Column("detection", sa.String(96)),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(160), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("detection", name="pk_troubles"),
    )


def downgrade() -> None:
    """Not offered: it would drop what people said and what was kept. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
