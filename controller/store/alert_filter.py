# SPDX-License-Identifier: Apache-2.0
"""Which alerts a list shows, as conditions; and how often each value of a facet occurs among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import false, func, not_, or_, select

from controller.store import query
from controller.store.schema import alerts, findings, hosts
from controller.store.views import OPEN_STATES, SEVERITIES, Facet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

FACETS: Final = (
    "severity",
    "state",
    "detection",
    "host",
    "means",
    "container",
    "image",
    "user",
    "assignee",
)
"""Names that `AlertFilter.include` and `exclude` take. Values: a severity's label, a host's or container's
name; the state "open" stands for all open states; an empty text stands for "not known" (NULL)."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What to list: of each facet in `include` one of its values, none of the values in `exclude`.

    ValueError from whatever uses it: a facet that there is not.
    """

    include: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""
    """Every word must occur in title, sentence, container, image, user or host (any case)."""
    since: int | None = None
    """Last seen at or after, ns."""
    until: int | None = None


_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "severity": alerts.c.severity,
    "state": alerts.c.state,
    "detection": findings.c.detection,
    "host": hosts.c.name,
    "means": alerts.c.means,
    # A container without a name is known by its id.
    "container": func.coalesce(alerts.c.container_name, alerts.c.container),
    "image": alerts.c.image,
    "user": alerts.c.user,
    "assignee": alerts.c.assignee,
}
_SEARCHED: Final = (
    alerts.c.title,
    alerts.c.sentence,
    alerts.c.container_name,
    alerts.c.container,
    alerts.c.image,
    alerts.c.user,
    hosts.c.name,
)
_LEVELS: Final = {label: level for level, label in SEVERITIES.items()}


def conditions(filters: AlertFilter, leave_out: str | None = None) -> list[ColumnElement[bool]]:
    """For a query on alerts joined with hosts; `leave_out` names a facet whose own filters do not count."""
    unknown = ({*filters.include, *filters.exclude}) - set(FACETS)
    if unknown:
        raise ValueError(f"no such facet: {', '.join(sorted(unknown))}; there are {', '.join(FACETS)}")
    made = query.between(alerts.c.last_seen, filters.since, filters.until)
    made += [_has(name, each) for name, each in filters.include.items() if each and name != leave_out]
    made += [not_(_has(name, each)) for name, each in filters.exclude.items() if each and name != leave_out]
    made += [
        or_(*(column.icontains(word, autoescape=True) for column in _SEARCHED))
        for word in filters.text.split()
    ]
    return made


def facets(
    connection: Connection, filters: AlertFilter | None = None, top: int = 20
) -> dict[str, list[Facet]]:
    """For each of FACETS its commonest values among the alerts that the *other* facets' filters leave."""
    return {name: _facet(connection, name, filters or AlertFilter(), top) for name in FACETS}


def _facet(connection: Connection, name: str, filters: AlertFilter, top: int) -> list[Facet]:
    column = _COLUMNS[name]
    count = func.count(alerts.c.id.distinct())
    source = alerts.join(hosts, hosts.c.id == alerts.c.host)
    if name == "detection":
        source = source.join(findings, findings.c.alert == alerts.c.id)
    statement = (
        select(column.label("value"), count.label("alerts"))
        .select_from(source)
        .where(*conditions(filters, leave_out=name))
        .group_by(column)
        .order_by(count.desc(), column)
        .limit(top)
    )
    rows = connection.execute(statement).all()
    if name == "severity":
        rows = sorted(rows, key=lambda row: -row.value)
        return [{"value": SEVERITIES[row.value], "count": row.alerts} for row in rows]
    return [{"value": row.value, "count": row.alerts} for row in rows]


def _has(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    """The alert has one of `values`; true or false, never NULL, so that it can be negated."""
    if name == "severity":
        levels = [_LEVELS[value] for value in values if value in _LEVELS]
        return alerts.c.severity.in_(levels) if levels else false()
    if name == "state":
        states = [state for value in values for state in (OPEN_STATES if value == "open" else (value,))]
        return alerts.c.state.in_(states)
    if name == "detection":
        return alerts.c.id.in_(select(findings.c.alert).where(findings.c.detection.in_(values)))
    if name == "host":
        return or_(hosts.c.name.in_(values), hosts.c.id.in_(values))
    return func.coalesce(_COLUMNS[name], "").in_(values)
