# SPDX-License-Identifier: Apache-2.0
"""Emulations: which ran, what came of each, which alerts are theirs, and when a detection was last proven.

An alert is an emulation's if its container was made for one: by the container's id, which the run tells as soon as
it has it, or, while that run goes on, by its secret name in the label or in what the alert is about. A name alone, of
a run that nobody began or that is over, marks nothing: whoever starts containers could silence his own alerts with it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from sqlalchemy import bindparam, func, insert, select, update

from controller.policy import knobs
from controller.store import audit
from controller.store.dialect import insert as insert_or
from controller.store.schema import alerts, containers, hosts
from controller.store.schema_emulations import emulation_containers, emulations
from controller.store.views import OPEN_STATES, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from controller.store.alert_rows import NewAlert

LABEL: Final = "nsentry.emulation"
_RUN: Final = re.compile(r"nsentry-emulation-([0-9a-f]{12})")
LONGEST_NS: Final = 1_000_000_000 * 1200
"""A run that has not said how it ended is over after this time: its container has ended long before."""

Standing = Literal["proven", "stale", "unproven"]
STANDINGS: Final[tuple[Standing, ...]] = ("proven", "stale", "unproven")
"""Best first."""
_OF_CONTAINERS: Final = select(emulation_containers.c.container, emulation_containers.c.run).where(
    emulation_containers.c.container.in_(bindparam("containers", expanding=True))
)
_GO_ON: Final = (
    select(emulations.c.run)
    .where(emulations.c.ended.is_(None), emulations.c.began > bindparam("since"))
    .order_by(emulations.c.began.desc())
    .limit(1000)
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one emulation. `seconds` from its beginning until the alert had the finding."""

    fired: bool
    seconds: float | None = None
    session: str | None = None
    alert: str | None = None
    also: tuple[str, ...] = ()
    """Other detections that fired on the same containers until then."""
    error: str | None = None


class Proof(TypedDict):
    """The latest emulation of a detection on a host."""

    detection: str
    host: str | None
    """The host's name; None when no sensor told of its container."""
    host_id: str | None
    runtime: str
    run: str
    time: str
    time_ns: int
    fired: bool
    seconds: float | None
    session: str | None
    alert: str | None
    also: list[str]
    error: str | None
    proven: str | None
    """When it last fired on this host: `time` if it did in the latest run."""
    proven_ns: int | None


def standing(proof: Proof | None, since: int) -> Standing:
    """How well a detection is proven on a host: "stale" if it last fired there before `since` (ns)."""
    if proof is None or proof["proven_ns"] is None:
        return "unproven"
    return "proven" if proof["proven_ns"] >= since else "stale"


def begin(
    connection: Connection,
    run: str,
    detection: str,
    runtime: str,
    now: int,
    *,
    staged: tuple[Mapping[str, Sequence[str]], str] | None = None,
) -> None:
    """A run begins: before its container is made.

    `staged`: knobs, and who runs it. They count for visits to the containers of this run alone, in the place of
    what operators have set, until it ends; the audit log has them. KnobError: there is no such knob or value.
    """
    set_, actor = staged or ({}, "")
    row = {"run": run, "detection": detection, "runtime": runtime, "began": now, "knobs": dict(set_) or None}
    connection.execute(insert(emulations).values(row))
    if set_:
        knobs.read(set_)
        audit.write(connection, now, f"{actor}, by emulate", "emulation.knobs", run, dict(set_))


def any_knobs(connection: Connection, now: int) -> bool:
    """Whether a run goes on that has knobs of its own."""
    query = select(emulations.c.run).where(_goes_on(now) & emulations.c.knobs.is_not(None))
    return connection.execute(query.limit(1)).first() is not None


def knobs_of(
    connection: Connection, host: str, container: str | None, name: str, now: int
) -> Mapping[str, Sequence[str]] | None:
    """The knobs of the run that a container was made for, while it goes on; None without."""
    (run,) = _runs(connection, [(host, container, name)], now)
    query = select(emulations.c.knobs).where(_goes_on(now) & (emulations.c.run == run))
    found: Mapping[str, Sequence[str]] | None = connection.execute(query).scalar_one_or_none()
    return found


def _goes_on(now: int) -> ColumnElement[bool]:
    return emulations.c.ended.is_(None) & (emulations.c.began > now - LONGEST_NS)


def made(connection: Connection, run: str, ids: Sequence[str]) -> None:
    """These containers are the run's, and so are the alerts on them."""
    for each in ids:
        statement = insert_or(connection, emulation_containers).values(container=each, run=run)
        connection.execute(statement.on_conflict_do_nothing())
    mine = alerts.c.container.in_(ids) & alerts.c.emulation.is_(None)
    connection.execute(update(alerts).where(mine).values(emulation=run))


def ended(connection: Connection, run: str, now: int, outcome: Outcome) -> None:
    """What came of a run."""
    values: dict[str, Any] = {**asdict(outcome), "ended": now, "also": list(outcome.also)}
    values["host"] = _host(connection, run)
    connection.execute(update(emulations).where(emulations.c.run == run).values(values))


def of_alerts(connection: Connection, raised: Sequence[NewAlert], now: int) -> list[str | None]:
    """For each alert the run that it is to be raised on; None if nobody staged it."""
    return _runs(connection, [(each.host, each.container, each.title) for each in raised], now)


def _runs(
    connection: Connection, wanted: Sequence[tuple[str, str | None, str]], now: int
) -> list[str | None]:
    """For each host, container and what is said of it the run that it was made for."""
    asked = sorted({container for _, container, _ in wanted if container is not None})
    rows = connection.execute(_OF_CONTAINERS, {"containers": asked})
    known: dict[str | None, str] = {row.container: row.run for row in rows}
    running = set(connection.execute(_GO_ON, {"since": now - LONGEST_NS}).scalars())
    return [known.get(each[1]) or (_said(connection, *each, running) if running else None) for each in wanted]


def _said(
    connection: Connection, host: str, container: str | None, title: str, running: set[str]
) -> str | None:
    """The run, among those that go on, whose secret name its container's label or its title has."""
    query = select(containers.c.body).where(containers.c.host == host, containers.c.id == container)
    body = connection.execute(query).scalar_one_or_none()
    label = (body["fields"].get("labels") or {}).get(LABEL) if body else None
    return next((each for each in (label, *_RUN.findall(title)) if each in running), None)


def open_alerts(connection: Connection, run: str) -> list[str]:
    """The ids of the run's alerts that are open."""
    mine = (alerts.c.emulation == run) & alerts.c.state.in_(OPEN_STATES)
    return list(connection.execute(select(alerts.c.id).where(mine)).scalars())


def proofs(connection: Connection, host: str | None = None) -> list[Proof]:
    """The latest run of each detection on each host, and when it last fired there; by detection and host."""
    e = emulations
    numbered = select(
        e,
        hosts.c.name.label("host_name"),
        func.row_number().over(partition_by=(e.c.detection, e.c.host), order_by=e.c.began.desc()).label("nth"),
        func.max(e.c.began).filter(e.c.fired).over(partition_by=(e.c.detection, e.c.host)).label("proven"),
    ).select_from(e.outerjoin(hosts, hosts.c.id == e.c.host)).where(e.c.ended.is_not(None))  # fmt: skip
    latest = numbered.subquery()
    query = select(latest).where(latest.c.nth == 1).order_by(latest.c.detection, latest.c.host_name)
    if host is not None:
        query = query.where((latest.c.host == host) | (latest.c.host_name == host))
    return [
        {
            "detection": row["detection"],
            "host": row["host_name"],
            "host_id": row["host"],
            "runtime": row["runtime"],
            "run": row["run"],
            "time": rfc3339(row["began"]),
            "time_ns": row["began"],
            "fired": bool(row["fired"]),
            "seconds": row["seconds"],
            "session": row["session"],
            "alert": row["alert"],
            "also": row["also"] or [],
            "error": row["error"],
            "proven": None if row["proven"] is None else rfc3339(row["proven"]),
            "proven_ns": row["proven"],
        }
        for row in connection.execute(query).mappings()
    ]


def _host(connection: Connection, run: str) -> str | None:
    """The host whose sensor told of the run's container."""
    query = (
        select(containers.c.host)
        .join(emulation_containers, emulation_containers.c.container == containers.c.id)
        .where(emulation_containers.c.run == run)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()
