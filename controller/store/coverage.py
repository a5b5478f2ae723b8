# SPDX-License-Identifier: Apache-2.0
"""Where we are blind: execs that a runtime told of and no sensor saw, and how well each source is heard."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, func, select

from controller.store import hearing, query
from controller.store.records_schema import record_sources, records
from controller.store.schema import containers, hosts
from controller.store.unseen_table import unseen
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

SAMPLE: Final = 1000
"""Latest sayings of a source from which its usual delay is told."""
_u, _s, _r = unseen, record_sources, records


class UnseenView(TypedDict):
    """An exec that a runtime told of. `status`: unseen, failed (no blind spot), or seen (its entry came later)."""

    time: str
    time_ns: int
    host: str
    host_id: str
    container: str
    container_name: str | None
    source: str
    exec_id: str | None
    record: str
    status: str
    cause: str | None
    reason: str | None


class SourceView(TypedDict):
    """A record source of a host, and how well it is heard. Nanoseconds, where the name says so."""

    host: str
    host_id: str
    place: str
    source: str
    owner: int
    since: str
    """From when on nothing that it said was missed, as far as that is known."""
    since_ns: int
    away: str | None
    away_ns: int | None
    last: str | None
    """What it said last, by its own clock."""
    last_ns: int | None
    told: int
    """Sayings that are kept of this kind of source on this host."""
    restarts: int
    """How often it went away."""
    gaps: int
    """How often something of what it said could not be read, or was not kept by it."""
    last_gap: str | None
    last_gap_reason: str | None
    delay_p50_ns: int | None
    """From its saying to the sensor's reading, of the latest; what was caught up after a gap is left out."""
    delay_p99_ns: int | None
    ahead_ns: int
    """How far its clock is before the host's, at least."""
    record_delay_ns: int
    """How late its records come to the controller after the visits, learned: three times that is waited for."""
    entry_delay_ns: int
    """How late the visits come after its records."""
    degraded: list[str]


@dataclass(frozen=True, slots=True)
class UnseenFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    container: str | None = None
    cause: str | None = None
    status: str | None = None
    since: int | None = None
    until: int | None = None


def list_(
    connection: Connection,
    filters: UnseenFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[UnseenView]:
    """Newest first, what still waits left out. `before` is the (time_ns, record) of the last one before."""
    wanted = filters or UnseenFilter()
    found = [*query.between(_u.c.time, wanted.since, wanted.until), _u.c.status != "awaited"]
    chosen = {"cause": wanted.cause, "status": wanted.status}
    found += [_u.c[name] == value for name, value in chosen.items() if value is not None]
    if wanted.host is not None:
        found.append(query.on_host(_u.c.host, wanted.host))
    if wanted.container is not None:
        found.append(query.is_container(_u.c.container, containers.c.name, wanted.container))
    statement = (
        select(_u, hosts.c.name.label("host_name"), containers.c.name.label("container_name"))
        .join(hosts, hosts.c.id == _u.c.host)
        .join(
            containers, and_(containers.c.host == _u.c.host, containers.c.id == _u.c.container), isouter=True
        )
        .where(*found)
    )
    page = query.newest_first(statement, _u.c.time, _u.c.record, limit, before)
    return [_unseen(row) for row in connection.execute(page).mappings()]


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """By name of the host and status or cause: how many of those that are kept."""
    what = func.coalesce(_u.c.cause, _u.c.status).label("what")
    grouped = (
        select(hosts.c.name, _u.c.status, what, func.count().label("many"))
        .join(hosts, hosts.c.id == _u.c.host)
        .group_by(hosts.c.name, _u.c.status, what)
        .order_by(hosts.c.name)
    )
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(grouped):
        name = row.what if row.status == "unseen" else row.status
        of_host = found.setdefault(row.name, {})
        of_host[name] = of_host.get(name, 0) + row.many
    return found


def sources(connection: Connection, host: str | None = None) -> list[SourceView]:
    """Every record source by host and place; `host`: only of this one, by name or id."""
    statement = select(_s, hosts.c.name.label("host_name")).join(hosts, hosts.c.id == _s.c.host)
    if host is not None:
        statement = statement.where(query.on_host(_s.c.host, host))
    rows = connection.execute(statement.order_by(hosts.c.name, _s.c.place)).mappings().all()
    return [_source(connection, row) for row in rows]


def quantile(ordered: Sequence[int], share: float) -> int | None:
    """The smallest of `ordered` that `share` of them do not exceed; None of none."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


def _source(connection: Connection, row: RowMapping) -> SourceView:
    mine = and_(_r.c.host == row["host"], _r.c.place == row["place"])
    by_action = (
        select(_r.c.action, func.count())
        .where(mine, _r.c.action.in_(("source_up", "source_away", "source_gap")))
        .group_by(_r.c.action)
    )
    of_it: dict[str, int] = {action: count for action, count in connection.execute(by_action)}  # noqa: C416
    up, gap = _latest(connection, row, "source_up"), _latest(connection, row, "source_gap")
    said = select(_r.c.time, _r.c.body).where(mine, _r.c.action.not_like("source\\_%", escape="\\"))
    latest = connection.execute(said.order_by(_r.c.time.desc()).limit(SAMPLE)).all()
    begun = up["time"] if up else 0
    late = sorted(each.body["read"] - each.time for each in latest if each.body["read"] >= begun <= each.time)
    view: SourceView = {
        "host": row["host_name"],
        "host_id": row["host"],
        "place": row["place"],
        "source": row["source"],
        "owner": row["owner"],
        "since": rfc3339(row["since"]),
        "since_ns": row["since"],
        "away": rfc3339(row["away"]),
        "away_ns": row["away"],
        "last": rfc3339(latest[0].time) if latest else None,
        "last_ns": latest[0].time if latest else None,
        "told": connection.execute(select(func.count()).where(mine)).scalar_one(),
        "restarts": of_it.get("source_away", 0),
        "gaps": of_it.get("source_gap", 0),
        "last_gap": rfc3339(gap["time"]) if gap else None,
        "last_gap_reason": gap["detail"].get("why") if gap else None,
        "delay_p50_ns": quantile(late, 0.5),
        "delay_p99_ns": quantile(late, 0.99),
        "ahead_ns": max(0, -late[0]) if late else 0,
        "record_delay_ns": row["delay"],
        "entry_delay_ns": row["entry_delay"],
        "degraded": [],
    }
    view["degraded"] = [*_away(view), *hearing.amiss(dict(row), time.time_ns())]
    return view


def _latest(connection: Connection, row: RowMapping, action: str) -> dict[str, Any] | None:
    same = and_(_r.c.host == row["host"], _r.c.place == row["place"], _r.c.action == action)
    found: dict[str, Any] | None = (
        connection.execute(select(_r.c.body).where(same).order_by(_r.c.time.desc()).limit(1))
        .scalars()
        .first()
    )
    return found


def _away(source: SourceView) -> list[str]:
    if source["away"] is None:
        return []
    since = f"{source['away'][:19]}Z"
    return [f"{source['source']} at {source['place']} is not listened to since {since}"]


def _unseen(row: RowMapping) -> UnseenView:
    return {
        "time": rfc3339(row["time"]),
        "time_ns": row["time"],
        "host": row["host_name"],
        "host_id": row["host"],
        "container": row["container"],
        "container_name": row["container"] if row["source"] == "kubernetes" else row["container_name"],
        "source": row["source"],
        "exec_id": row["exec_id"],
        "record": row["record"],
        "status": row["status"],
        "cause": row["cause"],
        "reason": row["reason"],
    }
