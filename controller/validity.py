# SPDX-License-Identifier: Apache-2.0
"""What a well-made event is beyond the types of its fields: how long its texts, how large its numbers.

Everything behind this may rely on it. The sensor keeps these bounds itself; what breaks them was not sent by
a sensor that works, and is refused rather than cut, so that nobody takes a cut text for the whole one.

Rules for single fields stand by structure, never by name alone: names inside `labels` and other free maps are
chosen by whoever made the container, and must not be able to have his entry refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ITEMS: Final = 512
"""Longest list (`wire.MAX_ARGS`), most keys of a map."""
MAX_DEPTH: Final = 12
"""Nesting; an event of ours has 4 levels."""
MAX_ID: Final = 160
"""Longest id of an event, a session or a container."""
MAX_INT: Final = 2**63 - 1
"""What a database's integer holds."""


class InvalidError(ValueError):
    """A value that breaks a bound; the message begins with its path."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{wire.printable(path[:200])}: {problem}")


def check_values(value: object, path: str = "$") -> None:
    """Raises InvalidError unless everything in `value` is plain JSON within the bounds."""
    _check(value, path, MAX_DEPTH)


def check_event(event: Mapping[str, Any], path: str = "$") -> None:
    """Raises InvalidError unless `event`, whose types were validated, keeps all bounds."""
    check_values(event, path)
    for place, inner, rules in _structures(event, path):
        for name, rule in rules.items():
            value = inner.get(name)
            problem = None if value is None else rule(value)
            if problem is not None:
                raise InvalidError(f"{place}.{name}", problem)


def _check(value: object, path: str, depth: int) -> None:
    if depth == 0:
        raise InvalidError(path, f"nested more than {MAX_DEPTH} levels deep")
    match value:
        case None | bool():
            pass
        case str():
            if len(value) > wire.MAX_TEXT:
                raise InvalidError(path, f"text of {len(value)} characters, at most {wire.MAX_TEXT}")
        case int():
            if not -MAX_INT <= value <= MAX_INT:
                raise InvalidError(path, "number that does not fit into 64 bits")
        case float():
            if not math.isfinite(value):
                raise InvalidError(path, "not a finite number")
        case list() | dict():
            _check_inside(value, path, depth)
        case _:
            raise InvalidError(path, f"a value of type {type(value).__name__} has no place here")


def _check_inside(value: list[Any] | dict[Any, Any], path: str, depth: int) -> None:
    if len(value) > MAX_ITEMS:
        raise InvalidError(path, f"{len(value)} items, at most {MAX_ITEMS}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth - 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidError(path, f"a key of type {type(key).__name__} has no place here")
        _check(key, path, depth - 1)
        _check(item, f"{path}.{key}", depth - 1)


def _within(low: int, high: int) -> Callable[[int], str | None]:
    return lambda value: None if low <= value <= high else f"{value} is not within {low} and {high}"


def _matching(pattern: str, what: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else f"not {what}"


def _at_most(characters: int) -> Callable[[str], str | None]:
    return lambda value: None if len(value) <= characters else f"more than {characters} characters"


def _namespaces(value: list[str]) -> str | None:
    known = len(set(value)) == len(value) and set(value) <= set(wire.NAMESPACES)
    return None if known else f"not a set of {', '.join(wire.NAMESPACES)}"


def _ancestry(value: list[Any]) -> str | None:
    return None if len(value) <= wire.MAX_ANCESTRY else f"more than {wire.MAX_ANCESTRY} ancestors"


def _few(items: int) -> Callable[[list[Any]], str | None]:
    return lambda value: None if len(value) <= items else f"more than {items} items"


def _addresses(value: list[str]) -> str | None:
    if len(value) > wire.MAX_ADDRESSES:
        return f"more than {wire.MAX_ADDRESSES} addresses"
    try:
        alike = all(str(ip_address(each)) == each for each in value)
    except ValueError:
        alike = False
    return None if alike else "not addresses as they are written"


_ID = _matching(r"[!-.0-~]{1,64}/[!-.0-~]{1,64}/[0-9]{1,18}", 'an id "<host>/<boot>/<sequence>"')
_REFERENCE = _at_most(MAX_ID)
_TIME = _within(0, MAX_INT)
_PID = _within(0, 2**31 - 1)
_UID = _within(0, 2**32 - 1)
_STATUS = _within(0, 2**31 - 1)
_CAPS = _matching(r"[0-9a-f]{16}", "16 lower-case hex digits")

Rules = Mapping[str, Callable[[Any], str | None]]

_EVENT: Final[Rules] = {
    "id": _ID,
    "target": _ID,
    "session": _REFERENCE,
    "ns_container": _REFERENCE,
    "cgroup_container": _REFERENCE,
    "daemon_container": _REFERENCE,
    "time": _TIME,
    "mono": _TIME,
    "duration": _TIME,
    "start": _TIME,
    "pid": _PID,
    "parent": _PID,
    "code": _STATUS,
    "signal": _STATUS,
    "count": _TIME,
    "commands": _TIME,
    "first": _TIME,
    "uid": _UID,
    "port": _within(0, 65535),
    "digest": _matching(r"[0-9a-f]{64}", "64 lower-case hex digits"),
    "key": _at_most(64),
    "address": _at_most(64),
    "container_id": _REFERENCE,
    "cause": _at_most(128),
    "exec_id": _REFERENCE,
    "owner": _UID,
    "read": _TIME,
    "action": _at_most(64),
    "place": _at_most(1024),
    "namespaces": _namespaces,
    "ancestry": _ancestry,
    "clients": _few(wire.MAX_CLIENTS),
    "path": _at_most(1024),
    "difference": _few(wire.MAX_DIFFERENCE),
}
_PROCESS: Final[Rules] = {"pid": _PID, "ppid": _PID, "start": _TIME, "uid": _UID, "gid": _UID, "caps": _CAPS}
_CONTAINER: Final[Rules] = {
    "id": _REFERENCE,
    "init_pid": _PID,
    "caps": _CAPS,
    "addresses": _addresses,
}
_ANCESTOR: Final[Rules] = {"pid": _PID, "start": _TIME, "uid": _UID}
_FILE: Final[Rules] = {
    "digest": _matching(r"[0-9a-f]{64}", "64 lower-case hex digits"),
    "size": _TIME,
    "uid": _UID,
    "mode": _within(0, 0o7777),
    "modified": _TIME,
}
_LOGIN: Final[Rules] = {"uid": _UID, "session": _within(0, MAX_INT)}

_CALLER: Final[Rules] = {
    "pid": _PID,
    "start": _TIME,
    "uid": _UID,
    "source": _at_most(64),
    "unit": _at_most(128),
    "container_id": _REFERENCE,
    "via": _few(64),
}
_CLIENT: Final[Rules] = {"connected": _few(64)}


def _structures(event: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], Rules]]:
    """Each part of an event that has rules, with its path."""
    yield path, event, _EVENT
    parts = (
        ("process", _PROCESS),
        ("container", _CONTAINER),
        ("entered_by", _ANCESTOR),
        ("daemon", _ANCESTOR),
        ("login", _LOGIN),
        ("before", _FILE),
        ("after", _FILE),
    )
    for name, rules in parts:
        if event.get(name) is not None:
            yield f"{path}.{name}", event[name], rules
    callers = {"caller": event.get("caller")}
    for index, client in enumerate(event.get("clients", ())):
        yield f"{path}.clients[{index}]", client, _CLIENT
        callers[f"clients[{index}].caller"] = client["caller"]
    for name, caller in callers.items():
        if caller is not None:
            yield f"{path}.{name}", caller, _CALLER
            if caller["login"] is not None:
                yield f"{path}.{name}.login", caller["login"], _LOGIN
    for index, ancestor in enumerate(event.get("ancestry", ())):
        yield f"{path}.ancestry[{index}]", ancestor, _ANCESTOR
