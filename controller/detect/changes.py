# SPDX-License-Identifier: Apache-2.0
"""A container's configuration that differs from before: what, by whom, and whether that was authorised.

Decided when it comes, with the windows, lists and labels of then, and kept: what is changed of those later does not
make it another. The pure parts are `difference`, `changing` and `policy.authority`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from controller.detect import changing, difference
from controller.detect.principal import said_of
from controller.policy import authority
from controller.policy.principals import principal as reading
from controller.store import approvals, configurations
from controller.store.configurations import JudgedView
from controller.store.records_schema import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from controller.detect.policy import Host
    from controller.detect.rule import Event
    from controller.policy.knobs import Knobs

MADE_NS: Final = 600 * 10**9
"""How long before its container a request for a pod is looked for."""


def judge(connection: Connection, host: Host, event: Event, knobs: Knobs) -> JudgedView | None:
    """What is to be said of the difference that a `configuration` event tells; None where nothing differs."""
    known = configurations.verdict(connection, event["id"])
    if known is not None:
        return known
    before = configurations.before(connection, host.id, event)
    if before is None:
        return None
    replaced = before["replaces"] is not None
    found = difference.changes(before["settings"], configurations.whole(event), replaced=replaced)
    if not found:
        return None
    container = event["container"]
    request = _request(connection, event) if container["pod"] and replaced else None
    spent = configurations.spent(connection, host.id, container["id"])
    choice = changing.choose(event, request, spent, before["time"])
    who = reading(None, choice.principal)
    windows = approvals.at(connection, event["time"])
    said = authority.decide(
        event, host.name, who, windows, knobs, made=replaced or event["because"] == "start"
    )
    change = JudgedView(
        principal=choice.principal,
        authorised=said.authorised,
        by=said.by,
        reason=said.reason,
        replaces=before["replaces"],
        changes=found,
        summary=difference.summary(found),
        who=said_of(choice.principal),
        client=choice.client,
    )
    configurations.judged(connection, event["id"], change)
    return change


def _request(connection: Connection, event: Event) -> Mapping[str, Any] | None:
    """The request by which an API server had the pod made, where its audit was heard."""
    pod = event["container"]["pod"]
    mine = (records.c.pod == f"{pod['namespace']}/{pod['name']}") & (records.c.action == "pod_create")
    near = records.c.time.between(event["time"] - MADE_NS, event["time"])
    query = select(records.c.body).where(mine, near).order_by(records.c.time.desc()).limit(1)
    body = connection.execute(query).scalar_one_or_none()
    return body["request"] if body is not None else None
