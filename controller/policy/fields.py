# SPDX-License-Identifier: Apache-2.0
"""The fields that an exception's expression may look at, and the subject that holds their values for one finding.

What is documented here is what there is: a field is named once, with its type and meaning, and read in one place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from controller.policy.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

Type = Literal["text", "texts", "number", "level", "boolean", "address"]
LEVELS: Final = ("low", "medium", "high", "critical")
LABELS: Final = "container.labels"


class Field(NamedTuple):
    """Of which type a field is, and what it says."""

    type: Type
    meaning: str


FIELDS: Final[dict[str, Field]] = {
    "detection": Field("text", "the detection that found it: network_tool"),
    "severity": Field("level", "the finding's: low, medium, high, critical"),
    "reason": Field("text", "why it fired"),
    "host": Field("text", "the host's name"),
    "kind": Field("text", "the event: entry, attempt, command, escape, configuration, ..."),
    "means": Field("text", "the way in: docker-exec, ns-join, ..."),
    "verdict": Field("text", "both, ns-only, cgroup-only, shared, unknown"),
    "namespaces": Field("texts", "the kinds of namespace that were joined"),
    "record": Field("text", "of the visit: recorded, awaited, unrecorded, unchecked"),
    "principal": Field("text", "who came in, by the best evidence"),
    "principal.kind": Field("text", "person, service, cron, kubernetes, container"),
    "source": Field("address", "the address that the principal came from"),
    "login.user": Field("text", "name of the login that the process descends from"),
    "login.uid": Field("number", "and its number"),
    "container.id": Field("text", "64 hex digits"),
    "container.name": Field("text", "as the runtime has it"),
    "container.image": Field("text", "as it was asked for: nginx:1.27"),
    "container.runtime": Field("text", "docker, containerd, cri, podman, ..."),
    LABELS: Field("text", 'one label: container.labels["app"], or container.labels.app'),
    "container.privileged": Field("boolean", "whether it runs privileged"),
    "pod": Field("text", "namespace/name of the Kubernetes pod"),
    "pod.namespace": Field("text", "its namespace"),
    "pod.name": Field("text", "its name"),
    "process.exe": Field("text", "the file that runs: /bin/busybox"),
    "process.filename": Field("text", "the path that was executed: /bin/sh"),
    "process.argv": Field("texts", "the words of its command line"),
    "process.command": Field("text", "the command line with blanks between the words"),
    "process.cwd": Field("text", "its working folder"),
    "process.user": Field("text", "the user that it runs as"),
    "process.uid": Field("number", "and its number"),
    "process.tty": Field("text", "its terminal: pts/0"),
    "entry.command": Field("text", "the command line of what the visit began with"),
    "entered_by.exe": Field("text", "the file of the process outside that entered"),
    "entered_by.command": Field("text", "its command line"),
    "hour": Field("number", "0 to 23, UTC, of the event"),
    "weekday": Field("text", "mon, tue, wed, thu, fri, sat, sun, UTC"),
}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class About(NamedTuple):
    """What surrounds an event: the visit's entry, the host's name, what is known of record and principal."""

    host: str
    entry: Mapping[str, Any] | None = None
    record: str | None = None
    principal: Principal = Principal()


def subject(
    event: Mapping[str, Any], about: About, finding: tuple[str, str, str] | None = None
) -> dict[str, Any]:
    """The values of all fields for one event, and the finding (detection, severity, reason) made on it.

    What the event itself does not carry, a command its container, is its visit's.
    """
    entry = about.entry or {}
    moment = datetime.fromtimestamp(event["time"] // 1_000_000_000, UTC)
    login = event.get("login") or entry.get("login") or {}
    detection, severity, reason = finding or (None, None, None)
    return {
        "detection": detection,
        "severity": severity,
        "reason": reason,
        "host": about.host,
        "kind": event["kind"],
        "means": event.get("means") or entry.get("means"),
        "verdict": event.get("verdict") or entry.get("verdict"),
        "namespaces": _tuple(event.get("namespaces", entry.get("namespaces"))),
        "record": about.record,
        "principal": about.principal.name,
        "principal.kind": about.principal.kind,
        "source": about.principal.source,
        "login.user": login.get("user"),
        "login.uid": login.get("uid"),
        **_container(event.get("container") or entry.get("container") or _asked(event)),
        **_process(event.get("process") or {}),
        "entry.command": _line((entry.get("process") or {}).get("argv")),
        **_outside(event.get("entered_by") or entry.get("entered_by") or {}),
        "hour": moment.hour,
        "weekday": _DAYS[moment.weekday()],
    }


def _asked(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a request to an API server, the pod that it is about: it has no container of a host."""
    request = event.get("request") or {}
    if not request.get("namespace") or not request.get("pod"):
        return {}
    return {"pod": {"namespace": request["namespace"], "name": request["pod"]}}


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    pod = container.get("pod")
    return {
        **{f"container.{name}": container.get(name) for name in ("id", "name", "image", "runtime")},
        LABELS: container.get("labels"),
        "container.privileged": container.get("privileged"),
        "pod": f"{pod['namespace']}/{pod['name']}" if pod else None,
        "pod.namespace": pod["namespace"] if pod else None,
        "pod.name": pod["name"] if pod else None,
    }


def _process(process: Mapping[str, Any]) -> dict[str, Any]:
    own = {f"process.{name}": process.get(name) for name in ("exe", "filename", "cwd", "user", "uid", "tty")}
    argv = process.get("argv")
    # Of a command line that was cut it is not known what else it has.
    whole = None if process.get("argv_cut") else argv
    return {**own, "process.argv": _tuple(whole), "process.command": _line(whole)}


def _outside(process: Mapping[str, Any]) -> dict[str, Any]:
    return {"entered_by.exe": process.get("exe"), "entered_by.command": _line(process.get("argv"))}


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _line(argv: list[str] | None) -> str | None:
    return None if argv is None else " ".join(argv)
