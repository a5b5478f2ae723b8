# SPDX-License-Identifier: Apache-2.0
"""OCSF 1.5.0 (schema.ocsf.io/1.5.0): Detection Finding 2004, Process Activity 1007, and Base Event 0 for the rest.

Profiles `container` and `host`. Attributes that OCSF has no place for are in `unmapped`, under nsentry's names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controller.detect import attack
from controller.export.item import command_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.export.item import Item

VERSION: Final = "1.5.0"
PROFILES: Final = ("container", "host")
_SEVERITIES: Final = {
    0: (1, "Informational"),
    1: (2, "Low"),
    2: (3, "Medium"),
    3: (4, "High"),
    4: (5, "Critical"),
}
_ACTIVITIES: Final = {"create": (1, "Create"), "update": (2, "Update"), "close": (3, "Close")}
_STATES: Final = {
    "new": (1, "New"),
    "acknowledged": (2, "In Progress"),
    "investigating": (2, "In Progress"),
    "true_positive": (4, "Resolved"),
    "benign_true_positive": (4, "Resolved"),
    "false_positive": (3, "Suppressed"),
}
LAUNCH: Final = frozenset({"entry", "command", "escape", "start"})
TERMINATE: Final = frozenset({"exit", "stop"})
_FILE: Final = 1
"""file.type_id: a regular file."""
_SERVER: Final = 1
_LINUX: Final = 200
_RULE: Final = 1
"""analytic.type_id."""


def encode(item: Item) -> dict[str, Any]:
    """The item as an OCSF event. What is not known is left out, never null."""
    return _finding(item) if item.what == "alerts" else _activity(item)


def _finding(item: Item) -> dict[str, Any]:
    alert = item.body
    state = _STATES.get(str(alert["state"]), (99, str(alert["state"])))
    return _known(
        {
            **_base(item, 2004, "Detection Finding", (2, "Findings"), _ACTIVITIES[item.activity]),
            "status_id": state[0],
            "status": state[1],
            "status_detail": alert.get("close_reason"),
            "message": alert["sentence"],
            "comment": (item.detail or {}).get("text") or (item.detail or {}).get("reason"),
            "is_alert": True,
            "count": alert["events"] or 1,
            "start_time": _ms(alert["first_seen_ns"]),
            "end_time": _ms(alert["last_seen_ns"]),
            "finding_info": _info(item),
            "evidences": [_evidence(item, each) for each in alert["findings"]] or None,
            "resources": [_container_resource(alert["container"])] if alert["container"]["id"] else None,
            "unmapped": _known(
                {
                    "action": item.action,
                    "session": alert["session"],
                    "means": alert["means"],
                    "state": alert["state"],
                    "user": alert.get("principal") or alert["user"],
                    "assignee": alert["assignee"],
                    **_marks(item),
                }
            ),
        }
    )


def _info(item: Item) -> dict[str, Any]:
    alert = item.body
    return _known(
        {
            "uid": alert["id"],
            "title": alert["title"],
            "desc": alert["sentence"],
            "first_seen_time": _ms(alert["first_seen_ns"]),
            "last_seen_time": _ms(alert["last_seen_ns"]),
            "created_time": _ms(alert["raised_ns"]),
            "modified_time": _ms(item.time),
            "types": list(alert["detections"]) or None,
            "related_analytics": [
                {"uid": each, "name": each, "type_id": _RULE, "type": "Rule"} for each in alert["detections"]
            ]
            or None,
            "analytic": _first(
                {"uid": each, "name": each, "type_id": _RULE, "type": "Rule"} for each in alert["detections"]
            ),
            "attacks": _attacks(alert.get("techniques", ())) or None,
            "related_events": [{"uid": each["event"]} for each in alert["findings"]] or None,
        }
    )


def _attacks(techniques: Iterable[str]) -> list[dict[str, Any]]:
    known = attack.techniques()
    told = []
    for uid in techniques:
        technique = {"uid": uid, "name": known[uid].name} if uid in known else {"uid": uid}
        key = "sub_technique" if "." in uid else "technique"
        told.append({key: technique, "version": "18.1"})
    return told


def _evidence(item: Item, finding: Mapping[str, Any]) -> dict[str, Any]:
    data = {"reason": finding["reason"], "severity": finding["severity"], "fields": dict(finding["fields"])}
    return {"name": finding["detection"], "uid": finding["event"], "data": data, "device": _device(item)}


def _activity(item: Item) -> dict[str, Any]:
    event = item.body
    process = event.get("process")
    kind = str(event["kind"])
    ended = {"pid": event["pid"]} if kind == "exit" else None
    if process is None and ended is None:
        return _other(item)
    activity = (1, "Launch") if kind in LAUNCH else (2, "Terminate")
    container = event.get("container")
    told = _process(process, container) if process else {"pid": event["pid"], "uid": _name(event)}
    actor = event.get("entered_by") or _first(event.get("ancestry") or ())
    return _known(
        {
            **_base(item, 1007, "Process Activity", (1, "System Activity"), activity),
            "message": None if process is None else command_line(process),
            "process": told,
            "actor": {"process": _ancestor(actor)} if actor else {"app_name": "unknown"},
            "device": _device(item),
            "exit_code": event.get("code"),
            "unmapped": _unmapped(item, ("process", "container", "entered_by", "code", "pid")),
        }
    )


def _other(item: Item) -> dict[str, Any]:
    """What is no process' beginning or end has no class of its own here: a base event, nothing of it left out."""
    return _known(
        {
            **_base(item, 0, "Base Event", (0, "Uncategorized"), (99, item.action)),
            "device": _device(item),
            "unmapped": _unmapped(item, ()),
        }
    )


def _base(
    item: Item, class_uid: int, name: str, category: tuple[int, str], activity: tuple[int, str]
) -> dict[str, Any]:
    severity = _SEVERITIES[item.severity]
    return {
        "metadata": _known(
            {
                "version": VERSION,
                "uid": item.id,
                "correlation_uid": item.corrects or item.body.get("session"),
                "product": {"name": "nsentry", "vendor_name": "nsentry"},
                "profiles": list(PROFILES),
                "sequence": item.seq,
                "labels": [name for name, on in _marks(item).items() if on] or None,
            }
        ),
        "time": _ms(item.time),
        "class_uid": class_uid,
        "class_name": name,
        "category_uid": category[0],
        "category_name": category[1],
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": class_uid * 100 + activity[0],
        "type_name": f"{name}: {activity[1]}",
        "severity_id": severity[0],
        "severity": severity[1],
    }


def _process(process: Mapping[str, Any], container: Mapping[str, Any] | None) -> dict[str, Any]:
    path = process.get("exe") or process.get("filename")
    return _known(
        {
            "pid": process["pid"],
            "name": process["comm"],
            "uid": f"{process['pid']}-{process['start']}",
            "cmd_line": command_line(process),
            "path": path,
            "file": _file(path),
            "working_directory": process.get("cwd"),
            "user": _user(process),
            "session": {"terminal": process["tty"]} if process.get("tty") else None,
            "container": _container(container),
            "parent_process": {"pid": process["ppid"]} if "ppid" in process else None,
        }
    )


def _ancestor(process: Mapping[str, Any]) -> dict[str, Any]:
    return _known(
        {
            "pid": process["pid"],
            "name": process["comm"],
            "uid": f"{process['pid']}-{process['start']}",
            "cmd_line": command_line(process),
            "path": process.get("exe"),
            "file": _file(process.get("exe")),
            "user": _user(process),
        }
    )


def _file(path: str | None) -> dict[str, Any] | None:
    return {"name": path.rpartition("/")[2] or path, "path": path, "type_id": _FILE} if path else None


def _user(process: Mapping[str, Any]) -> dict[str, Any] | None:
    return _known({"uid": str(process["uid"]), "name": process.get("user")})


def _container(container: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if container is None or not (container["id"] or container["name"]):
        return None
    pod = container.get("pod") or {}
    return _known(
        {
            "uid": container["id"],
            "name": container["name"],
            "runtime": container.get("runtime"),
            "image": {"uid": container["image"], "name": container["image"]} if container["image"] else None,
            "pod_uuid": pod.get("uid"),
            "orchestrator": "Kubernetes" if pod else None,
        }
    )


def _container_resource(container: Mapping[str, Any]) -> dict[str, Any]:
    data = {"image": container["image"]} if container["image"] else None
    return _known({"uid": container["id"], "name": container["name"], "type": "container", "data": data})


def _device(item: Item) -> dict[str, Any]:
    os = {"name": "Linux", "type_id": _LINUX, "type": "Linux"}
    return {
        "uid": item.host_id,
        "hostname": item.host,
        "name": item.host,
        "type_id": _SERVER,
        "type": "Server",
        "os": os,
    }


def _unmapped(item: Item, mapped: tuple[str, ...]) -> dict[str, Any]:
    rest = {name: value for name, value in item.body.items() if name not in (*mapped, "id", "time")}
    return _known({**rest, **_marks(item)})


def _marks(item: Item) -> dict[str, bool]:
    return {
        name: on for name, on in (("nsentry:emulation", item.emulation), ("nsentry:test", item.test)) if on
    }


def _name(event: Mapping[str, Any]) -> str:
    return f"{event['pid']}-{event['start']}"


def _first(values: Iterable[Any]) -> Any:  # noqa: ANN401 - whatever they are
    return next(iter(values), None)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _ms(ns: int) -> int:
    return ns // 1_000_000
