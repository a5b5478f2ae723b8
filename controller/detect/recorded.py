# SPDX-License-Identifier: Apache-2.0
"""A visit that really happened, written down as a test of a detection: the other way round than `examples`.

Only what rules look at and what differs from base.yaml is written. Ids, pids and times are not: a test counts
them up by itself.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import yaml

from controller.detect.examples import BASE
from controller.detect.rule import ADMIN_MEANS, value_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.detect.rule import Event

PROGRAM: Final = ("process.exe", "process.filename", "process.argv", "process.cwd", "process.tty")
"""What most rules look at."""
PRIVILEGE: Final = (
    "process.uid",
    "process.user",
    "process.caps",
    "container.user",
    "container.caps",
    "container.privileged",
)
WAY: Final = (
    "means",
    "namespaces",
    "verdict",
    "container.runtime",
    "entered_by.exe",
    "entered_by.comm",
    "entered_by.argv",
    "entered_by.side",
)
"""How somebody came in: written of the event that opens the visit, where it is not as base.yaml has it."""
_PLAIN: Final = re.compile(r"[\w./:@+=-]+")


def example(name: str, fires: str, events: Iterable[Event], *, privilege: bool = False) -> str:
    """The text of a test called `name` that must give `fires`; `privilege` adds users and capabilities."""
    lines = [f"- name: {_scalar(name)}", f"  fires: {fires}", "  visit:"]
    for event in events:
        kind = _base_name(event)
        if kind is not None:
            lines.append(f"    - {kind}: {_flow(_differences(event, kind, privilege=privilege))}")
    return "\n".join(lines) + "\n"


def _base_name(event: Event) -> str | None:
    """Which event of base.yaml is the nearest; None for a kind that rules do not see."""
    kind = str(event["kind"])
    if kind == "entry":
        return "docker-exec" if event["means"] in {*ADMIN_MEANS, "probe"} else "ns-join"
    return kind if kind in _base() else None


def _differences(event: Event, kind: str, *, privilege: bool) -> dict[str, Any]:
    base = _base()[kind]
    opens = event["kind"] != "command"
    asked = event.get("means") in {
        *ADMIN_MEANS,
        "probe",
    }  # what a runtime's own command line says is no evidence
    way = tuple(path for path in WAY if not (asked and path.startswith("entered_by."))) if opens else ()
    paths = (*way, *PROGRAM, *(PRIVILEGE if privilege else ()))
    known = [path for path in paths if path.partition(".")[0] in event and path.partition(".")[0] in base]
    return {path: value_at(event, path) for path in known if value_at(event, path) != value_at(base, path)}


def _flow(paths: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{path}: {_value(value)}" for path, value in paths.items()) + "}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None or isinstance(value, bool | int):
        return "null" if value is None else str(value).lower()
    return _scalar(str(value))


def _scalar(text: str) -> str:
    """`text` as YAML, plain where it reads back as the same text."""
    if _PLAIN.fullmatch(text.replace(" ", "")) and text.strip() == text and ": " not in text:
        loaded = yaml.safe_load(f"[{text}]") if not text.endswith(":") else None
        if loaded == [text]:
            return text
    return (
        '"'
        + "".join(_ESCAPES.get(each, each) if each.isprintable() else _escaped(each) for each in text)
        + '"'
    )


def _escaped(character: str) -> str:
    return _ESCAPES.get(character) or f"\\U{ord(character):08x}"


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@cache
def _base() -> dict[str, Event]:
    loaded: dict[str, Event] = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    return loaded
