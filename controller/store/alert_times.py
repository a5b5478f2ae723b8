# SPDX-License-Identifier: Apache-2.0
"""When alerts were last seen: how many in each stretch of a range, for the drawing above the list (Q6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from controller.store.alert_filter import AlertFilter, conditions
from controller.store.schema import alerts, hosts
from controller.store.views import SEVERITIES, Stretch, rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Connection

STRETCHES: Final = 60
"""Into how many a range is divided."""

_FROM = alerts.join(hosts, hosts.c.id == alerts.c.host)


def over_time(connection: Connection, filters: AlertFilter, now: int) -> list[Stretch]:
    """The STRETCHES of the range that is asked for, by default from the first alert to `now` (ns), in order.

    Empty when no alert matches. A stretch is at least a second long.
    """
    where = conditions(filters)
    first, last = connection.execute(
        select(func.min(alerts.c.last_seen), func.max(alerts.c.last_seen)).select_from(_FROM).where(*where)
    ).one()
    if first is None:
        return []
    start = first if filters.since is None else filters.since
    end = max(now, last + 1) if filters.until is None else filters.until  # a host's clock may be ahead
    width = max(-(-(end - start) // STRETCHES), 1_000_000_000)
    number = (alerts.c.last_seen - start) // width
    rows = connection.execute(
        select(number, func.count(), func.max(alerts.c.severity))
        .select_from(_FROM)
        .where(*where)
        .group_by(number)
    )
    found = {int(at): (count, SEVERITIES[worst]) for at, count, worst in rows}
    return [_stretch(start + at * width, width, *found.get(at, (0, None))) for at in range(STRETCHES)]


def _stretch(start: int, width: int, count: int, worst: str | None) -> Stretch:
    return {
        "start": rfc3339(start),
        "start_ns": start,
        "end": rfc3339(start + width),
        "end_ns": start + width,
        "count": count,
        "worst": worst,
    }
