# SPDX-License-Identifier: Apache-2.0
"""A role or binding of a cluster was written or removed: what it held before and holds now, whether authorised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.policy import authority
from controller.policy.principals import asker
from controller.store import approvals
from controller.store import rights as store

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.detect.policy import Host
    from controller.detect.rule import Event
    from controller.policy.knobs import Knobs


def judge(connection: Connection, host: Host, event: Event, knobs: Knobs) -> dict[str, Any] | None:
    """What is to be said of it, which is kept; None of what is no such write, or was refused."""
    if event["action"] not in store.ACTIONS:
        return None
    before = store.before(connection, host.id, event)
    after = None if event["action"] == "rbac_delete" else event["detail"].get("holds")
    windows = approvals.at(connection, event["time"])
    asked = {"time": event["time"], "container": None}
    said = authority.decide(asked, host.name, asker(event["request"]), windows, knobs, made=False)
    held = f"{before or 'not known'} -> {after or ('removed' if event['action'] == 'rbac_delete' else 'not known')}"
    change = {
        "before": before,
        "after": after,
        "summary": held,
        "who": event["request"]["user"],
        "authorised": said.authorised,
        "by": said.by,
        "reason": said.reason,
        "changes": [],
    }
    store.judged(connection, host.id, event, change)
    return change
