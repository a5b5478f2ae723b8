# SPDX-License-Identifier: Apache-2.0
"""Alerts: raised by the detect worker, read and changed by people; every change is in the history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from controller.store.views import AlertRow, AlertState, AlertView, ChangeView, Facet

FACETS = ("severity", "state", "detection", "host", "means", "container", "image", "user", "assignee")
"""Names that `AlertFilter.include` and `exclude` take. Values: a severity's label, a host's or container's
name; the state "open" stands for all open states; an empty text stands for "not known" (NULL)."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What to list: of each facet in `include` one of its values, none of the values in `exclude`."""

    include: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""
    """Every word must occur in title, sentence, container, image, user or host (any case)."""
    since: int | None = None
    """Last seen at or after, ns."""
    until: int | None = None


Order = Literal["severity", "newest"]


def list_(
    connection: Connection,
    filters: AlertFilter | None = None,
    limit: int = 100,
    offset: int = 0,
    order: Order = "severity",
) -> list[AlertRow]:
    """By "severity": the gravest first, of these the latest seen; by "newest": the latest seen first."""
    raise NotImplementedError


def count(connection: Connection, filters: AlertFilter | None = None) -> int:
    """How many `list_` would return without a limit."""
    raise NotImplementedError


def facets(
    connection: Connection, filters: AlertFilter | None = None, top: int = 20
) -> dict[str, list[Facet]]:
    """For each of FACETS its commonest values among the alerts that the *other* facets' filters leave."""
    raise NotImplementedError


def show(connection: Connection, alert_id: str, max_events: int = 2000) -> AlertView | None:
    """One alert with findings, history and visit; None if there is none of this id."""
    raise NotImplementedError


def changes(connection: Connection, after: int, limit: int = 100) -> list[ChangeView]:
    """The change feed: history after the id `after`, oldest first. Ids only grow, in order of commit."""
    raise NotImplementedError


def last_change(connection: Connection) -> int:
    """The id of the latest change: where a follower begins. 0 when there is none."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NewFinding:
    """A finding to be kept: one detection fires once on one event of a visit."""

    detection: str
    severity: int
    event: str
    time: int
    reason: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewAlert:
    """What an alert says of its visit; later calls replace all of it but severity, which only grows."""

    session: str
    host: str
    title: str
    sentence: str
    means: str
    container: str | None
    container_name: str | None
    image: str | None
    user: str | None
    first_seen: int
    last_seen: int
    events: int


Raised = Literal["raised", "escalated", "reopened", "grown", "unchanged"]


def alert_id(session: str) -> str:
    """The id of a session's alert: 16 hex digits of its SHA-256, so that raising twice is once."""
    raise NotImplementedError


def raise_(connection: Connection, alert: NewAlert, findings: Sequence[NewFinding], now: int) -> Raised:
    """Raises the visit's alert or adds to it; findings that it already has change nothing.

    A closed alert is reopened ("reopened") only by a finding graver than all that its closer saw.
    """
    raise NotImplementedError


def refresh(connection: Connection, alert: NewAlert) -> bool:
    """Brings what an existing alert says of its visit up to date; False if the session has none."""
    raise NotImplementedError


def note(connection: Connection, alert_id: str, action: str, detail: Mapping[str, Any], now: int) -> None:
    """Writes into the history what nsentry itself did ("entry_completed")."""
    raise NotImplementedError


def set_state(
    connection: Connection, alert_id: str, state: AlertState, actor: str, reason: str | None, now: int
) -> bool:
    """Moves the alert to `state`; False if there is none. ValueError: unknown state, no reason to close."""
    raise NotImplementedError


def assign(connection: Connection, alert_id: str, assignee: str | None, actor: str, now: int) -> bool:
    """Gives the alert to `assignee`, or to nobody; False if there is none."""
    raise NotImplementedError


def comment(connection: Connection, alert_id: str, text: str, actor: str, now: int) -> bool:
    """Adds a comment; False if there is no such alert. ValueError: empty or over 4096 characters."""
    raise NotImplementedError
