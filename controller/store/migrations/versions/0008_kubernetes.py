# SPDX-License-Identifier: Apache-2.0
"""What API servers of Kubernetes tell, and which visit each request is of. Frozen, as the steps before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns and two tables; what is there stays as it is."""
    op.add_column("hosts", sa.Column("kind", sa.String(16), nullable=False, server_default="host"))
    op.add_column("hosts", sa.Column("cluster", sa.String(64)))
    op.add_column("records", sa.Column("pod", sa.String(520)))
    op.add_column("records", sa.Column("request", sa.String(64)))
    op.add_column("records", sa.Column("user", sa.String(256)))
    for name, columns in (("pod", ["pod", "time"]), ("request", ["request"]), ("user", ["user", "time"])):
        where = sa.text(f'"{name}" IS NOT NULL')
        op.create_index(f"ix_records_{name}", "records", columns, sqlite_where=where, postgresql_where=where)
    _audit_sources()
    _api_attributions()


def _host(table: str) -> sa.Column[str]:
    name = f"fk_{table}_host_hosts"
    return sa.Column("host", sa.String(64), sa.ForeignKey("hosts.id", name=name), nullable=False)


def _audit_sources() -> None:
    op.create_table(
        "audit_sources",
        _host("audit_sources"),
        sa.Column("place", sa.String(1024)),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("since", "heard", "said")),
        sa.Column("away", sa.BigInteger),
        sa.Column("delay", sa.BigInteger, nullable=False),
        sa.Column("ahead", sa.BigInteger, nullable=False),
        sa.Column("execs", sa.BigInteger),
        sa.Column("early", sa.BigInteger),
        sa.Column("gaps", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("gap", sa.BigInteger),
        sa.PrimaryKeyConstraint("host", "place", name="pk_audit_sources"),
    )


def _api_attributions() -> None:
    op.create_table(
        "api_attributions",
        sa.Column("session", sa.String(160)),
        _host("api_attributions"),
        sa.Column("entry", sa.String(160), nullable=False),
        sa.Column("pod", sa.String(520), nullable=False),
        sa.Column("container", sa.Text),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("command", sa.Text),
        sa.Column("arrived", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("confidence", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("sure", sa.Integer, nullable=False),
        sa.Column("request", sa.String(64)),
        sa.Column("source", sa.String(64)),
        sa.PrimaryKeyConstraint("session", name="pk_api_attributions"),
    )
    op.create_index("ix_api_attributions_pod_time", "api_attributions", ["pod", "time"])
    op.create_index("ix_api_attributions_due", "api_attributions", ["due"])


def downgrade() -> None:
    """Not offered: it would drop what was seen. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)
