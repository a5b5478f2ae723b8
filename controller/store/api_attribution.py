# SPDX-License-Identifier: Apache-2.0
"""Visits to pods and the requests to API servers that belong to them, kept: one row for each visit.

Beside the runtime's record (`attribution`), not instead of it: a kubelet asks containerd for every exec, whoever
asked the kubelet. The join itself is pure (`api_join`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from controller.detect import api_join, join
from controller.detect.api_join import Asked, Hearing, Wanted
from controller.store import audit_sources as audit_source
from controller.store.dialect import put
from controller.store.records import MAX_POD
from controller.store.records_schema import api_attributions, audit_sources, records
from controller.store.schema import hosts, sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from controller.detect.rule import Event
    from controller.store.views import ApiRef

MAX_NEAR: Final = 500
MAX_DUE: Final = 200
SPAN_NS: Final = 600 * 10**9
"""What of a pod is looked at together: more than clocks are usually wrong by."""
OF_A_VISIT: Final = frozenset({"pods/exec", "nodes/proxy"})
DEBUG: Final = "io.kubernetes.container.name"

_a, _r, _s = api_attributions, records, audit_sources
_FORGET: Final = _a.delete().where(_a.c.session.in_(bindparam("sessions", expanding=True)))


def pod_of(entry: Event) -> str | None:
    """The pod of a visit that an API server would have been asked for; None where none would."""
    pod = entry["container"]["pod"]
    if pod is None or entry["means"] not in api_join.MEANS:
        return None
    return f"{pod['namespace']}/{pod['name']}"[:MAX_POD].replace("\0", "\\x00")


def ask(connection: Connection, host: str, entry: Event, now: int) -> str | None:
    """A visit has come, or more is known of it: its pod, where a request is wanted (else `forget` it)."""
    key = _a.c.session == entry["session"]
    pod = pod_of(entry)
    if pod is None:
        return None
    row = connection.execute(select(_a).where(key)).mappings().one_or_none()
    if row is not None and (row["status"] == "recorded" or row["pod"] == pod):
        return pod
    hearings = _hearings(connection, host)
    status, reason = api_join.first(hearings)
    wait = max((join.deadline(each.delay) for each in hearings), default=0)
    process, container = entry.get("process"), entry["container"]
    whole = (
        process is not None and process["argv"] and not process["argv_cut"] and not process["argv_redacted"]
    )
    put(
        connection,
        _a,
        {
            "session": entry["session"],
            "host": host,
            "entry": entry["id"],
            "pod": pod,
            "container": container["labels"].get(DEBUG) or container["name"],
            "time": entry["time"],
            "command": " ".join(process["argv"]).replace("\0", "\\x00") if whole and process else None,
            "arrived": row["arrived"] if row else now,
            "due": now + wait if status == "awaited" else None,
            "status": status,
            "confidence": "none",
            "reason": reason,
            "sure": 0,
            "request": None,
            "source": None,
        },
    )
    return pod


def forget(connection: Connection, sessions: Sequence[str]) -> None:
    """No request is wanted of these visits, or not any more: a probe needs none."""
    if sessions:
        connection.execute(_FORGET, {"sessions": list(sessions)})


def settle(connection: Connection, pod: str, around: Sequence[int], now: int) -> set[str]:
    """Joins what came of one pod at the times `around` with what is there; the visits that changed."""
    span = (min(around) - SPAN_NS, max(around) + SPAN_NS)
    mine = (_a.c.pod == pod) & _a.c.time.between(*span)
    query = select(_a).where(mine).order_by(_a.c.time.desc()).limit(MAX_NEAR)
    rows = {row["session"]: row for row in connection.execute(query).mappings()}
    if not rows:
        return set()
    changed: set[str] = set()
    for host in {row["host"] for row in rows.values()}:
        asked = _asked(connection, pod, span, {each.source for each in _hearings(connection, host)})
        skew = _skew(connection, host)
        here = [row for row in rows.values() if row["host"] == host]
        wanted = [
            Wanted(row["session"], pod, row["container"], row["time"] - skew, row["command"]) for row in here
        ]
        pairs = api_join.assign(wanted, asked)
        by_request = {each.request: each for each in asked}
        for row in here:
            found = pairs.get(row["session"])
            if found is not None and (row["request"], row["confidence"]) != (found.key, found.confidence):
                _recorded(connection, row, found, by_request[found.key].source, now)
                changed.add(row["session"])
            elif found is None and row["request"] is not None:
                _taken_back(connection, row, now)  # another visit has the better claim
                changed.add(row["session"])
    return changed


def _recorded(connection: Connection, row: RowMapping, found: join.Pair, source: str, now: int) -> None:
    by = f"asked of the API server: {found.reason}"
    if row["status"] == "unrecorded":
        by += f"; its audit came {max(0, now - row['arrived']) / 1e9:.1f} s after the visit"
    values = {
        "status": "recorded", "confidence": found.confidence, "reason": by, "sure": 1,
        "request": found.key, "source": source, "due": None,
    }  # fmt: skip
    connection.execute(update(_a).where(_a.c.session == row["session"]).values(values))
    if found.confidence == "strong":
        unknown = (hosts.c.id == row["host"]) & hosts.c.cluster.is_distinct_from(source)
        connection.execute(update(hosts).where(unknown).values(cluster=source))


def _taken_back(connection: Connection, row: RowMapping, now: int) -> None:
    status, reason = api_join.first(_hearings(connection, row["host"]))
    due = now + join.DEADLINE_NS[0] if status == "awaited" else None
    nothing = {"confidence": "none", "sure": 0, "request": None, "source": None}
    values = {**nothing, "status": status, "reason": reason, "due": due}
    connection.execute(update(_a).where(_a.c.session == row["session"]).values(values))


def due(connection: Connection, now: int) -> bool:
    """Whether the time of some visit is up."""
    return connection.execute(select(_a.c.session).where(_a.c.due <= now).limit(1)).first() is not None


def decide(connection: Connection, now: int) -> list[str]:
    """Gives the verdict on visits whose time is up, a bounded number; the sessions.

    Where the audit tells of execs only when they have ended, it is waited for until then.
    """
    query = (
        select(_a, sessions.c.ended)
        .join(sessions, sessions.c.id == _a.c.session, isouter=True)
        .where(_a.c.due <= now)
        .order_by(_a.c.due)
        .limit(MAX_DUE)
    )
    decided = []
    for row in connection.execute(query).mappings().all():
        hearings = _hearings(connection, row["host"])
        wait = max((join.deadline(each.delay) for each in hearings), default=0)
        late = any(each.execs and not each.early for each in hearings)
        if late and row["ended"] is None:
            connection.execute(update(_a).where(_a.c.session == row["session"]).values(due=now + wait))
            continue
        status, reason, sure = api_join.last(row["arrived"], hearings)
        if status == "unrecorded" and (alike := _again(connection, row)):
            status, reason, sure = "unchecked", api_join.AGAIN, False
            taken_back = {"status": status, "reason": reason, "sure": 0}
            connection.execute(update(_a).where(_a.c.session.in_(alike)).values(taken_back))
            decided += alike
        values = {"status": status, "reason": reason, "sure": int(sure), "due": None}
        connection.execute(update(_a).where(_a.c.session == row["session"]).values(values))
        decided.append(row["session"])
    return decided


def _again(connection: Connection, row: RowMapping) -> list[str]:
    """The visits that were unrecorded and ran the same in the same container, where all of it was at one pace.

    A kubelet that probes and one that was asked past the API server do the same once; a probe goes on.
    """
    alike = (_a.c.host == row["host"]) & (_a.c.pod == row["pod"]) & (_a.c.status != "recorded")
    same = (_a.c.command == row["command"]) & _a.c.container.is_not_distinct_from(row["container"])
    near = _a.c.time.between(row["time"] - SPAN_NS, row["time"] + SPAN_NS)
    query = select(_a.c.session, _a.c.time, _a.c.status).where(alike, same, near).limit(MAX_NEAR)
    rows = connection.execute(query.order_by(_a.c.time.desc())).all()
    if not api_join.regular(each.time for each in rows):
        return []
    return [each.session for each in rows if each.status == "unrecorded"] or [row["session"]]


COLUMNS: Final = tuple(
    _a.c[name].label(f"api_{name}")
    for name in ("status", "confidence", "reason", "sure", "source", "request")
)
"""For a query that joins the table: what `view` takes."""
_SHOWN: Final = select(_a.c.session, *COLUMNS).where(_a.c.session.in_(bindparam("sessions", expanding=True)))


def of(connection: Connection, session: str) -> ApiRef | None:
    """What rules and pages see of a visit's request; None where none is wanted."""
    return of_all(connection, [session]).get(session)


def of_all(connection: Connection, wanted: Sequence[str]) -> dict[str, ApiRef | None]:
    """The same of many visits; those of which no request is wanted are not among them."""
    rows = connection.execute(_SHOWN, {"sessions": list(wanted)}).mappings().all()
    return {row["session"]: view(connection, row) for row in rows}


def view(connection: Connection, row: RowMapping) -> ApiRef | None:
    """What a row with COLUMNS says, with the request itself; None where its visit wants none."""
    if row["api_status"] is None:
        return None
    body: dict[str, Any] | None = None
    if row["api_request"] is not None:
        body = _latest(connection, row["api_source"], row["api_request"])
    named = select(hosts.c.name).where(hosts.c.id == row["api_source"])
    return {
        "status": row["api_status"],
        "confidence": row["api_confidence"],
        "reason": row["api_reason"],
        "sure": bool(row["api_sure"]),
        "cluster": connection.execute(named).scalar_one_or_none() if row["api_source"] else None,
        "action": body["action"] if body else None,
        "command": body["command"] if body else None,
        "audit_id": body["exec_id"] if body else None,
        "request": body["request"] if body else None,
    }


def _latest(connection: Connection, source: str, request: str) -> dict[str, Any] | None:
    """The record of a request's latest stage: whom it was made as is known only then."""
    query = select(_r.c.body).where(_r.c.request == request, _r.c.host == source).limit(8)
    told = sorted(connection.execute(query).scalars(), key=lambda body: (body["request"]["said"], body["id"]))
    return told[-1] if told else None


def _asked(connection: Connection, pod: str, span: tuple[int, int], heard: set[str]) -> list[Asked]:
    """The requests for a pod, by the word of those who are `heard`; what is told of each put together."""
    near = (_r.c.pod == pod) & _r.c.time.between(*span) & _r.c.host.in_(heard)
    query = select(_r.c.host, _r.c.body).where(near).order_by(_r.c.time.desc()).limit(3 * MAX_NEAR)
    ahead: dict[str, int] = {}
    for row in connection.execute(select(_s.c.host, _s.c.ahead, _s.c.behind)):
        off = row.ahead or -audit_source.lag(row.behind)
        ahead[row.host] = max(ahead.get(row.host, off), off)
    found: dict[str, Asked] = {}
    for host, body in connection.execute(query):
        request = body["request"]
        if request["resource"] not in OF_A_VISIT:
            continue
        before = found.get(request["id"])
        found[request["id"]] = Asked(
            request=request["id"],
            source=min(host, before.source) if before else host,
            pod=pod,
            container=request["container"],
            time=body["time"] - ahead.get(host, 0),
            command=body["command"] if request["whole"] else None,
            refused=(request["code"] or 0) >= 400 or (before is not None and before.refused),
        )
    return list(found.values())


def _hearings(connection: Connection, host: str) -> list[Hearing]:
    """Whose audits may tell of what happens on a host: clusters, and what its own sensor reads.

    What other hosts' sensors read of a log counts where somebody said that it does (`audit_sources.trust`): else root
    of any node could have its sensor tell what hides what he does on others.
    """
    learned = connection.execute(select(hosts.c.cluster).where(hosts.c.id == host)).scalar_one_or_none()
    query = (
        select(_s, hosts.c.name, hosts.c.kind, hosts.c.revoked)
        .join(hosts, hosts.c.id == _s.c.host)
        .order_by(_s.c.host)
    )
    found = []
    for row in connection.execute(query).mappings():
        cluster = row["kind"] == "cluster" and row["revoked"] is None
        if row["host"] != host and not cluster and not row["trusted"]:
            continue
        found.append(
            Hearing(
                name=row["name"],
                mine=row["host"] in {host, learned},
                execs=row["execs"] is not None,
                early=row["early"] is not None,
                source=row["host"],
                **{name: row[name] for name in ("since", "heard", "away", "delay", "gap")},
            )
        )
    return found


def _skew(connection: Connection, host: str) -> int:
    """How far a host's clock is before the controller's: what is less than a second is the way of its messages."""
    skew = connection.execute(select(hosts.c.skew).where(hosts.c.id == host)).scalar_one_or_none() or 0
    return skew if abs(skew) > 10**9 else 0
