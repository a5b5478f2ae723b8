# SPDX-License-Identifier: Apache-2.0
"""What rules with a memory of their own, such as Sigma's correlations, had seen before the controller began again.

They are shown the latest events that were dealt with, as far back as they remember, and what they say is left aside: it
was found then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, select

from controller.detect import alerts, asking, own, visits
from controller.detect.rule import JUDGED, Visit
from controller.store.completion import completed_all
from controller.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from controller.detect.catalogue import Detection
    from controller.detect.rule import Event

log = logging.getLogger(__name__)

MOST: Final = 20_000
"""Events that are shown again at most, the latest: what it takes at a start is bounded."""


class _Shown(NamedTuple):
    time: int
    event: Event
    visit: Visit


def warm(connection: Connection, detections: Sequence[Detection], position: int) -> int:
    """Shows them what they remember of the events up to `position`; how many events that were."""
    remembering = [each for each in detections if each.remembers]
    if not remembering:
        return 0
    newest = connection.execute(select(func.max(events.c.time)).where(events.c.seq <= position)).scalar_one()
    span, kinds = (
        max(each.span for each in remembering),
        frozenset().union(*(each.remembers for each in remembering)),
    )
    shown = sorted(_shown(connection, kinds, (newest or 0) - span, position), key=lambda each: each.time)
    for each in remembering:
        for one in shown:
            if one.event["kind"] in each.remembers and one.time >= (newest or 0) - each.span:
                _show(each, one)
    return len(shown)


def _show(detection: Detection, shown: _Shown) -> None:
    try:
        detection.rule(shown.visit, shown.event)
    except Exception:  # as the engine does: a rule's trouble is its own
        log.exception("detection %s failed on event %s of before", detection.id, shown.event["id"])


def _shown(connection: Connection, kinds: frozenset[str], since: int, position: int) -> Iterator[_Shown]:
    window = (events.c.seq <= position) & (events.c.time >= since) & events.c.kind.in_(kinds)
    query = select(events.c.host, events.c.session, events.c.body).where(window)
    rows = connection.execute(query.order_by(events.c.seq.desc()).limit(MOST)).all()[::-1]
    whole = [body for body, _ in completed_all(connection, [row.body for row in rows])]
    known = own.Own()
    inside: dict[str, dict[str, tuple[Visit, Event]]] = {}
    for row, event in zip(rows, whole, strict=True):
        if row.session is not None:
            if row.session not in inside:
                visited = visits.load(connection, row.session, position + 1)
                inside[row.session] = {judged["id"]: (visit, judged) for visit, judged in visited.judged()}
            visit, judged = inside[row.session].get(event["id"], (Visit(row.session, None), event))
            if event["kind"] not in JUDGED or event["id"] in inside[row.session]:
                yield _Shown(event["time"], judged, visit)
        elif event["kind"] == "activity":
            acted = known.known(connection, row.host, event)
            yield _Shown(event["time"], acted, Visit(alerts.subject(row.host, acted), None))
        elif event["kind"] == "record" and asking.speaks(connection, event):
            asked = asking.known(connection, row.host, event)
            yield _Shown(event["time"], asked, Visit(asking.subject(row.host, asked), None))
