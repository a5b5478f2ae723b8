# SPDX-License-Identifier: Apache-2.0
"""Execs that an API server was asked for, until a visit is found for each: as `unseen`, of pods.

The audit names the pod and never its node. Where no sensor has told of a container of that pod, its node has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, or_, select

from controller.detect import api_join, join, unseen
from controller.store import unseen_evidence
from controller.store.dialect import put_new
from controller.store.records import pod
from controller.store.records_schema import api_attributions, audit_sources, records
from controller.store.schema import containers, entries, hosts
from controller.store.unseen_table import unseen as table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, RowMapping

ANSWERED: Final = frozenset({"ResponseStarted", "ResponseComplete"})
TWICE_NS: Final = 2_000_000_000
"""Within it the same exec by the same user is one: kubectl of 1.31 and newer asks a server of 1.20 twice."""
NO_SENSOR: Final = "no sensor has ever told of a container of this pod: its node has none"
WAIT_NS: Final = join.DEADLINE_NS[0] + join.WINDOW_NS
"""How long a visit is waited for, by the controller's clock: a request is told when it is granted."""
MAX_POD: Final = 160
"""Characters of a pod with its namespace that are kept as the place of an exec."""
_t, _r, _p, _c, _e = table, records, api_attributions, containers, entries


def expect(connection: Connection, host: str, event: Mapping[str, Any], now: int) -> None:
    """A request came: of an exec that was granted a visit is awaited, by whichever source it is told first.

    A log that a host's sensor reads counts where somebody said that it does, as for the join.
    """
    request, where = event.get("request"), pod(event)
    if request is None or where is None or request["resource"] != "pods/exec":
        return
    if request["stage"] not in ANSWERED or (request["code"] or 0) >= 400 or not _believed(connection, host):
        return
    if connection.execute(select(_t.c.key).where(_t.c.key == request["id"]).limit(1)).first() is not None:
        return
    row = {
        "host": host,
        "key": request["id"],
        "record": event["id"],
        "container": where[:MAX_POD],
        "source": "kubernetes",
        "exec_id": event["exec_id"],
        "time": event["time"],
        "arrived": now,
        "due": now + WAIT_NS,
        "status": "awaited",
    }
    put_new(connection, _t, row)


def entered(connection: Connection, row: RowMapping) -> int | None:
    """When the visit that was asked for arrived, by the controller's clock; None while there is none."""
    revoked = select(hosts.c.id).where(hosts.c.id == row["host"], hosts.c.revoked.is_not(None))
    if connection.execute(revoked).first() is not None:
        return int(
            row["arrived"]
        )  # a cluster that was enrolled to try something, and whose word counts no more
    alike = [row["key"], *_twice(connection, row)]
    query = select(func.min(_p.c.arrived)).where(_p.c.request.in_(alike))
    arrived: int | None = connection.execute(query).scalar_one()
    if arrived is not None:
        return arrived
    # Who asks for what is declared as a probe, when it is due, is one to the sensor.
    near = _e.c.time.between(row["time"] - TWICE_NS, row["time"] + api_join.AFTER_NS)
    probes = select(_e.c.id).where(near, _e.c.means == "probe", _of_pod(_e.c.body["container"], row))
    return int(row["arrived"]) if connection.execute(probes.limit(1)).first() is not None else None


def evidence(connection: Connection, row: RowMapping) -> unseen.Evidence:
    """What is known around a request of which no visit was seen: of the node, where a sensor has told of the pod."""
    known = (
        select(_c.c.host, _c.c.id).where(_of_pod(_c.c.body["fields"], row)).order_by(_c.c.last_seen.desc())
    )
    nodes = connection.execute(known.limit(16)).all()
    if not nodes:
        return unseen.Evidence(time=row["time"], blind=NO_SENSOR)
    node = nodes[0].host
    runtimes = [unseen_evidence.runtime(connection, each.host, each.id) for each in nodes]
    return unseen.Evidence(
        time=row["time"],
        runtime=next((each for each in runtimes if unseen.sandbox(each)), None),
        codes=frozenset({0}),  # that it began is what the API server's answer says
        notes=unseen_evidence.notes(connection, node),
        lost=unseen_evidence.lost(connection, node, row["time"]),
    )


def _of_pod(container: ColumnElement[Any], row: RowMapping) -> ColumnElement[bool]:
    """A condition on a container's JSON; of a name that was cut nothing is found."""
    namespace, _, name = row["container"].partition("/")
    named, within = container["pod"]["name"].as_string(), container["pod"]["namespace"].as_string()
    return and_(named == name, within == namespace)


def _twice(connection: Connection, row: RowMapping) -> list[str]:
    """Other requests for the same exec by the same user."""
    mine = select(_r.c.user, _r.c.pod, _r.c.body).where(_r.c.host == row["host"], _r.c.id == row["record"])
    asked = connection.execute(mine).one_or_none()
    if asked is None:
        return []
    near = _r.c.time.between(row["time"] - TWICE_NS, row["time"] + TWICE_NS)
    query = (
        select(_r.c.request, _r.c.body).where(_r.c.pod == asked.pod, _r.c.user == asked.user, near).limit(64)
    )
    same = asked.body["command"]
    return [each.request for each in connection.execute(query) if each.body["command"] == same]


def _believed(connection: Connection, host: str) -> bool:
    query = (
        select(hosts.c.id)
        .join(audit_sources, audit_sources.c.host == hosts.c.id, isouter=True)
        .where(hosts.c.id == host, or_(hosts.c.kind == "cluster", audit_sources.c.trusted == 1))
        .limit(1)
    )
    return connection.execute(query).first() is not None
