# SPDX-License-Identifier: Apache-2.0
"""Which alerts a list shows, as conditions; and how often each value of a facet occurs among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, cast, false, func, literal, not_, or_, select, union_all

from controller.store import query
from controller.store.schema import alerts, findings, hosts
from controller.store.views import OPEN_STATES, SEVERITIES, Facet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import CTE, ColumnElement, Connection, FromClause, Select

FACETS: Final = (
    "severity",
    "state",
    "detection",
    "host",
    "means",
    "container",
    "image",
    "user",
    "principal",
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
    """Every word must occur in title, sentence, container, image, user, principal or host (any case)."""
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
    "principal": alerts.c.principal,
    "assignee": alerts.c.assignee,
}
_SEARCHED: Final = (
    alerts.c.title,
    alerts.c.sentence,
    alerts.c.container_name,
    alerts.c.container,
    alerts.c.image,
    alerts.c.user,
    alerts.c.principal,
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
    wanted = filters or AlertFilter()
    narrowed = {name for name in FACETS if wanted.include.get(name) or wanted.exclude.get(name)}
    # Those without filters of their own leave the same alerts, which are then looked for once.
    groups = [[name for name in FACETS if name not in narrowed], *([name] for name in sorted(narrowed))]
    found: dict[str, list[Facet]] = {}
    for names in groups:
        if names:
            found |= _counted(connection, names, conditions(wanted, leave_out=names[0]), top)
    return {name: found[name] for name in FACETS}


def _counted(
    connection: Connection, names: Sequence[str], where: Sequence[ColumnElement[bool]], top: int
) -> dict[str, list[Facet]]:
    """The facets `names` of the alerts that `where` leaves, by one statement."""
    columns = [_COLUMNS[name].label(name) for name in names if name != "detection"]
    matching = (
        select(alerts.c.id.label("alert"), *columns)
        .select_from(alerts.join(hosts, hosts.c.id == alerts.c.host))
        .where(*where)
        .cte("matching")
    )
    parts = [_counts(name, matching, top) for name in names]
    found: dict[str, list[Facet]] = {name: [] for name in names}
    for row in connection.execute(union_all(*parts)):
        found[row.facet].append({"value": row.value, "count": row.alerts})
    return {name: _ordered(name, values) for name, values in found.items()}


def _counts(name: str, matching: CTE, top: int) -> Select[Any]:
    """One facet of the alerts in `matching`."""
    value: ColumnElement[Any] = matching.c[name] if name != "detection" else findings.c.detection
    count: ColumnElement[int] = func.count()
    source: FromClause = matching
    if name == "detection":  # an alert may have several findings of one
        count = func.count(matching.c.alert.distinct())
        source = matching.join(findings, findings.c.alert == matching.c.alert)
    each = (
        select(cast(value, Text).label("value"), count.label("alerts"))
        .select_from(source)
        .group_by(value)
        .order_by(count.desc(), value)
        .limit(top)
        .subquery()
    )
    return select(literal(name).label("facet"), each.c.value, each.c.alerts)


def _ordered(name: str, values: list[Facet]) -> list[Facet]:
    """The commonest first, severities by gravity: a union keeps no order."""
    if name == "severity":
        by_level = sorted(values, key=lambda each: -int(each["value"] or 0))
        return [{"value": SEVERITIES[int(each["value"] or 0)], "count": each["count"]} for each in by_level]
    return sorted(values, key=lambda each: (-each["count"], each["value"] or ""))


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
