# SPDX-License-Identifier: Apache-2.0
"""Who each visit was by, kept: one row for each visit, as it is known by now.

The choice itself is pure (`principal`, `choosing`). What is here brings it the visits of one host that could
be of the same clients, and what the records say of their times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select

from controller.detect import choosing, principal
from controller.store import acquaintances, api_attribution
from controller.store.dialect import put_all
from controller.store.people_schema import principals
from controller.store.records_schema import records
from controller.store.schema import entries, hosts, sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from controller.detect.choosing import Choice, Sought
    from sensor.wire import Principal

NEAR_NS: Final = 10_000_000_000
"""Visits this near to each other may be of the same clients."""
MAX_NEAR: Final = 200
BY_DAEMON: Final = frozenset({"docker-exec", "cri-exec", "ctr-exec", "podman-exec", "unknown"})
"""Means by which it was a daemon that came in, unless the sensor tells who did."""
_TIMES: Final = {"exec_create": "created", "exec_start": "started"}

TABLE: Final = principals
_p, _e, _r = principals, entries, records
_OF_THEM: Final = select(_p.c.session, _p.c.body, _p.c.new_in).where(
    _p.c.session.in_(bindparam("sessions", expanding=True))
)
COLUMNS: Final = (_p.c.body.label("principal"),)
"""For a query that joins the table."""


def named(session: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether a visit was by the principal of this name; "" where nobody is named."""
    mine = select(_p.c.session).where(_p.c.name.is_not(None) if name == "" else _p.c.name == name)
    return session.not_in(mine) if name == "" else session.in_(mine)


def of(connection: Connection, session: str) -> tuple[Principal | None, tuple[str, ...]]:
    """Who the visit was by, and where that one had not been before; None while that is not decided."""
    return of_all(connection, [session]).get(session, (None, ()))


def of_all(
    connection: Connection, wanted: Sequence[str]
) -> dict[str, tuple[Principal | None, tuple[str, ...]]]:
    """The same of many visits; those of which nothing is decided are not among them."""
    rows = connection.execute(_OF_THEM, {"sessions": list(wanted)})
    return {row.session: (row.body, tuple(row.new_in)) for row in rows}


def decide(connection: Connection, host: str, wanted: Iterable[str]) -> set[str]:
    """Says of visits of a host who they were by; those, and others near them, of which that is new."""
    bodies = _opening(connection, sorted(set(wanted)))
    probes = [each["session"] for each in bodies if each["means"] == "probe"]
    if probes:
        connection.execute(delete(_p).where(_p.c.session.in_(probes)))
    visits = [each for each in bodies if each["means"] != "probe"]
    made: dict[str, tuple[Mapping[str, Any], Choice]] = {}
    for each in visits:
        api = api_attribution.of(connection, each["session"]) if each["container"]["pod"] else None
        if api is not None and api["status"] == "recorded" and api["request"] is not None:
            who = principal.of_request(api["request"], api["confidence"], api["reason"])
            made[each["session"]] = (each, choosing.Choice(who))
        elif not each.get("clients"):
            made[each["session"]] = (each, choosing.Choice(_alone(each)))
    asked = [each for each in visits if each["session"] not in made]
    if asked:
        sought = [_sought(connection, host, each) for each in _near(connection, host, asked)]
        spent = _spent(connection, host, sought)
        chosen = choosing.choose(sought, spent)
        made |= {one.session: (one.entry, chosen[one.session]) for one in sought}
    name = connection.execute(select(hosts.c.name).where(hosts.c.id == host)).scalar_one_or_none() or host
    before = of_all(connection, list(made))
    news = [
        found for session, found in made.items() if before.get(session, (None, ()))[0] != found[1].principal
    ]
    acquaintances.forget(
        connection, [entry["session"] for entry, choice in news if not acquaintances.sure(choice.principal)]
    )
    put_all(connection, _p, [_row(connection, host, name, *found) for found in news])
    return {entry["session"] for entry, _ in news}


def _alone(entry: Mapping[str, Any]) -> Principal:
    """Of a visit that no client of a daemon can have asked for."""
    caller = entry.get("caller")
    if caller is not None:
        found = principal.of_caller(caller)
        said = f"{caller['comm']} (pid {caller['pid']}) is what entered"
        return principal.less(found, found["confidence"], found["reason"], said)
    if entry["means"] in BY_DAEMON:
        why = entry.get("clients_unseen")
        return principal.unknown(
            why or "a daemon came in, and no client of it was seen that could have asked"
        )
    if entry["login"] is not None:
        return principal.of_login(entry["login"])
    return principal.unknown("the process that entered descends from no login")


def _opening(connection: Connection, wanted: Sequence[str]) -> list[Mapping[str, Any]]:
    """The events that opened these visits."""
    query = select(_e.c.body).join(sessions, sessions.c.entry == _e.c.id).where(sessions.c.id.in_(wanted))
    return list(connection.execute(query).scalars())


def _near(connection: Connection, host: str, asked: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The visits by daemons that came at about the time of these, these among them."""
    times = [each["time"] for each in asked]
    near = _e.c.time.between(min(times) - NEAR_NS, max(times) + NEAR_NS)
    query = (
        select(_e.c.body)
        .where(_e.c.host == host, near, _e.c.kind != "escape", _e.c.means.in_(BY_DAEMON))
        .order_by(_e.c.time.desc())
        .limit(MAX_NEAR)
    )
    found = {each["session"]: each for each in connection.execute(query).scalars() if each.get("clients")}
    return list((found | {each["session"]: each for each in asked}).values())


def _sought(connection: Connection, host: str, entry: Mapping[str, Any]) -> Sought:
    """A visit with the times that its record tells, by the id of its exec alone."""
    sought = choosing.Sought(entry["session"], entry)
    if entry["exec_id"]:
        mine = (
            (_r.c.host == host) & (_r.c.exec_id == entry["exec_id"]) & _r.c.source.in_(("docker", "podman"))
        )
        query = select(_r.c.action, _r.c.time).where(mine, _r.c.action.in_(_TIMES)).limit(8)
        for row in connection.execute(query):
            setattr(sought, _TIMES[row.action], row.time)
    return sought


def _spent(connection: Connection, host: str, sought: Sequence[Sought]) -> list[choosing.Key]:
    """Clients of tools that other visits used up."""
    keys = {_text(choosing.key_of(each)) for one in sought for each in one.entry["clients"]}
    of_others = _p.c.session.not_in([each.session for each in sought])
    query = select(_p.c.client).where(_p.c.host == host, _p.c.client.in_(sorted(keys)), of_others)
    return [_key(each) for each in connection.execute(query).scalars()]


def _row(
    connection: Connection, host: str, name: str, entry: Mapping[str, Any], choice: Choice
) -> dict[str, Any]:
    who = choice.principal
    sure = acquaintances.sure(who)
    return {
        "session": entry["session"],
        "host": host,
        "time": entry["time"],
        "kind": who["kind"],
        "name": None if who["name"] is None else who["name"].replace("\0", "\\x00"),
        "client": None if choice.client is None else _text(choice.client),
        "new_in": acquaintances.meet(connection, host, name, entry, who) if sure else [],
        "body": who,
    }


def _text(key: choosing.Key) -> str:
    return f"{key[0]}/{key[1]}"


def _key(text: str) -> choosing.Key:
    pid, _, start = text.partition("/")
    return int(pid), int(start)
