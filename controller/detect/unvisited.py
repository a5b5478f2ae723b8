# SPDX-License-Identifier: Apache-2.0
"""What belongs to no visit, judged: how containers are made, what they do of themselves, records and requests."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from controller.detect import alerts, alone, asking, changes, host_files, own, rights
from controller.detect.rule import Around, Visit
from controller.store import counters, raising, records, unseen
from controller.store.visitors import StoredPast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from controller.detect.alerting import Alerting
    from controller.detect.engine import Engine
    from controller.detect.policy import Host, Policy
    from controller.detect.rule import Event
    from controller.policy.knobs import Knobs
    from controller.store.alert_rows import NewAlert


class Unvisited:
    """Events of no visit: what is found in one is the alert of its container, or of what was asked for."""

    def __init__(self, engine: Engine, policy: Policy, alerting: Alerting, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._policy = policy
        self._alerting = alerting
        self._clock = clock
        self._own = own.Own()

    def forget(self) -> None:
        """The transaction failed: nothing of what was held may be right."""
        self._own.forget()

    def see(self, connection: Connection, host: Host, event: Event) -> None:
        """The next one, with what was learned of it."""
        if event["kind"] in {"connection", "contact"} and event["container"] is None:
            return  # of the host itself
        if event["kind"] == "activity":
            self._see_own(connection, host, event)
        elif event["kind"] in {"configuration", "file"}:
            self._see_change(connection, host, event)
        elif event["kind"] == "agent":
            about = Visit(alerts.of_sensor(host.id), None)
            self._judge(connection, host, event, about, alerts.describe_sensor)
        elif event["kind"] != "record":
            self._judge(
                connection, host, event, Visit(alerts.subject(host.id, event), None), alerts.describe_alone
            )
        elif event.get("request") is None:
            told = alone.as_it_comes(connection, host.id, event)
            if told is not None:
                self._see_record(connection, host, event, told)
        elif asking.speaks(connection, event):
            event, earlier = (
                asking.known(connection, host.id, event),
                asking.refused_before(connection, event),
            )
            knobs = self._policy.knobs_for(connection, host, None, event["request"].get("name") or "")
            change = rights.judge(connection, host, event, knobs)
            around = Around(change=change)
            about = Visit(asking.subject(host.id, event), None, earlier=earlier, around=around)
            self._judge(connection, host, event, about, asking.describe, knobs)

    def cover(self, connection: Connection, name: Callable[[str], Host], changed: Iterable[str]) -> None:
        """Records whose entry did not come in time, and those whose entry came after all with what `changed`."""
        now = self._clock()
        for row in unseen.decide(connection, now):
            counters.add(connection, f"coverage.{row['cause']}")
            event = records.event(connection, row["host"], row["record"])
            if event is not None:
                self._see_record(connection, name(row["host"]), event, alone.without_entry(row))
        for row in unseen.found(connection, changed, now):
            subject = alone.subject(row["host"], row["container"], alone.WITHOUT_ENTRY)
            event_id, reason = row["record"], row["reason"]
            if raising.take_back(connection, subject, alone.WITHOUT_ENTRY, reason, now, event=event_id):
                counters.add(connection, "detect.findings_taken_back")

    def _judge(
        self,
        connection: Connection,
        host: Host,
        event: Event,
        visit: Visit,
        describe: Callable[..., NewAlert],
        knobs: Knobs | None = None,
    ) -> None:
        in_force = self._policy.knobs if knobs is None else knobs
        visit = replace(visit, around=replace(visit.around, host=host.id, knobs=in_force))
        found = self._engine.evaluate(visit, event)
        if found:
            self._alerting.alone(connection, host, event, (visit.session, describe), found)

    def _see_change(self, connection: Connection, host: Host, event: Event) -> None:
        """How a container, or a runtime on its host, is configured: judged with what differs from before."""
        change: Mapping[str, Any] | None
        if event["kind"] == "file":
            change = host_files.judge(connection, host, event, self._policy.knobs)
            subject, describe = host_files.subject(host.id, event), host_files.describe
        else:
            change = changes.judge(connection, host, event, self._policy.knobs)
            subject, describe = alerts.subject(host.id, event), alerts.describe_alone
        about = Visit(subject, None, around=Around(change=change))
        self._judge(connection, host, {**event, "change": change}, about, describe)

    def _see_own(self, connection: Connection, host: Host, event: Event) -> None:
        """What a container does of itself: judged by what is normal for it, and then learned."""
        now, event = self._clock(), self._own.known(connection, host.id, event)
        normal, subject = self._own.normal(connection, host.id, event, now), alerts.subject(host.id, event)
        past = StoredPast(connection, subject, event["first"])
        visit = Visit(subject, None, normal=normal, around=Around(past=past))
        self._judge(connection, host, event, visit, own.describe)
        self._own.learn(connection, normal, event, now)

    def _see_record(self, connection: Connection, host: Host, event: Event, known: Mapping[str, Any]) -> None:
        """A runtime's record by which no visit stands: an alert for each detection that finds something in it."""
        event = alone.named(connection, host.id, event)
        around = Around(host.id, self._policy.knobs)
        about = Visit(alone.subject(host.id, alone.about(event)), None, record=known, around=around)
        for found in self._engine.evaluate(about, event):
            subject = alone.subject(host.id, alone.about(event), found.detection)
            describe = partial(alone.describe, known)
            self._alerting.alone(connection, host, event, (subject, describe), [found])
