# SPDX-License-Identifier: Apache-2.0
"""All destinations of a controller: started with it, ended with it, and shown to people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from controller.export.follower import Follower
from controller.export.item import Item
from controller.store import exports
from controller.store.views import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from controller.export.destination import Destination
    from controller.store.engine import Store

STOP_WITHIN_S: Final = 3.0


class Exporter:
    """The followers. DestinationError when one cannot work as it is configured."""

    def __init__(self, store: Store, destinations: Sequence[Destination]) -> None:
        self._followers = [Follower(store, each) for each in destinations]

    def start(self) -> None:
        """Each begins at its cursor."""
        for each in self._followers:
            each.start()

    def stop(self) -> None:
        """Returns when all have ended, or had STOP_WITHIN_S for it together."""
        for each in self._followers:
            each.stop()
        deadline = time.monotonic() + STOP_WITHIN_S
        for each in self._followers:
            each.join(max(0.0, deadline - time.monotonic()))


def status(connection: Connection, destinations: Sequence[Destination]) -> list[dict[str, Any]]:
    """What people see of each destination, in the order of the configuration."""
    return [_status(connection, each) for each in destinations]


def _status(connection: Connection, destination: Destination) -> dict[str, Any]:
    row = exports.progress(connection, destination.name)
    behind = None if row is None else max(0, exports.head(connection, destination.what) - row.seq)
    state = "new" if row is None else "failing" if row.failing_since else "ok"
    return {
        "name": destination.name,
        "kind": destination.kind,
        "what": destination.what,
        "format": destination.chosen_format,
        "severity": destination.severity if destination.what == "alerts" else None,
        "address": destination.place,
        "emulations": destination.tells_emulations,
        "state": state,
        "behind": behind,
        **{name: getattr(row, name, 0) for name in ("sent", "failed", "given_up", "left_out")},
        "last_sent": rfc3339(row.last_sent) if row else None,
        "failing_since": rfc3339(row.failing_since) if row else None,
        "last_error": row.last_error if row else None,
    }


def test_item(host: str, now: int) -> Item:
    """An alert that says of itself, in every format, that it is a test. `now`: ns since the epoch."""
    at, text = rfc3339(now), "This is a test of nsentry's export: nobody entered a container."
    finding = {
        "detection": "export_test",
        "severity": "low",
        "event": f"test/{now}",
        "time": at,
        "time_ns": now,
        "reason": text,
        "fields": {},
    }
    alert: dict[str, Any] = {
        "id": f"test-{now}",
        "session": f"test/{now}",
        "host": host,
        "host_id": "test",
        "severity": "low",
        "severity_level": 1,
        "state": "new",
        "title": "Test of an export",
        "sentence": text,
        "means": "none",
        "container": {"id": None, "name": None, "image": None},
        "user": None,
        "events": 1,
        "assignee": None,
        "close_reason": None,
        "emulation": None,
        "detections": ["export_test"],
        "techniques": [],
        "findings": [finding],
    }
    for name in ("first_seen", "last_seen", "raised", "changed"):
        alert |= {name: at, f"{name}_ns": now}
    return Item(
        id=f"test-{now}",
        seq=0,
        what="alerts",
        activity="create",
        action="test",
        time=now,
        severity=1,
        host=host,
        host_id="test",
        body=alert,
        test=True,
    )
