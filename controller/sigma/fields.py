# SPDX-License-Identifier: Apache-2.0
"""Sigma's field names in ours, for each of the three kinds of log that nsentry can stand for.

A field gives all values that it may be called by: a busybox is `/bin/sh` and `/bin/busybox`. Comparing asks whether
any of them matches; no value at all matches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from controller.detect.rule import value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controller.detect.rule import Event, Visit

Values: TypeAlias = "list[Any]"
Reader: TypeAlias = "Callable[[Visit, Event], Values]"

OWN: Final = ("process.", "container.", "entered_by.", "login.", "request.", "settings.")
"""Beginnings of nsentry's own dotted paths, which a rule may use as fields."""
OWN_NAMES: Final = frozenset({"means", "verdict", "kind", "host"})

_GROUPS: Final = {
    "rbac.authorization.k8s.io": "roles rolebindings clusterroles clusterrolebindings",
    "apps": "deployments daemonsets statefulsets replicasets",
    "batch": "jobs cronjobs",
    "admissionregistration.k8s.io": "validatingwebhookconfigurations mutatingwebhookconfigurations",
    "": "pods nodes secrets configmaps serviceaccounts namespaces events services",
}
_GROUP_OF: Final = {name: group for group, names in _GROUPS.items() for name in names.split()}


def reader(kind: str, field: str) -> Reader | None:
    """How to read `field` of events of this kind of log ("process", "network", "kubernetes"); None: not known here."""
    known = FIELDS[kind].get(field.lower())
    if known is not None:
        return known
    if field.startswith(OWN) or field in OWN_NAMES:
        return lambda _visit, event: _listed(value_at(event, field))
    return None


def _listed(value: object) -> Values:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _path(*paths: str) -> Reader:
    def read(_visit: Visit, event: Event) -> Values:
        return [each for path in paths for each in _listed(value_at(event, path))]

    return read


def _joined(*paths: str) -> Reader:
    def read(_visit: Visit, event: Event) -> Values:
        lines = [value_at(event, path) for path in paths]
        return [" ".join(each) for each in lines if isinstance(each, list) and each]

    return read


def _parent(visit: Visit, event: Event) -> Mapping[str, Any] | None:
    """The process above: in the session, or the one outside that came in."""
    if event["kind"] != "command":
        above: Mapping[str, Any] | None = event.get("entered_by")
        return above
    earlier = [each["process"] for each in visit.executions if each.get("process") is not None]
    return next((each for each in reversed(earlier) if each["pid"] == event["parent"]), None)


def _of_parent(*names: str) -> Reader:
    def read(visit: Visit, event: Event) -> Values:
        parent = _parent(visit, event)
        return [] if parent is None else [parent[name] for name in names if parent.get(name) is not None]

    return read


def _parent_line(visit: Visit, event: Event) -> Values:
    parent = _parent(visit, event)
    return [" ".join(parent["argv"])] if parent is not None and parent.get("argv") else []


def _resource(_visit: Visit, event: Event) -> Values:
    return _listed(str(value_at(event, "request.resource") or "").partition("/")[0] or None)


def _subresource(_visit: Visit, event: Event) -> Values:
    return _listed(str(value_at(event, "request.resource") or "").partition("/")[2] or None)


def _group(visit: Visit, event: Event) -> Values:
    return [_GROUP_OF[each] for each in _resource(visit, event) if each in _GROUP_OF]


def _uri(visit: Visit, event: Event) -> Values:
    """Made again of its parts, as a client of version 1 writes it: the record has the parts alone."""
    kind = "".join(_resource(visit, event))
    if not kind:
        return []
    group = _GROUP_OF.get(kind, "")
    space = value_at(event, "request.namespace")
    name = value_at(event, "request.name")
    parts = [
        *(["apis", group] if group else ["api"]),
        "v1",
        *(["namespaces", space] if space else []),
        kind,
        *([name] if name else []),
        *_subresource(visit, event),
    ]
    asked = [("command", each) for each in _listed(value_at(event, "command"))]
    asked += [("container", each) for each in _listed(value_at(event, "request.container"))]
    path = "".join(f"/{quote(str(part), safe='')}" for part in parts)
    return [f"{path}?{urlencode(asked)}" if asked else path]


def _decision(_visit: Visit, event: Event) -> Values:
    allowed = value_at(event, "request.allowed")
    return [] if allowed is None else ["allow" if allowed else "forbid"]


def _capabilities(_visit: Visit, event: Event) -> Values:
    names = [str(each) for each in _listed(value_at(event, "request.settings.capabilities"))]
    return [*names, *(each.removeprefix("CAP_") for each in names)]


def _host_paths(_visit: Visit, event: Event) -> Values:
    return [each["source"] for each in _listed(value_at(event, "request.settings.mounts"))]


def _is_six(_visit: Visit, event: Event) -> Values:
    return [":" in str(each) for each in _listed(event.get("address"))]


_PROCESS: Final[dict[str, Reader]] = {
    "image": _path("process.filename", "process.exe", "filename", "exe"),
    "commandline": _joined("process.argv", "argv"),
    "parentimage": _of_parent("filename", "exe"),
    "parentcommandline": _parent_line,
    "parentprocessid": _of_parent("pid"),
    "user": _path("process.user", "process.uid", "uid"),
    "userid": _path("process.uid", "uid"),
    "currentdirectory": _path("process.cwd"),
    "processid": _path("process.pid"),
    "processname": _path("process.comm", "comm"),
    "logonid": _path("login.session"),
    "logonuser": _path("login.user", "login.uid"),
}
_NETWORK: Final[dict[str, Reader]] = {
    "image": _path("exe", "filename", "process.exe"),
    "commandline": _joined("argv", "process.argv"),
    "user": _path("uid", "process.uid"),
    "processname": _path("comm", "process.comm"),
    "processid": _path("process.pid"),
    "destinationip": _path("address"),
    "destinationport": _path("port"),
    "destinationisipv6": _is_six,
    "protocol": _path("protocol"),
    "initiated": lambda _visit, _event: [True],
}
_KUBERNETES: Final[dict[str, Reader]] = {
    "verb": _path("request.verb"),
    "objectref.resource": _resource,
    "objectref.subresource": _subresource,
    "objectref.namespace": _path("request.namespace"),
    "objectref.name": _path("request.name"),
    "objectref.apigroup": _group,
    "resource": _resource,
    "subresource": _subresource,
    "namespace": _path("request.namespace"),
    "apigroup": _group,
    "user.username": _path("request.user"),
    "username": _path("request.user"),
    "user.groups": _path("request.groups"),
    "impersonateduser.username": _path("request.impersonated"),
    "impersonateduser.groups": _path("request.impersonated_groups"),
    "sourceips": _path("request.addresses"),
    "useragent": _path("request.agent"),
    "requesturi": _uri,
    "responsestatus.code": _path("request.code"),
    "stage": _path("request.stage"),
    "level": _path("request.level"),
    "auditid": _path("request.audit_id"),
    "annotations.authorization.k8s.io/decision": _decision,
    "annotations.authorization.k8s.io/reason": _path("request.reason"),
    "capabilities": _capabilities,
    "hostpath": _host_paths,
    "command": _path("command"),
}
FIELDS: Final = {"process": _PROCESS, "network": _NETWORK, "kubernetes": _KUBERNETES}

KINDS: Final = {
    "process": frozenset({"entry", "escape", "command", "activity"}),
    "network": frozenset({"activity", "connection"}),
    "kubernetes": frozenset({"record"}),
}
"""The kinds of event that stand for each kind of log."""


def concerns(kind: str, event: Event) -> bool:
    """Whether the event is one of this kind of log."""
    if event["kind"] == "activity":
        return bool(event["what"] == ("connect" if kind == "network" else "exec"))
    if event["kind"] == "connection":
        return event["what"] in {"connect", "send"}
    if event["kind"] == "record":
        return event.get("request") is not None
    return event.get("process") is not None


def log_kind(product: str | None, category: str | None, service: str | None) -> str | None:
    """Which kind of log a rule's `logsource` means; None: none that nsentry can stand for."""
    if product == "kubernetes" and (service or category) in {"audit", "application"}:
        return "kubernetes"
    if product in {"linux", None} and service is None:
        return {"process_creation": "process", "network_connection": "network"}.get(category or "")
    return None
