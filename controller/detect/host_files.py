# SPDX-License-Identifier: Apache-2.0
"""A runtime's own configuration on a host was changed: by whom, whether that was authorised, and its alert."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from controller.detect.alerts import NO_ENTRY, title
from controller.detect.principal import less, of_caller, said_of, unknown
from controller.policy import authority
from controller.policy.principals import principal as reading
from controller.store import approvals
from controller.store import host_files as store
from controller.store.alert_rows import NewAlert
from controller.store.host_files import JudgedFile
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from controller.detect.engine import Raised
    from controller.detect.policy import Host
    from controller.detect.rule import Event
    from controller.policy.knobs import Knobs
    from sensor.wire import Principal


def judge(connection: Connection, host: Host, event: Event, knobs: Knobs) -> JudgedFile:
    """What is to be said of a change, as it was said when it came first."""
    known = store.verdict(connection, event["id"])
    if known is not None:
        return known
    who = whom(event)
    asked = {"time": event["time"], "container": None}
    windows = approvals.at(connection, event["time"])
    said = authority.decide(asked, host.name, reading(None, who), windows, knobs, made=False)
    change = JudgedFile(
        principal=who, who=said_of(who), authorised=said.authorised, by=said.by, reason=said.reason
    )
    store.judged(connection, event["id"], change)
    return change


def whom(event: Event) -> Principal:
    """Who wrote it, by the process that the kernel named."""
    caller = event["caller"]
    if caller is None:
        return unknown(event["caller_unknown"] or "who wrote it is not known")
    who = of_caller(caller)
    return less(who, who["confidence"], who["reason"], f"{caller['comm']} (pid {caller['pid']}) wrote it")


def subject(host: str, event: Event) -> str:
    """What the alert is about: the file. It stands where an alert of a visit has the session."""
    digest = blake2b(event["path"].encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()
    return f"{host}/file/{digest}"


def describe(
    since: int | None,
    host: str,
    host_name: str,
    event: Event,
    found: tuple[Sequence[Raised], Mapping[str, str]],
) -> NewAlert:
    """The alert, as its latest event makes it; as `alerts.describe_alone`."""
    return NewAlert(
        session=subject(host, event),
        host=host,
        title=title(*found, printable(event["path"])[:160]),
        sentence=sentence(host_name, event),
        means=NO_ENTRY,
        container=None,
        container_name=None,
        image=None,
        user=None,
        principal=event["change"]["principal"]["name"],
        first_seen=event["time"] if since is None else min(since, event["time"]),
        last_seen=event["time"],
        events=1,
    )


def sentence(host_name: str, event: Event) -> str:
    """Who changed what on which host, and whether that was authorised."""
    change, did = event["change"], {"appeared": "made", "removed": "removed", "changed": "changed"}
    what = f"{event['runtime']}'s {event['path']}" if event["runtime"] != "other" else event["path"]
    when = " while no sensor watched" if event["unwatched"] else ""
    authorised = "authorised" if change["authorised"] else "not authorised"
    who = f"{change['who']} {did[store.what(event)]} {what} on {host_name}{when}"
    return printable(f"{who}; {authorised}: {change['reason']}")[:600]
