# SPDX-License-Identifier: Apache-2.0
"""The sources of records that a host's sensor listens to: since when, and how late each tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, select, update

from controller.detect import join
from controller.store.dialect import put
from controller.store.records_schema import record_sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from controller.detect.rule import Event

FORGOTTEN_NS: Final = 100_000_000
"""By how much less the usual delay must have become to be written anew."""
_s = record_sources
_SOURCES: Final = select(_s).where(_s.c.host == bindparam("of_host"))
_OF_SOURCE: Final = and_(_s.c.host == bindparam("of_host"), _s.c.source == bindparam("of_source"))
_DELAYS: Final = select(_s.c.delay).where(_OF_SOURCE)
_LEARNED: Final = (
    update(_s).where(_OF_SOURCE, _s.c.delay == bindparam("was")).values(delay=bindparam("delay"))
)


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


def learn(connection: Connection, host: str, late: Iterable[tuple[str, int]]) -> None:
    """How late records came, each by its source; written only where it changes by much."""
    by_source: dict[str, list[int]] = {}
    for source, each in late:
        by_source.setdefault(source, []).append(each)
    for source, told in sorted(by_source.items()):
        of_it = {"of_host": host, "of_source": source}
        for known in set(connection.execute(_DELAYS, of_it).scalars()):
            delay = known
            for each in told:
                learned = join.learned(delay, each)
                if learned > delay or delay - learned > FORGOTTEN_NS:
                    delay = learned
            if delay != known:
                connection.execute(_LEARNED, {**of_it, "was": known, "delay": delay})
