# SPDX-License-Identifier: Apache-2.0
r"""ArcSight's Common Event Format, revision 0: `CEF:0|vendor|product|version|id|name|severity|key=value ...`.

In the header `\` and `|` are escaped, in the extension `\` and `=`; a newline in a value is written `\n`, in the
header a blank. Other control characters are made visible first, so that a line is one line whatever a container said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controller.export.item import command_line
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.export.item import Item

MAX_VALUE: Final = 1023
"""Characters of a value: what the dictionary allows most text fields, such as `msg`."""
MAX_NAME: Final = 512
_ESCAPES: Final = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}
_SEVERITIES: Final = {0: 1, 1: 3, 2: 5, 3: 8, 4: 10}


def encode(item: Item) -> str:
    """The item as one line of CEF, without a newline."""
    names, values = _alert(item) if item.what == "alerts" else _event(item)
    told: dict[str, Any] = {
        "rt": item.time // 1_000_000,
        "externalId": item.id,
        "dvchost": item.host,
        "deviceExternalId": item.host_id,
        "cat": item.what.removesuffix("s"),
        "act": item.activity,
        **values,
    }
    if item.emulation or item.test:
        told |= {"cs6Label": "mark", "cs6": "emulation" if item.emulation else "test"}
    head = [
        "CEF:0",
        "nsentry",
        "nsentry",
        "1",
        *(header(each) for each in names),
        str(_SEVERITIES[item.severity]),
    ]
    extension = " ".join(
        f"{key}={extension_value(value)}" for key, value in told.items() if value is not None
    )
    return "|".join(head) + "|" + extension


def header(text: str) -> str:
    r"""A field of the header: no newline, `\` and `|` escaped."""
    one_line = printable(" ".join(text.splitlines()))[:MAX_NAME]
    return one_line.replace("\\", "\\\\").replace("|", "\\|")


def extension_value(value: object) -> str:
    r"""A value of the extension: `\` and `=` escaped, newlines as `\n` and `\r`."""
    return "".join(
        _ESCAPES.get(each) or printable(each).replace("\\", "\\\\") for each in str(value)[:MAX_VALUE]
    )


def _alert(item: Item) -> tuple[tuple[str, str], dict[str, Any]]:
    alert = item.body
    reasons = "; ".join(each["reason"] for each in alert["findings"])
    return (_id(alert["detections"]), alert["title"]), {
        "msg": alert["sentence"],
        "reason": reasons or None,
        "outcome": alert["state"],
        "suser": alert.get("principal") or alert["user"],
        "cnt": alert["events"],
        "start": alert["first_seen_ns"] // 1_000_000,
        "end": alert["last_seen_ns"] // 1_000_000,
        **_container(alert["container"]),
        **_labelled(
            (2, "means", alert["means"]),
            (3, "session", alert["session"]),
            (4, "alert", alert["id"]),
            (5, "detections", ",".join(alert["detections"])),
        ),
    }


def _event(item: Item) -> tuple[tuple[str, str], dict[str, Any]]:
    event = item.body
    process: Mapping[str, Any] = event.get("process") or {}
    values = {
        "msg": command_line(process),
        "dproc": process.get("exe") or process.get("comm"),
        "dpid": process.get("pid", event.get("pid")),
        "duid": process.get("uid"),
        "duser": process.get("user"),
        "filePath": process.get("filename"),
        "outcome": event.get("code"),
        **_container(event.get("container") or {}),
        **_labelled(
            (2, "means", event.get("means")),
            (3, "session", event.get("session")),
            (4, "corrects", item.corrects),
        ),
    }
    return (str(event["kind"]), f"nsentry {event['kind']}"), values


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    named = container.get("name") or container.get("id")
    return {
        "destinationServiceName": named,
        **_labelled((1, "container", container.get("id"))),
        "fileType": container.get("image"),
    }


def _labelled(*fields: tuple[int, str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for number, label, value in fields:
        if value:
            told |= {f"cs{number}Label": label, f"cs{number}": value}
    return told


def _id(detections: list[str]) -> str:
    return detections[0] if detections else "alert"
