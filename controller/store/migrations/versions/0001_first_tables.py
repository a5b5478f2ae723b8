# SPDX-License-Identifier: Apache-2.0
"""The first tables. Frozen: `controller.store.schema` goes on from here, this file does not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From an empty database. In this order, because of the foreign keys."""
    _hosts()
    _enrol_tokens()
    _events()
    _cursors()
    _counters()
    _containers()
    _sessions()
    _entries()
    _alerts()
    _findings()
    _alert_history()
    _login_links()
    _web_sessions()


def downgrade() -> None:
    """Not offered: it would drop everything. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)


def _hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("machine", sa.String(length=128), nullable=True),
        sa.Column("kernel", sa.Text(), nullable=False),
        sa.Column("os", sa.Text(), nullable=False),
        sa.Column("arch", sa.Text(), nullable=False),
        sa.Column("sensor", sa.Text(), nullable=False),
        sa.Column("credential", sa.String(length=64), nullable=False),
        sa.Column("enrolled", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("boot", sa.Text(), nullable=True),
        sa.Column("last_seen", sa.BigInteger(), nullable=True),
        sa.Column("last_event", sa.BigInteger(), nullable=True),
        sa.Column("skew", sa.BigInteger(), nullable=True),
        sa.Column("heartbeat", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("credential", name=op.f("uq_hosts_credential")),
    )


def _enrol_tokens() -> None:
    op.create_table(
        "enrol_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrol_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_enrol_tokens_digest")),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=160), nullable=True),
        sa.Column("target", sa.String(length=160), nullable=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("mono", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name=op.f("fk_events_host_hosts")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_host_partial",
            ["host"],
            unique=False,
            sqlite_where=sa.text("kind IN ('loss', 'agent')"),
            postgresql_where=sa.text("kind IN ('loss', 'agent')"),
        )
        batch_op.create_index(batch_op.f("ix_events_host_time"), ["host", "time"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_events_session_kind_mono"), ["session", "kind", "mono"], unique=False
        )
        batch_op.create_index(
            "ix_events_target_partial",
            ["target"],
            unique=False,
            sqlite_where=sa.text("target IS NOT NULL"),
            postgresql_where=sa.text("target IS NOT NULL"),
        )


def _cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )


def _counters() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )


def _containers() -> None:
    op.create_table(
        "containers",
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("runtime", sa.String(length=32), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("stopped", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name=op.f("fk_containers_host_hosts")),
        sa.PrimaryKeyConstraint("host", "id", name=op.f("pk_containers")),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.String(length=160), nullable=True),
        sa.Column("means", sa.String(length=32), nullable=True),
        sa.Column("container", sa.String(length=160), nullable=True),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("duration", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name=op.f("fk_sessions_host_hosts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_began"), ["began"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_container"), ["container"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_host_began"), ["host", "began"], unique=False)


def _entries() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("session", sa.String(length=160), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("means", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("container", sa.String(length=160), nullable=True),
        sa.Column("container_name", sa.Text(), nullable=True),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("uid", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name=op.f("fk_entries_host_hosts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entries_container_time"), ["container", "time"], unique=False)
        batch_op.create_index(batch_op.f("ix_entries_host_time"), ["host", "time"], unique=False)
        batch_op.create_index(batch_op.f("ix_entries_session"), ["session"], unique=False)
        batch_op.create_index(batch_op.f("ix_entries_time"), ["time"], unique=False)


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=160), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("means", sa.String(length=32), nullable=False),
        sa.Column("container", sa.String(length=160), nullable=True),
        sa.Column("container_name", sa.Text(), nullable=True),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("raised", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["host"], ["hosts.id"], name=op.f("fk_alerts_host_hosts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("session", name=op.f("uq_alerts_session")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_alerts_state_severity_last_seen"), ["state", "severity", "last_seen"], unique=False
        )


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("alert", sa.String(length=32), nullable=False),
        sa.Column("detection", sa.String(length=96), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=160), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], name=op.f("fk_findings_alert_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sa.UniqueConstraint("alert", "detection", "event", name=op.f("uq_findings_alert_detection_event")),
    )


def _alert_history() -> None:
    op.create_table(
        "alert_history",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("alert", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], name=op.f("fk_alert_history_alert_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_history")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alert_history", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_history_alert"), ["alert"], unique=False)


def _login_links() -> None:
    op.create_table(
        "login_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login_links")),
    )


def _web_sessions() -> None:
    op.create_table(
        "web_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_sessions")),
    )
