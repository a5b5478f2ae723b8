# SPDX-License-Identifier: Apache-2.0
"""Reading sessions: who is or was inside, and everything that happened there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, select

from controller.detect.sentence import sentence
from controller.store import (
    api_attribution,
    approvals,
    attribution,
    connections,
    entries,
    principals,
    query,
    records_schema,
    schema,
    withheld,
)
from controller.store.completion import completed_all
from controller.store.views import (
    MANY_PROBES,
    EntryView,
    EventView,
    Execution,
    SessionRow,
    SessionView,
    rfc3339,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

SHOWN_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    container: str | None = None
    means: str | None = None
    principal: str | None = None
    """The name of whom it was by; "" where nobody is named."""
    probes: bool = True
    """Also those by means "probe", where `means` is not set."""
    open_only: bool = False
    """Only sessions that have not ended."""
    since: int | None = None
    until: int | None = None


_s, _e, _events = schema.sessions, schema.entries, schema.events

_ROWS = (
    select(
        _s,
        schema.hosts.c.name.label("host_name"),
        _e.c.body.label("opened_by"),
        schema.alerts.c.id.label("alert"),
        *attribution.COLUMNS,
        *api_attribution.COLUMNS,
        *principals.COLUMNS,
        select(func.count())
        .where(_events.c.session == _s.c.id, _events.c.kind == "command")
        .scalar_subquery()
        .label("commands"),
    )
    .join(schema.hosts, schema.hosts.c.id == _s.c.host)
    .join(_e, _e.c.id == _s.c.entry, isouter=True)
    .join(schema.alerts, schema.alerts.c.session == _s.c.id, isouter=True)
    .join(records_schema.attributions, records_schema.attributions.c.session == _s.c.id, isouter=True)
    .join(records_schema.api_attributions, records_schema.api_attributions.c.session == _s.c.id, isouter=True)
    .join(principals.TABLE, principals.TABLE.c.session == _s.c.id, isouter=True)
)


def list_(
    connection: Connection,
    filters: SessionFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[SessionRow]:
    """Newest first by `began`. `before` is the (began_ns, id) of the last one of the page before."""
    page = query.newest_first(
        _ROWS.where(*_conditions(filters or SessionFilter())), _s.c.began, _s.c.id, limit, before
    )
    rows = connection.execute(page).mappings().all()
    return [_row(row, _opened_by(connection, row)) for row in rows]


def probes(connection: Connection, filters: SessionFilter) -> int:
    """How many probes `list_` would return if it left out all else; counted up to `MANY_PROBES`."""
    wanted = replace(filters, means=None, probes=True)
    found = (
        select(_s.c.id)
        .join(_e, _e.c.id == _s.c.entry, isouter=True)
        .where(query.is_probe(_s.c.means), *_conditions(wanted))
        .limit(MANY_PROBES)
    )
    return connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def _conditions(wanted: SessionFilter) -> list[ColumnElement[bool]]:
    made = query.between(_s.c.began, wanted.since, wanted.until)
    if wanted.host is not None:
        made.append(query.on_host(_s.c.host, wanted.host))
    if wanted.container is not None:
        made.append(query.is_container(_s.c.container, _e.c.container_name, wanted.container))
    if wanted.means is not None:
        made.append(_s.c.means == wanted.means)
    elif not wanted.probes:
        made.append(query.is_visit(_s.c.means))
    if wanted.principal is not None:
        made.append(principals.named(_s.c.id, wanted.principal))
    if wanted.open_only:
        made.append(_s.c.ended.is_(None))
    return made


def show(connection: Connection, session_id: str, max_events: int = SHOWN_EVENTS) -> SessionView | None:
    """One session with its first `max_events` events; None if there is none of this id."""
    row = connection.execute(_ROWS.where(_s.c.id == session_id)).mappings().one_or_none()
    if row is None:
        return None
    of_session = _events.c.session == session_id
    stored = connection.execute(
        select(_events.c.body, _events.c.received)
        .where(of_session)
        .order_by(_events.c.mono, _events.c.seq)
        .limit(max_events)
    ).all()
    total = connection.execute(select(func.count()).where(of_session)).scalar_one()
    bodies = [body for body, _ in completed_all(connection, [each.body for each in stored])]
    opened_by = _opened_by(connection, row)
    return {
        **_row(row, opened_by),
        "opened_by": opened_by,
        "executions": executions(bodies),
        "connections": connections.of_visit(connection, row["host"], bodies),
        "events": [_event(body, each.received) for body, each in zip(bodies, stored, strict=True)],
        "events_left_out": total - len(bodies),
        "approval": approvals.of_visit(connection, session_id),
        "withheld": withheld.of_visit(connection, session_id),
    }


def executions(bodies: Sequence[Mapping[str, Any]]) -> list[Execution]:
    """What was executed, in the order of `bodies`; an end belongs to the latest program of its process."""
    made: list[Execution] = []
    running: dict[tuple[int, int], Execution] = {}
    for body in bodies:
        if body["kind"] in {"entry", "command"} or opens_by_escape(body):
            execution = _execution(body)
            made.append(execution)
            process = body["process"]["pid"], body["process"]["start"]
            if (before := running.get(process)) is not None:
                before["replaced_by"] = execution["event"]
            running[process] = execution
        elif body["kind"] == "exit":
            ended = running.pop((body["pid"], body["start"]), None)
            if ended is not None:
                ended["ended"], ended["ended_ns"] = rfc3339(body["time"]), body["time"]
                ended["code"], ended["signal"] = body["code"], body["signal"]
    return made


def opens_by_escape(body: Mapping[str, Any]) -> bool:
    """Whether it is an escape that opened its session by a program; out of one, a command tells the program."""
    return body["kind"] == "escape" and body["session"] == body["id"] and body["process"] is not None


def _execution(body: Mapping[str, Any]) -> Execution:
    return {
        "event": body["id"],
        "time": rfc3339(body["time"]),
        "time_ns": body["time"],
        "mono": body["mono"],
        "process": body["process"],
        "parent": body.get("parent"),
        "ended": None,
        "ended_ns": None,
        "code": None,
        "signal": None,
        "replaced_by": None,
    }


def _event(body: Mapping[str, Any], received: int) -> EventView:
    times = {
        "time": rfc3339(body["time"]),
        "time_ns": body["time"],
        "received": rfc3339(received),
        "received_ns": received,
    }
    return cast("EventView", {**body, **times})


def _opened_by(connection: Connection, row: RowMapping) -> EntryView | None:
    if not row["opened_by"]:
        return None
    told = (attribution.view(row), api_attribution.view(connection, row), row["principal"])
    return entries.view(row["opened_by"], row["host"], row["host_name"], *told)


def _row(row: RowMapping, opened_by: EntryView | None) -> SessionRow:
    container = opened_by["container"] if opened_by else None
    return {
        "id": row["id"],
        "host": row["host_name"],
        "host_id": row["host"],
        "began": rfc3339(row["began"]),
        "began_ns": row["began"],
        "ended": rfc3339(row["ended"]),
        "ended_ns": row["ended"],
        "duration_ns": row["duration"],
        "code": row["code"],
        "signal": row["signal"],
        "commands": row["commands"],
        "means": row["means"],
        "entry": row["entry"],
        "container": {
            "id": container["id"] if container else None,
            "name": container["name"] if container else None,
            "image": container["image"] if container else None,
        },
        "process": opened_by["process"] if opened_by else None,
        "principal": row["principal"],
        "sentence": sentence(
            row["host_name"],
            row["opened_by"],
            row["commands"],
            attribution.view(row),
            opened_by["api"] if opened_by else None,
            row["principal"],
        ),
        "alert": row["alert"],
    }
