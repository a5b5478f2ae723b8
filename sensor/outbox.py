# SPDX-License-Identifier: Apache-2.0
"""What leaves the sensor: events by way of the spool, the heartbeat, and the status socket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Protocol, Self

from sensor.config import Config
from sensor.health import Health, Heartbeats
from sensor.identity import Identity, describe_host
from sensor.records.said import marks
from sensor.ship import Shipper, heartbeat_sender
from sensor.spool import Spool
from sensor.status import StatusSocket
from sensor.uplink import Uplink
from sensor.wire import Event

_ORDINARY: Final = frozenset({"activity", "record"})
"""What comes by the thousand, and may not take the place of entries where the disk is small."""


class Changes(Protocol):
    """What is to be kept with the events of a flush, to go on from after a kill."""

    def __call__(self, *, events: bool, everything: bool) -> Mapping[str, bytes | None]:
        """`events`: whether some go with it. `everything`: what was kept before is gone."""


class Outbox:
    """Holds the events of one turn of the loop, and hands them to the spool in one transaction."""

    def __init__(self, config: Config, identity: Identity) -> None:
        self.health = Health(describe_host(identity.host, identity.boot))
        self._stack = ExitStack()
        self._waiting: list[Event] = []
        self._changes: Changes | None = None
        self._spool = Spool.open(
            config.state_dir / "spool.db",
            config.spool.max_bytes,
            host=identity.host,
            boot=identity.boot,
            counters=self.health.counters,
        )
        self._stack.callback(self._spool.close)
        for name, source in self._spool.gauges().items():
            self.health.gauges.register(name, source)
        self.health.degraded.register(self._spool.trouble)

        def uplink() -> Uplink:
            return Uplink(
                config.controller.url or identity.url,
                config.controller.ca or identity.ca,
                identity.credential,
                timeout_s=config.controller.timeout_s,
                proxy=config.controller.proxy,
            )

        # One connection each: a batch on its way must not hold up a heartbeat.
        self._shipper = Shipper(self._spool, uplink(), self.health.host, self.health.counters)
        self.health.degraded.register(self._shipper.trouble)
        self._heartbeats = Heartbeats(self.health, heartbeat_sender(uplink()), config.heartbeat.interval_s)
        self._status = StatusSocket(config.state_dir, self.health)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self) -> None:
        """Begin to ship, to beat and to answer."""
        for part in (self._shipper, self._heartbeats, self._status):
            part.start()
            self._stack.callback(part.stop)

    def next_id(self) -> str:
        """Id for the next event."""
        return self._spool.next_id()

    def mark(self, place: str) -> int | None:
        """The time of the last record of a place that was kept, by its source's clock."""
        kept = self._spool.mark(place)
        return int(kept) if kept and kept.isdecimal() else None

    def put(self, event: Event) -> None:
        """Takes an event; it is safe on disk after the next `flush`."""
        self._waiting.append(event)

    def kept(self) -> dict[str, bytes]:
        """What was kept with the events, by this sensor or by the one before."""
        return self._spool.kept()

    def keep(self, changes: Changes) -> None:
        """From now on, what `changes` gives is kept by each flush, in the transaction of its events."""
        self._changes = changes

    def flush(self) -> None:
        """Write what waits to the spool."""
        events, self._waiting = self._waiting, []
        keep: Mapping[str, bytes | None] = {}
        if self._changes is not None:
            anew, self._spool.began_anew = self._spool.began_anew, False
            keep = self._changes(events=bool(events), everything=anew)
        if not events and not keep:
            return
        ordinary = [event for event in events if event["kind"] in _ORDINARY]
        if ordinary:
            self._spool.append(ordinary, "ordinary")
        self._spool.append([event for event in events if event["kind"] not in _ORDINARY], keep=keep)
        for place, latest in marks(events).items():
            self._spool.set_mark(place, str(latest))
        for event in events:
            self._status.publish(event)
