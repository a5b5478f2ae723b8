# SPDX-License-Identifier: Apache-2.0
"""Reading entries, attempts and escapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from controller.detect.sentence import sentence
from controller.store import api_attribution, attribution, principals, query
from controller.store.records_schema import api_attributions, attributions
from controller.store.schema import entries, hosts
from controller.store.views import MANY_PROBES, ApiRef, EntryView, RecordRef, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from sensor import wire


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What to list; every field that is set must hold. Times are ns."""

    host: str | None = None
    """Name or id."""
    container: str | None = None
    """Name, id, or the beginning of an id (12 characters or more)."""
    image: str | None = None
    means: str | None = None
    probes: bool = True
    """Also those by means "probe", where `means` is not set."""
    uid: int | None = None
    session: str | None = None
    principal: str | None = None
    """The name of whom it was by; "" where nobody is named."""
    kind: str | None = None
    """"entry", "attempt" or "escape"."""
    since: int | None = None
    until: int | None = None


_ROWS = (
    select(
        entries.c.body,
        entries.c.host,
        hosts.c.name,
        *attribution.COLUMNS,
        *api_attribution.COLUMNS,
        *principals.COLUMNS,
    )
    .join(hosts, hosts.c.id == entries.c.host)
    .join(attributions, attributions.c.entry == entries.c.id, isouter=True)
    .join(api_attributions, api_attributions.c.entry == entries.c.id, isouter=True)
    .join(principals.TABLE, principals.TABLE.c.session == entries.c.session, isouter=True)
)


def list_(
    connection: Connection,
    filters: EntryFilter | None = None,
    limit: int = 100,
    before: tuple[int, str] | None = None,
) -> list[EntryView]:
    """Newest first. `before` is the (time_ns, id) of the last one of the page before."""
    statement = _ROWS.where(*_conditions(filters or EntryFilter()))
    page = query.newest_first(statement, entries.c.time, entries.c.id, limit, before)
    return [_view(connection, row) for row in connection.execute(page).mappings().all()]


def probes(connection: Connection, filters: EntryFilter) -> int:
    """How many probes `list_` would return if it left out all else; counted up to `MANY_PROBES`."""
    wanted = replace(filters, means=None, probes=True)
    found = (
        select(entries.c.id).where(query.is_probe(entries.c.means), *_conditions(wanted)).limit(MANY_PROBES)
    )
    return connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def _conditions(wanted: EntryFilter) -> list[ColumnElement[bool]]:
    made = query.between(entries.c.time, wanted.since, wanted.until)
    for name in ("image", "means", "uid", "session", "kind"):
        value = getattr(wanted, name)
        if value is not None:
            made.append(entries.c[name] == value)
    if wanted.principal is not None:
        made.append(principals.named(entries.c.session, wanted.principal))
    if wanted.means is None and not wanted.probes:
        made.append(query.is_visit(entries.c.means))
    if wanted.host is not None:
        made.append(query.on_host(entries.c.host, wanted.host))
    if wanted.container is not None:
        made.append(query.is_container(entries.c.container, entries.c.container_name, wanted.container))
    return made


def show(connection: Connection, entry_id: str) -> EntryView | None:
    """One entry; None if there is none of this id."""
    row = connection.execute(_ROWS.where(entries.c.id == entry_id)).mappings().one_or_none()
    return None if row is None else _view(connection, row)


def _view(connection: Connection, row: RowMapping) -> EntryView:
    told = (attribution.view(row), api_attribution.view(connection, row), row["principal"])
    return view(row["body"], row["host"], row["name"], *told)


def view(
    body: Mapping[str, Any],
    host_id: str,
    host: str,
    record: RecordRef | None = None,
    api: ApiRef | None = None,
    principal: wire.Principal | None = None,
) -> EntryView:
    """The entry, attempt or escape `body`, its updates merged in, as people and programs read it."""
    return {
        "id": body["id"],
        "kind": body["kind"],
        "time": rfc3339(body["time"]),
        "time_ns": body["time"],
        "mono": body["mono"],
        "host": host,
        "host_id": host_id,
        "session": body["session"],
        "means": body["means"],
        "namespaces": body["namespaces"],
        "verdict": body.get("verdict"),
        "ns_container": body.get("ns_container"),
        "cgroup_container": body.get("cgroup_container"),
        "container": body["container"],
        "process": body.get("process"),
        "entered_by": body["entered_by"],
        "ancestry": body["ancestry"],
        "login": body["login"],
        "exec_id": body.get("exec_id"),
        "witnessed": body.get("witnessed", True),
        "principal": principal,
        "record": record,
        "api": api,
        "confidence": record and record["confidence"],
        "missing": body["missing"],
        "sentence": sentence(host, body, 0, record, api, principal),
    }
