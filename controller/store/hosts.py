# SPDX-License-Identifier: Apache-2.0
"""Hosts and their sensors: enrolment, credentials, heartbeat, and what was lost or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.views import HostView


def list_(connection: Connection) -> list[HostView]:
    """All hosts by name, revoked ones included."""
    raise NotImplementedError


def show(connection: Connection, host: str) -> HostView | None:
    """One host by its id or, if only one has it, by its name; None otherwise."""
    raise NotImplementedError
