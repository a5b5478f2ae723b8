# SPDX-License-Identifier: Apache-2.0
"""Visits and the records that belong to them, kept: one row for each visit, as the join has it by now.

The join itself is pure (`join`). What is here brings it the visits and the sayings of one container that could
belong together, keeps what came out, and finds the visits whose time is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, select, update

from controller.detect import join
from controller.store.dialect import put
from controller.store.schema import attributions, events, record_sources, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import BindParameter, Connection, RowMapping

    from controller.detect.rule import Event
    from controller.store.views import RecordRef

MAX_NEAR: Final = 500
"""Visits, and sayings, of one container that are looked at together; the latest."""
MAX_DUE: Final = 200
OF_AN_EXEC: Final = ("exec_create", "exec_start", "exec_die")

_a, _s, _r = attributions, record_sources, records
COLUMNS: Final = tuple(
    _a.c[name].label(f"record_{name}") for name in ("status", "confidence", "reason", "source", "exec_id")
)
"""For a query that joins the table: what `view` takes."""
FORGOTTEN_NS: Final = 100_000_000
"""By how much less the usual delay must have become to be written anew."""

_ONE: Final = select(_a).where(_a.c.session == bindparam("of"))
_SHOWN: Final = select(_a.c.session, *COLUMNS).where(_a.c.session.in_(bindparam("sessions", expanding=True)))
_SPAN: Final[tuple[BindParameter[int], BindParameter[int]]] = (bindparam("first"), bindparam("last"))
_NEAR: Final = (
    select(_a)
    .where(
        _a.c.host == bindparam("host"), _a.c.container == bindparam("container"), _a.c.time.between(*_SPAN)
    )
    .order_by(_a.c.time.desc())
    .limit(MAX_NEAR)
)
_SAID: Final = (
    select(_r.c.body)
    .where(
        _r.c.host == bindparam("host"),
        _r.c.container == bindparam("container"),
        _r.c.time.between(*_SPAN),
        _r.c.action.in_(OF_AN_EXEC),
    )
    .order_by(_r.c.time.desc())
    .limit(3 * MAX_NEAR)
)
_WRITTEN: Final = ("status", "confidence", "reason", "told", "source", "due")
_RECORDED: Final = (
    update(_a).where(_a.c.session == bindparam("of")).values({name: bindparam(name) for name in _WRITTEN})
)
_SOURCES: Final = select(_s).where(_s.c.host == bindparam("of_host"))
_OF_SOURCE: Final = and_(_s.c.host == bindparam("of_host"), _s.c.source == bindparam("of_source"))
_DELAYS: Final = select(_s.c.delay).where(_OF_SOURCE)
_LEARNED: Final = (
    update(_s).where(_OF_SOURCE, _s.c.delay == bindparam("was")).values(delay=bindparam("delay"))
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


def ask(connection: Connection, host: str, entry: Event, now: int) -> None:
    """A visit has come, or more is known of it. One that is a probe needs no record: it is declared."""
    row = connection.execute(_ONE, {"of": entry["session"]}).mappings().one_or_none()
    if entry["means"] == "probe":
        connection.execute(_a.delete().where(_a.c.session == entry["session"]))
        return
    visit = wanted(entry)
    same = row is not None and (row["means"], row["container"]) == (visit.means, visit.container)
    nobody_tells = visit.runtime == "cri-o"  # which may be learned late
    if row is not None and (row["status"] == "recorded" or (same and not nobody_tells)):
        return
    listening = sources(connection, host)
    status, reason = join.first(visit, listening)
    delay = max((each.delay for each in listening if each.source == join.SOURCES.get(visit.means)), default=0)
    put(
        connection,
        _a,
        {
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
            "arrived": row["arrived"] if row else now,
            "due": now + join.deadline(delay) if status == "awaited" else None,
            "status": status,
            "confidence": "none",
            "reason": reason,
            "told": None,
            "source": None,
        },
    )


def settle(connection: Connection, host: str, container: str, around: Sequence[int], now: int) -> set[str]:
    """Joins what came of one container at the times `around` with what is there; the visits that changed."""
    span = (min(around) - join.EXACT_WINDOW_NS, max(around) + join.EXACT_WINDOW_NS)
    where = {"host": host, "container": container, "first": span[0], "last": span[1]}
    rows = connection.execute(_NEAR, where).mappings().all()
    final = {row["told"] for row in rows if row["confidence"] == "exact"}
    open_ = {row["session"]: row for row in rows if row["confidence"] != "exact"}
    told = [each for each in _told(connection, host, container, span) if each.key not in final]
    joined = [row["time"] for row in rows if row["confidence"] == "exact"]
    pairs = join.assign([_wanted(row) for row in open_.values()], told, joined)
    by_key = {each.key: each for each in told}
    changed = set()
    for session, row in open_.items():
        found = pairs.get(session)
        if found is not None and (row["told"], row["confidence"]) != (found.key, found.confidence):
            _recorded(connection, row, found, by_key[found.key], now)
            changed.add(session)
        elif found is None and row["told"] is not None:
            _taken_back(connection, row, now)  # another visit has the better claim
            changed.add(session)
    return changed


def _recorded(connection: Connection, row: RowMapping, found: join.Pair, told: join.Told, now: int) -> None:
    late = max(0, now - row["arrived"])
    by = f"recorded by {told.source}: {found.reason}"
    if row["status"] == "unrecorded":
        by += f"; the record came {late / 1e9:.1f} s after the visit"
    values = {
        "status": "recorded",
        "confidence": found.confidence,
        "reason": by,
        "told": found.key,
        "source": told.source,
        "due": None,
    }
    connection.execute(_RECORDED, {**values, "of": row["session"]})
    of_it = {"of_host": row["host"], "of_source": told.source}
    for delay in set(connection.execute(_DELAYS, of_it).scalars()):
        learned = join.learned(delay, late)
        if learned > delay or delay - learned > FORGOTTEN_NS:
            connection.execute(_LEARNED, {**of_it, "was": delay, "delay": learned})


def _taken_back(connection: Connection, row: RowMapping, now: int) -> None:
    status, reason = join.first(_wanted(row), sources(connection, row["host"]))
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
        listening = sources(connection, row["host"])
        status, reason = join.last(_wanted(row), listening, _lost(connection, row["host"], row["time"]))
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


def hear(connection: Connection, host: str, event: Event) -> None:
    """What the sensor says of a source: that it is read, is not any more, or was not told in full."""
    key = and_(_s.c.host == host, _s.c.place == event["place"])
    row = connection.execute(select(_s).where(key)).mappings().one_or_none()
    resumed = event["action"] == "source_up" and "why" in event["detail"] and event["source"] != "containerd"
    made: dict[str, Any] = {
        "host": host,
        "place": event["place"],
        "source": event["source"],
        "since": row["since"] if row and resumed else event["time"],
        "away": None,
        "delay": row["delay"] if row else 0,
        "owner": event["owner"],
        **{name: row[name] if row else 0 for name in ("entry_delay", "gaps", "late", "ahead")},
        **{name: row[name] if row else None for name in ("gap", "up")},
    }
    if event["action"] == "source_gap":
        made |= {"gap": event["time"], "gaps": made["gaps"] + 1}
    elif event["action"] == "source_up":
        made["up"] = event["time"]
    if event["action"] == "source_away":
        made |= {"away": event["time"], "since": row["since"] if row else event["time"]}
        made["owner"] = row["owner"] if row else event["owner"]
    elif resumed and row is None:
        made["since"] = int(event["detail"]["why"]) if event["detail"]["why"].isdecimal() else event["time"]
    put(connection, _s, made)


def sources(connection: Connection, host: str) -> list[join.Listening]:
    """The record sources of a host."""
    rows = connection.execute(_SOURCES, {"of_host": host}).mappings()
    names = ("source", "since", "away", "owner", "delay")
    return [join.Listening(**{name: row[name] for name in names}) for row in rows]


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
