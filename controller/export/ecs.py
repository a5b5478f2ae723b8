# SPDX-License-Identifier: Apache-2.0
"""Elastic Common Schema 8.17 (elastic.co/guide/en/ecs): nested fields; what ECS has no field for is under `nsentry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controller.export.item import command_line
from controller.store.views import SEVERITIES, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.export.item import Item

VERSION: Final = "8.17.0"
_SCORES: Final = {0: 0, 1: 21, 2: 47, 3: 73, 4: 99}
"""event.risk_score and event.severity as Elastic's own detections use them."""
_TYPES: Final = {
    "entry": ["start"],
    "command": ["start"],
    "escape": ["start"],
    "start": ["start"],
    "exit": ["end"],
    "stop": ["end"],
    "session_end": ["end"],
}


def encode(item: Item) -> dict[str, Any]:
    """The item as an ECS document. What is not known is left out."""
    document = _alert(item) if item.what == "alerts" else _event(item)
    tags = [name for name, on in (("nsentry-emulation", item.emulation), ("nsentry-test", item.test)) if on]
    return _known(
        {
            "@timestamp": rfc3339(item.time),
            "ecs": {"version": VERSION},
            "host": {"id": item.host_id, "name": item.host, "hostname": item.host, "os": {"type": "linux"}},
            "observer": {"product": "nsentry", "vendor": "nsentry", "type": "sensor"},
            "tags": tags or None,
            **document,
        }
    )


def _alert(item: Item) -> dict[str, Any]:
    alert = item.body
    return {
        "message": alert["sentence"],
        "event": {
            "id": item.id,
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"] if item.activity == "create" else ["change"],
            "action": item.action,
            "module": "nsentry",
            "dataset": "nsentry.alert",
            "sequence": item.seq,
            "severity": _SCORES[item.severity],
            "risk_score": _SCORES[item.severity],
            "start": alert["first_seen"],
            "end": alert["last_seen"],
            "reason": alert["title"],
        },
        "rule": {"name": alert["title"], "id": ",".join(alert["detections"])},
        "threat": {"framework": "MITRE ATT&CK", "technique": {"id": list(alert.get("techniques", ()))}},
        "container": _container(alert["container"]),
        "user": _known({"name": alert.get("principal") or alert["user"]}),
        "nsentry": {
            "alert": {
                **{name: alert[name] for name in ("id", "state", "session", "means", "assignee")},
                "severity": SEVERITIES[alert["severity_level"]],
                "activity": item.activity,
                "close_reason": alert["close_reason"],
                "findings": [_finding(each) for each in alert["findings"]],
            },
            "emulation": item.emulation,
            "test": item.test,
        },
    }


def _event(item: Item) -> dict[str, Any]:
    event = item.body
    process = event.get("process")
    container = event.get("container")
    parent = event.get("entered_by")
    mapped = ("process", "container")
    return {
        "message": command_line(process),
        "event": {
            "id": item.id,
            "kind": "event",
            "category": ["process"],
            "type": _TYPES.get(str(event["kind"]), ["info"]),
            "action": event["kind"],
            "module": "nsentry",
            "dataset": "nsentry.event",
            "sequence": item.seq,
        },
        "process": _process(process, parent) if process else None,
        "user": _known({"id": str(process["uid"]), "name": process["user"]}) if process else None,
        "container": _container(container) if container else None,
        "nsentry": {
            "event": {name: value for name, value in event.items() if name not in mapped},
            "corrects": item.corrects,
            "emulation": item.emulation,
        },
    }


def _process(process: Mapping[str, Any], parent: Mapping[str, Any] | None) -> dict[str, Any]:
    return _known(
        {
            "pid": process["pid"],
            "entity_id": f"{process['pid']}-{process['start']}",
            "name": process["comm"],
            "executable": process["exe"],
            "args": process["argv"],
            "args_count": len(process["argv"]) if process["argv"] is not None else None,
            "command_line": command_line(process),
            "working_directory": process.get("cwd"),
            "parent": _known(
                {
                    "pid": parent["pid"],
                    "name": parent["comm"],
                    "executable": parent["exe"],
                    "args": parent["argv"],
                }
            )
            if parent
            else _known({"pid": process.get("ppid")}),
        }
    )


def _container(container: Mapping[str, Any]) -> dict[str, Any] | None:
    image = {"name": container["image"]} if container["image"] else None
    return _known(
        {
            "id": container["id"],
            "name": container["name"],
            "image": image,
            "runtime": container.get("runtime"),
            # ECS: dots in a label's name would make objects of it.
            "labels": {
                name.replace(".", "_"): value for name, value in (container.get("labels") or {}).items()
            }
            or None,
        }
    )


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{"path": path, "value": str(value)} for path, value in finding["fields"].items()]
    return {
        **{name: finding[name] for name in ("detection", "severity", "event", "time", "reason")},
        "fields": fields,
    }


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
