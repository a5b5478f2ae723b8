# SPDX-License-Identifier: Apache-2.0
"""How well API servers' audits are heard: since when, how late, how far their clocks go wrong, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from sqlalchemy import and_, select, update

from controller.detect import join
from controller.store.dialect import insert, put
from controller.store.records_schema import audit_sources
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_s = audit_sources
EXECS: Final = frozenset({"pods/exec", "pods/attach"})
"""What an audit that tells of execs has told of."""
BATCH_NS: Final = 30 * 10**9
"""How long an API server collects a batch, unless it is told otherwise (--audit-webhook-batch-max-wait)."""
OF_THE_PAST_NS: Final = 600 * 10**9
"""What is told so late is of the past, a log that is read from its beginning, and says nothing of the usual delay."""


class AuditSourceView(TypedDict):
    """One way by which an audit is heard."""

    place: str
    since: str
    since_ns: int
    heard: str
    """When it was heard last, by the controller's clock."""
    heard_ns: int
    said: str
    """The latest that it told of, by its own clock."""
    said_ns: int
    away: str | None
    away_ns: int | None
    delay_ns: int
    """How late it tells, the longest of late."""
    ahead_ns: int
    """How far its clock is before the controller's, at least."""
    behind_ns: int
    """How far its clock is behind the controller's, at least: what is beyond the usual delay of a batch."""
    tells_of_execs: bool
    """Whether it has ever told of one: a policy may leave them out."""
    tells_early: bool
    """Whether it tells of them before they end."""
    gaps: int
    gap: str | None
    """When the latest was."""
    gap_ns: int | None
    trusted: bool
    """Of a log: that it is believed about other hosts than the one that reads it."""


def heard(
    connection: Connection,
    host: str,
    place: str,
    said: tuple[int, int],
    received: int,
) -> None:
    """Something came. `said`: the earliest and latest that it tells of, by its own clock; `received` by ours."""
    key = and_(_s.c.host == host, _s.c.place == place)
    row = connection.execute(select(_s).where(key)).mappings().one_or_none()
    late = received - said[0]
    before = row["delay"] if row else 0
    if late < OF_THE_PAST_NS:
        before = join.learned(before, min(max(late, 0), join.DEADLINE_NS[1]))
    put(
        connection,
        _s,
        {
            "host": host,
            "place": place,
            "since": row["since"] if row else received,
            "heard": max(received, row["heard"]) if row else received,
            "said": max(said[1], row["said"]) if row else said[1],
            "away": None,
            "delay": before,
            "ahead": join.learned(row["ahead"] if row else 0, max(0, said[1] - received)),
            "behind": _least(row["behind"] if row else None, max(0, received - said[1])),
            "execs": row["execs"] if row else None,
            "early": row["early"] if row else None,
            "gaps": row["gaps"] if row else 0,
            "gap": row["gap"] if row else None,
            "trusted": row["trusted"] if row else 0,
        },
    )


def _least(known: int | None, seen: int) -> int:
    """The least delay of late: at once when it shrinks, slowly when it grows; what is of the past says nothing."""
    if known is None:
        return seen if seen < OF_THE_PAST_NS else 0
    return known if seen >= OF_THE_PAST_NS else min(seen, known + max(0, seen - known) // 32)


def lag(behind: int) -> int:
    """How far a clock is behind, by the least delay of late. Within a batch's usual wait it may be right."""
    return max(0, behind - BATCH_NS)


def take(connection: Connection, host: str, event: Mapping[str, Any], now: int) -> None:
    """What a record tells of its source: that it is read or is not, a gap, or that it tells of execs."""
    key = and_(_s.c.host == host, _s.c.place == event["place"])
    if event["action"] == "source_gap":
        _begun(connection, host, event, now)
        connection.execute(update(_s).where(key).values(gaps=_s.c.gaps + 1, gap=now))
    elif event["action"] == "source_away":
        connection.execute(update(_s).where(key).values(away=now))
    elif event["action"] == "source_up":
        _begun(connection, host, event, now)
        connection.execute(update(_s).where(key).values(away=None))
    elif "request" in event:
        request = event["request"]
        if event["place"] != "webhook":  # of that the endpoint knows more: also of what is passed by
            heard(connection, host, event["place"], (request["said"],) * 2, now)
        if request["resource"] in EXECS and (request["code"] or 0) < 400:
            connection.execute(update(_s).where(key, _s.c.execs.is_(None)).values(execs=now))
            if request["stage"] in {"RequestReceived", "ResponseStarted"}:
                connection.execute(update(_s).where(key, _s.c.early.is_(None)).values(early=now))


def trust(connection: Connection, host: str, *, trusted: bool) -> bool:
    """Says whether the logs that a host's sensor reads are believed about other hosts; False if it reads none."""
    changed = connection.execute(update(_s).where(_s.c.host == host).values(trusted=int(trusted)))
    return changed.rowcount > 0


def _begun(connection: Connection, host: str, event: Mapping[str, Any], now: int) -> None:
    row = {"host": host, "place": event["place"], "since": now, "heard": now, "said": event["time"]}
    new = insert(connection, _s).values(**row, delay=0, ahead=0, gaps=0)
    connection.execute(new.on_conflict_do_nothing())


def all_(connection: Connection) -> dict[str, list[AuditSourceView]]:
    """By the host or cluster that tells."""
    found: dict[str, list[AuditSourceView]] = {}
    for row in connection.execute(select(_s).order_by(_s.c.host, _s.c.place)).mappings():
        found.setdefault(row["host"], []).append(
            {
                "place": row["place"],
                "since": rfc3339(row["since"]),
                "since_ns": row["since"],
                "heard": rfc3339(row["heard"]),
                "heard_ns": row["heard"],
                "said": rfc3339(row["said"]),
                "said_ns": row["said"],
                "away": rfc3339(row["away"]),
                "away_ns": row["away"],
                "delay_ns": row["delay"],
                "ahead_ns": row["ahead"],
                "behind_ns": lag(row["behind"]),
                "tells_of_execs": row["execs"] is not None,
                "tells_early": row["early"] is not None,
                "gaps": row["gaps"],
                "gap": rfc3339(row["gap"]),
                "gap_ns": row["gap"],
                "trusted": bool(row["trusted"]),
            }
        )
    return found
