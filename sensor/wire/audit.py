# SPDX-License-Identifier: Apache-2.0
"""What a Kubernetes API server's audit says of who was let into containers. Pure: an event in, a saying out.

Here, because both sides read it: the sensor from the API server's log file, the controller from its webhook.
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ . What the events of real API servers (1.20,
1.34) look like: the command is in the query of the URI alone, also at level Metadata, `+` and `%20` for a blank;
exec has no object; status 101 says that the streams were joined, not that the program exists; a client may choose
the audit's id (header Audit-ID), so that by itself it names nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from sensor.wire import audit_writes as writes
from sensor.wire.audit_objects import part, text, texts
from sensor.wire.audit_saying import MAX_QUERY, NotAudit, Redact, Saying, made, nanoseconds, query
from sensor.wire.events import Record
from sensor.wire.parts import Request

MAX_EVENT: Final = 4 * 1024 * 1024
"""Longest event, in bytes: the API server takes requests of 3 MiB, and may tell object and answer."""
STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
LEVELS: Final = ("Metadata", "Request", "RequestResponse")

__all__ = ["LEVELS", "MAX_EVENT", "STAGES", "NotAudit", "Redact", "Saying", "Told", "read", "record", "say"]

_CONNECTING: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "pods/exec": ("exec", "exec_create", "exec_start", "exec_die"),
    "pods/attach": ("attach", "attach_create", "attach", "detach"),
    "pods/portforward": ("port_forward", "port_forward_create", "port_forward", "port_forward_end"),
    "nodes/proxy": ("node_proxy", "node_proxy_create", "node_proxy", "node_proxy_end"),
}
"""Requests that last: what they are called, and when they come, are answered, and end."""
_WRITING: Final = {"create", "update", "patch"}
_DELETING: Final = {"delete", "deletecollection"}
_WORKLOADS: Final = {
    *(
        "daemonsets",
        "deployments",
        "replicasets",
        "statefulsets",
        "jobs",
        "cronjobs",
        "replicationcontrollers",
    )
}
_ROLES: Final = {"roles", "clusterroles"}
_KUBELET: Final = {"run", "exec", "attach", "portForward", "cri"}
"""First words of the kubelet's paths that lead into containers (pkg/kubelet/server/server.go)."""


class Told(NamedTuple):
    """What was read of an event. `said`: when its stage was reached, by the API server's clock, ns."""

    said: int
    saying: Saying | None
    """None: it is about nothing that leads into containers."""


def read(data: bytes, redact: Redact) -> Told:
    """What an event says. Raises NotAudit."""
    if len(data) > MAX_EVENT:
        raise NotAudit(f"an event of {len(data)} bytes, at most {MAX_EVENT} are read")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotAudit(f"not JSON: {error}"[:200]) from error
    return say(document, redact)


def say(document: object, redact: Redact) -> Told:
    """The same of an event that is JSON already."""
    if not isinstance(document, dict) or document.get("kind", "Event") != "Event":
        raise NotAudit("not an audit event")
    if document.get("apiVersion", "audit.k8s.io/v1") != "audit.k8s.io/v1":
        raise NotAudit("not of audit.k8s.io/v1: start the API server with that version of the audit")
    reference = part(document, "objectRef")
    names = [each for name in ("resource", "subresource") if (each := text(reference.get(name), 64))]
    resource, verb = "/".join(names), text(document.get("verb"), 32) or ""
    request = _request(
        document, resource, verb
    )  # before it is passed by: what is no event must not look like one
    group = text(reference.get("apiGroup"), 128) or ""
    say_more = _about(group, resource, verb)
    return Told(request["said"], None if say_more is None else say_more(document, request, redact))


def record(saying: Saying, event_id: str, place: str, owner: int, read_at: int, mono: int) -> Record:
    """The event of the wire. `read_at` by the clock of who read it, ns; `mono` since it booted."""
    return Record(
        id=event_id, time=saying.time, mono=mono, kind="record", source="kubernetes", place=place, key=saying.key,
        action=saying.action, owner=owner, container_id=None, exec_id=saying.request["audit_id"], pid=None,
        command=saying.command, code=None, read=read_at, detail=saying.detail, request=saying.request,
    )  # fmt: skip


_Sayer = Callable[[dict[str, Any], Request, Redact], Saying | None]


def _about(group: str, resource: str, verb: str) -> _Sayer | None:
    if not group and resource in _CONNECTING:
        return _node_proxy if resource == "nodes/proxy" else _connection
    if not group and resource == "pods/ephemeralcontainers" and verb in _WRITING:
        return writes.debug_container
    if not group and resource == "pods" and verb == "create":
        return writes.workload
    if group in {"", "apps", "batch", "extensions"} and resource in _WORKLOADS and verb in _WRITING:
        return writes.workload
    if group == "rbac.authorization.k8s.io" and resource in _ROLES | writes.BINDINGS:
        return writes.grant if verb in _WRITING else writes.taken if verb in _DELETING else None
    return None


def _request(document: Mapping[str, Any], resource: str, verb: str) -> Request:
    """What all requests tell. Raises NotAudit where it lacks what every event has."""
    user_info = part(document, "user")
    audit_id, user = text(document.get("auditID"), 128), text(user_info.get("username"))
    stage, level = document.get("stage"), document.get("level")
    if audit_id is None or stage not in STAGES or level not in LEVELS or not verb:
        raise NotAudit("an event without auditID, stage, level or verb")
    came, said = document.get("requestReceivedTimestamp"), document.get("stageTimestamp")
    uri = document.get("requestURI")
    named = "\0".join(str(each) for each in (audit_id, came, user, verb, uri))
    reference, status = part(document, "objectRef"), part(document, "responseStatus").get("code")
    annotations = part(document, "annotations")
    decision = annotations.get("authorization.k8s.io/decision")
    whom = part(document, "impersonatedUser")
    code = status if isinstance(status, int) and not isinstance(status, bool) and 0 < status < 1000 else None
    name, pods = text(reference.get("name")), resource.partition("/")[0] == "pods"
    return Request(
        id=blake2b(named.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest(),
        audit_id=audit_id, level=level, stage=stage, verb=verb, resource=resource,
        namespace=text(reference.get("namespace")), name=name, pod=name if pods else None, container=None,
        node=name if resource == "nodes/proxy" else None, user=user or "", groups=texts(user_info.get("groups")),
        impersonated=text(whom.get("username")), impersonated_groups=texts(whom.get("groups")),
        addresses=texts(document.get("sourceIPs"), 16), agent=text(document.get("userAgent")), code=code,
        allowed={"allow": True, "forbid": False}.get(str(decision)),
        reason=text(annotations.get("authorization.k8s.io/reason"), 512), said=nanoseconds(said),
        terminal=None, whole=False, absent=None, settings=None, role=None, subjects=[], grants=[],
    )  # fmt: skip


def _connection(document: dict[str, Any], request: Request, redact: Redact) -> Saying:
    """exec, attach, port-forward: a request for each stage of which something can be said."""
    name, *stages = _CONNECTING[request["resource"]]
    at = min(STAGES.index(request["stage"]), 2)
    saying = made(document, request, name if (request["code"] or 0) >= 400 else stages[at])
    query(saying, str(document.get("requestURI", "")), "command", redact)
    return saying


def _node_proxy(document: dict[str, Any], request: Request, redact: Redact) -> Saying | None:
    """Through the API server to a kubelet's own address, where its path leads into a container."""
    uri = str(document.get("requestURI", ""))[:MAX_QUERY]
    steps = [
        step
        for step in unquote(uri.partition("?")[0], errors="backslashreplace").split("/")
        if step not in {"", "."}
    ]
    at = steps.index("proxy") + 1 if "proxy" in steps else len(steps)
    way = steps[at:]
    if not way or way[0] not in _KUBELET:
        if ".." not in way and not _KUBELET & set(way[:3]):
            return None  # its metrics, its logs, its list of pods
        way = []
    saying = _connection(document, request, redact)
    request["absent"] = None
    saying.detail = {"through": way[0]} if way else {"through": "/".join(steps[at:])[:256]}
    # run/NAMESPACE/POD/CONTAINER, with the pod's uid before the container or without
    if len(way) >= 3 and way[0] != "cri":
        request["namespace"], request["pod"] = text(way[1]), text(way[2])
        request["container"] = text(way[-1]) if len(way) > 3 and way[0] != "portForward" else None
    query(saying, uri, "cmd" if way and way[0] == "run" else "command", redact)
    return saying
