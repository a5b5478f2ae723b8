# SPDX-License-Identifier: Apache-2.0
"""Visits and the records that belong to them, kept: one row for each visit, as the join has it by now.

The join itself is pure (`join`). What is here brings it the visits and the sayings of one container that could
belong together, keeps what came out, and finds the visits whose time is up.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, exists, func, literal, select, update

from controller.detect import join
from controller.store import listening
from controller.store.dialect import put_all
from controller.store.records_schema import attributions, record_sources, records
from controller.store.schema import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import BindParameter, Connection, RowMapping

    from controller.detect.rule import Event
    from controller.store.views import RecordRef

MAX_NEAR: Final = 500
"""Visits, and sayings, of one container that are looked at together; the latest."""
MAX_DUE: Final = 200
OF_AN_EXEC: Final = ("exec_create", "exec_start", "exec_die")

Found = tuple["RowMapping", join.Pair, join.Told]
"""A visit's row, and which record it is found to have."""
_a, _s, _r = attributions, record_sources, records
COLUMNS: Final = tuple(
    _a.c[name].label(f"record_{name}") for name in ("status", "confidence", "reason", "source", "exec_id")
)
"""For a query that joins the table: what `view` takes."""

_THEM: Final = select(_a).where(_a.c.session.in_(bindparam("sessions", expanding=True)))
_SHOWN: Final = select(_a.c.session, *COLUMNS).where(_a.c.session.in_(bindparam("sessions", expanding=True)))
_SPAN: Final[tuple[BindParameter[int], BindParameter[int]]] = (bindparam("first"), bindparam("last"))
_HERE: Final = (
    _a.c.host == bindparam("host"),
    _a.c.container == bindparam("container"),
    _a.c.time.between(*_SPAN),
)
_NEAR: Final = select(_a).where(*_HERE, _a.c.confidence != "exact").order_by(_a.c.time.desc()).limit(MAX_NEAR)
ROOT: Final = "0/"
"""What the key of an exec begins with that root's own daemon told of."""
_USERS: Final = select(_a.c.told).where(*_HERE, _a.c.confidence == "exact", _a.c.told.not_like(f"{ROOT}%"))
_FINAL: Final = (
    exists()
    .where(
        _a.c.host == _r.c.host,
        _a.c.told == literal(ROOT) + func.coalesce(_r.c.exec_id, _r.c.key),
        _a.c.confidence == "exact",
    )
    .correlate(_r)
)
"""What was said is of a visit for good: not read again with each that comes after."""
_SAID: Final = (
    select(_r.c.body)
    .where(
        _r.c.host == bindparam("host"),
        _r.c.container == bindparam("container"),
        _r.c.time.between(*_SPAN),
        _r.c.action.in_(OF_AN_EXEC),
        ~_FINAL,
    )
    .order_by(_r.c.time.desc())
    .limit(3 * MAX_NEAR)
)
_WRITTEN: Final = ("status", "confidence", "reason", "told", "source", "due")
_RECORDED: Final = (
    update(_a).where(_a.c.session == bindparam("of")).values({name: bindparam(name) for name in _WRITTEN})
)
_IS_DUE: Final = select(_a.c.session).where(_a.c.due <= bindparam("now")).limit(1)
_DUE: Final = select(_a).where(_a.c.due <= bindparam("now")).order_by(_a.c.due).limit(MAX_DUE)


def wanted(entry: Event) -> join.Wanted:
    """A visit's entry or attempt, for the join."""
    process = entry.get("process")
    whole = (
        process is not None and process["argv"] and not process["argv_cut"] and not process["argv_redacted"]
    )
    return join.Wanted(
        session=entry["session"],
        means=entry["means"],
        container=entry["container"]["id"],
        time=entry["time"],
        exec_id=entry["exec_id"],
        pid=process["pid"] if process is not None else None,
        command=" ".join(process["argv"]) if whole and process is not None else None,
        uid=entry["entered_by"]["uid"],
        runtime=entry["container"]["runtime"],
    )


def ask_all(connection: Connection, host: str, entries: Sequence[Event], now: int) -> None:
    """Visits have come, or more is known of them. One that is a probe needs no record: it is declared."""
    rows: dict[str, Mapping[str, Any]] = {}
    sessions = [each["session"] for each in entries]
    for first in range(0, len(sessions), MAX_NEAR):
        asked = {"sessions": sessions[first : first + MAX_NEAR]}
        rows |= {row["session"]: row for row in connection.execute(_THEM, asked).mappings()}
    heard = listening.sources(connection, host)
    probes: set[str] = set()
    new: dict[str, dict[str, Any]] = {}
    for entry in entries:
        session = entry["session"]
        if entry["means"] == "probe":
            probes.add(session)
            new.pop(session, None)
            continue
        row = new.get(session, rows.get(session))
        visit = wanted(entry)
        same = row is not None and (row["means"], row["container"]) == (visit.means, visit.container)
        nobody_tells = visit.runtime == "cri-o"  # which may be learned late
        if row is None or (row["status"] != "recorded" and (not same or nobody_tells)):
            new[session] = _asked(host, entry, visit, heard, row["arrived"] if row else now, now)
    if probes:
        connection.execute(_a.delete().where(_a.c.session.in_(sorted(probes))))
    put_all(connection, _a, list(new.values()))


def _asked(
    host: str, entry: Event, visit: join.Wanted, heard: Sequence[join.Listening], arrived: int, now: int
) -> dict[str, Any]:
    """The row of a visit before any record is known."""
    status, reason = join.first(visit, heard)
    delay = max((each.delay for each in heard if each.source == join.SOURCES.get(visit.means)), default=0)
    return {
        "session": visit.session,
        "host": host,
        "entry": entry["id"],
        "container": visit.container,
        "time": visit.time,
        "means": visit.means,
        "exec_id": visit.exec_id,
        "pid": visit.pid,
        "command": visit.command,
        "uid": visit.uid,
        "arrived": arrived,
        "due": now + join.deadline(delay) if status == "awaited" else None,
        "status": status,
        "confidence": "none",
        "reason": reason,
        "told": None,
        "source": None,
    }


def settle_all(
    connection: Connection, host: str, near: Mapping[str, Sequence[Sequence[int]]], now: int
) -> set[str]:
    """Joins what came of the containers of a host at these times with what is there; the visits that changed.

    `near` has for each container groups of times that lie apart.
    """
    changed: set[str] = set()
    for groups in zip_longest(*near.values()):
        found: list[Found] = []
        for container, around in zip(near, groups, strict=True):
            if around is not None:
                changed |= _settle(connection, host, container, around, found, now)
        # Before the next group of the same container, which may look at these visits too.
        if found:
            connection.execute(_RECORDED, [_recorded(*each, now) for each in found])
        late = ((told.source, max(0, now - row["arrived"])) for row, _, told in found)
        listening.learn(connection, host, late)
    return changed


def _settle(
    connection: Connection, host: str, container: str, around: Sequence[int], found: list[Found], now: int
) -> set[str]:
    """One container: adds to `found` what is recorded; the visits that changed."""
    span = (min(around) - join.EXACT_WINDOW_NS, max(around) + join.EXACT_WINDOW_NS)
    where = {"host": host, "container": container, "first": span[0], "last": span[1]}
    open_ = {row["session"]: row for row in connection.execute(_NEAR, where).mappings()}
    if not open_:
        return set()
    final = set(connection.execute(_USERS, where).scalars())
    told = [each for each in _told(connection, host, container, span) if each.key not in final]
    pairs = join.assign([_wanted(row) for row in open_.values()], told)
    by_key = {each.key: each for each in told}
    changed = set()
    for session, row in open_.items():
        pair = pairs.get(session)
        if pair is not None and (row["told"], row["confidence"]) != (pair.key, pair.confidence):
            found.append((row, pair, by_key[pair.key]))
            changed.add(session)
        elif pair is None and row["told"] is not None:
            _taken_back(connection, row, now)  # another visit has the better claim
            changed.add(session)
    return changed


def _recorded(row: RowMapping, pair: join.Pair, told: join.Told, now: int) -> dict[str, Any]:
    by = f"recorded by {told.source}: {pair.reason}"
    if row["status"] == "unrecorded":
        by += f"; the record came {max(0, now - row['arrived']) / 1e9:.1f} s after the visit"
    return {
        "of": row["session"],
        "status": "recorded",
        "confidence": pair.confidence,
        "reason": by,
        "told": pair.key,
        "source": told.source,
        "due": None,
    }


def _taken_back(connection: Connection, row: RowMapping, now: int) -> None:
    status, reason = join.first(_wanted(row), listening.sources(connection, row["host"]))
    values = {
        "status": status,
        "confidence": "none",
        "reason": reason,
        "told": None,
        "source": None,
        "due": now + join.DEADLINE_NS[0] if status == "awaited" else None,
    }
    connection.execute(update(_a).where(_a.c.session == row["session"]).values(values))


def due(connection: Connection, now: int) -> bool:
    """Whether the time of some visit is up."""
    return connection.execute(_IS_DUE, {"now": now}).first() is not None


def decide(connection: Connection, now: int) -> list[str]:
    """Gives the verdict on visits whose time is up, a bounded number; the sessions."""
    decided = []
    for row in connection.execute(_DUE, {"now": now}).mappings().all():
        heard = listening.sources(connection, row["host"])
        status, reason = join.last(_wanted(row), heard, _lost(connection, row["host"], row["time"]))
        values = {"status": status, "reason": reason, "due": None}
        connection.execute(update(_a).where(_a.c.session == row["session"]).values(values))
        decided.append(row["session"])
    return decided


def of_execs(connection: Connection, host: str, execs: Iterable[str]) -> list[str]:
    """The visits that are these execs, by the runtime's own ids."""
    query = select(_a.c.session).where(_a.c.host == host, _a.c.exec_id.in_(sorted(execs)))
    return list(connection.execute(query).scalars())


def hosts_of(connection: Connection, found: Iterable[str]) -> dict[str, list[str]]:
    """Visits by their host."""
    by_host: dict[str, list[str]] = {}
    query = select(_a.c.host, _a.c.session).where(_a.c.session.in_(sorted(found)))
    for row in connection.execute(query):
        by_host.setdefault(row.host, []).append(row.session)
    return by_host


def of(connection: Connection, session: str) -> RecordRef | None:
    """What rules and pages see of a visit's record; None where none is wanted."""
    return of_all(connection, [session]).get(session)


def of_all(connection: Connection, wanted: Sequence[str]) -> dict[str, RecordRef | None]:
    """The same of many visits; those of which no record is wanted are not among them."""
    rows = connection.execute(_SHOWN, {"sessions": list(wanted)}).mappings()
    return {row["session"]: view(row) for row in rows}


def view(row: RowMapping) -> RecordRef | None:
    """What a row with COLUMNS says; None where its visit has no attribution."""
    if row["record_status"] is None:
        return None
    return {
        "status": row["record_status"],
        "confidence": row["record_confidence"],
        "reason": row["record_reason"],
        "source": row["record_source"],
        "exec_id": row["record_exec_id"],
    }


def _wanted(row: RowMapping) -> join.Wanted:
    names = ("session", "means", "container", "time", "exec_id", "pid", "command", "uid")
    return join.Wanted(**{name: row[name] for name in names})


def _told(connection: Connection, host: str, container: str, span: tuple[int, int]) -> Iterable[join.Told]:
    """What was said of each exec of a container, its sayings put together."""
    where = {"host": host, "container": container, "first": span[0], "last": span[1]}
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for body in connection.execute(_SAID, where).scalars():
        if body["action"] == "exec_die" and body["exec_id"] is None:
            continue  # podman's, of an exec whose beginning has no name either: it is not one more
        # By owner too: a user's daemon may name the ids of another's.
        groups.setdefault((body["exec_id"] or body["key"], body["owner"]), []).append(body)
    for (name, owner), said in groups.items():
        earliest = min(said, key=lambda each: (each["time"], each["key"]))
        commands = [each["command"] for each in said if each["command"]]
        started = [each for each in said if each["action"] == "exec_start"] or [earliest]
        yield join.Told(
            key=f"{owner}/{name}",
            source=min(each["source"] for each in said if each["command"] or len(commands) == 0),
            container=container,
            time=min(each["time"] for each in started),
            exec_id=earliest["exec_id"],
            pids=frozenset(each["pid"] for each in said if each["pid"] is not None),
            command=commands[0] if commands else None,
            owner=owner,
        )


def _lost(connection: Connection, host: str, time: int) -> int:
    """Events of the host that were lost around a time, between runtime and controller."""
    query = select(events.c.body).where(
        events.c.host == host,
        events.c.kind == "loss",
        events.c.time.between(time - join.EXACT_WINDOW_NS, time + join.EXACT_WINDOW_NS),
    )
    causes = [body for body in connection.execute(query).scalars() if not body["cause"].startswith("kernel.")]
    return sum(body["count"] for body in causes)
