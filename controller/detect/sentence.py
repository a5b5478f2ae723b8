# SPDX-License-Identifier: Apache-2.0
"""The one sentence that a person reads: who, on which host, entered what, by which means, and ran what.

    root on n1 entered container web (image busybox:demo) by nsenter from bash, ran /bin/sh; no record of it
    jane (ssh from 10.0.0.5) on n1 entered container web (image app:1) as root by docker exec, ran id; ...

It never claims more than is known. Who typed a `docker exec` is not in the process tree: the sentence says
"somebody" there until evidence names the principal, "perhaps" before one that is weak, and "ann or bob" where
both may have been. It ends with what is known of the record: "recorded by docker",
"record awaited", "no record of it", or "record not checked" where nobody listened to what would have told.
All text comes from the host and is bounded and made printable here, so the sentence may go to any terminal.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from controller.detect.join import UNASKED
from controller.detect.principal import MAX_CANDIDATES, named
from controller.detect.rule import ADMIN_MEANS
from controller.exposure import exposures
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.detect.rule import Event

MAX_NAME: Final = 64
MAX_COMMAND: Final = 120
MAX_EXPOSURES: Final = 3
MAX_CHANGE: Final = 200

_BY: Final[dict[str, str]] = {
    **{means: f"by {name}" for means, name in ADMIN_MEANS.items()},
    "proc-root": "through the /proc/PID/root of its processes",
    "cgroup-join": "by moving into its cgroup",
    "inject": "by injecting into one of its processes",
    "unknown": "by a way that is not known",
}
_REACHED: Final = {
    "trace": "by attaching to one of its processes",
    "write": "by writing into the memory of one of its processes",
    "take": "by taking an open file of one of its processes",
}
_CALLER_IS_OUTSIDE: Final = frozenset(
    {"ns-join", "runc-exec", "podman-exec", "proc-root", "cgroup-join", "inject"}
)
"""Means whose process outside belongs to whoever came in; with the others it is the runtime's."""


def sentence(
    host: str,
    entry: Event | None,
    commands: int = 0,
    record: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
    principal: Mapping[str, Any] | None = None,
) -> str:
    """What happened in one visit to a container of `host` (its name).

    `entry` is the entry or the attempt, None when it was lost; `commands` counts what ran after it; `record` is
    what is known of its record, `api` of the request to its API server, `principal` who it was.
    """
    if entry is None:
        ran = f"{commands} {'command' if commands == 1 else 'commands'}" if commands else "something"
        return f"somebody inside a container on {_name(host)} ran {ran}; the entry itself was not seen"
    more = f" and {commands} more {'command' if commands == 1 else 'commands'}" if commands else ""
    who, where = _who(entry, _name(host), principal)
    told = f"{_record(entry['means'], record)}{_asked(api)}"
    if entry["kind"] == "escape":
        return f"{who} {_left(entry)}{where}{_ran(entry)}{more}; {told}"
    return f"{who} {_entered(entry)}{where}{_by(entry)}{_ran(entry)}{more}; {told}"


def alone(host: str, event: Event) -> str:
    """What happened to a container, or by it, without a visit."""
    tells = {"configuration": _configured, "contact": _contacted, "connection": _connected}
    return tells[event["kind"]](host, event)


def _connected(host: str, event: Event) -> str:
    far = _name(f"{event['address']} port {event['port']}")
    return (
        f"{_what(event)} on {_name(host)} has {_name(_base_name(event['process']))} on a connection to {far}"
    )


def _contacted(host: str, event: Event) -> str:
    what, place = command_line(event["process"]), _cut(printable(event["place"]), MAX_COMMAND)
    runtime = _name(event["runtime"])
    return f"{_what(event)} on {_name(host)} connected to {runtime}'s socket {place} by running {what}"


def _configured(host: str, event: Event) -> str:
    """How a container is configured that gives a way to the host, or otherwise than before."""
    change = event.get("change")
    if change is not None:
        return _changed(host, event, change)
    shown = [found.phrase for found in exposures(event["settings"])]
    more = f" and {len(shown) - MAX_EXPOSURES} more" if len(shown) > MAX_EXPOSURES else ""
    how = {"start": "was started", "changed": "was changed"}.get(event["because"], "was found running")
    what = _cut(printable(", ".join(shown[:MAX_EXPOSURES])), MAX_COMMAND)
    return f"{_what(event)} on {_name(host)} {how}: it {what}{more}; who did it is not known"


def _changed(host: str, event: Event, change: Mapping[str, Any]) -> str:
    """What differs from before, by whom, and whether that was authorised."""
    instead = " in the place of one configured otherwise" if change["replaces"] else ""
    how = {"start": f"started{instead}", "found": "was found to have changed"}.get(
        event["because"], "changed"
    )
    what = f"{_what(event)} on {_name(host)}"
    done = f"{change['who']} {how} {what}" if event["because"] != "found" else f"{what} {how}"
    authorised = "authorised" if change["authorised"] else "not authorised"
    why = _cut(printable(change["reason"]), MAX_CHANGE)
    return f"{done}: {_cut(change['summary'], MAX_CHANGE)}; {authorised}: {why}"


_SAID: Final = {
    "copy_in": "files copied into",
    "copy_out": "files copied out of",
    "attach": "somebody attached to",
}


def told(host: str, event: Event, container: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a record says by which no visit stands; `known` as `Visit.record` of it."""
    what = f"container {container_name(container)}"
    if container["image"]:
        what += f" (image {_name(container['image'])})"
    where = f"{what} on {_name(host)}"
    if event["action"] in _SAID:
        return f"{event['source']} told of {_SAID[event['action']]} {where}; the record does not say by whom"
    command = f" of {_cut(printable(event['command']), MAX_COMMAND)}" if event["command"] else ""
    request = event.get("request")
    if request is not None:
        where = f"pod {container_name(container)} of cluster {_name(host)}"
        what = f"{_name(request['user'])} asked for an exec{command} in {where}"
        return f"{what}, and no entry was seen: {known['reason']}"
    return f"{event['source']} told of an exec{command} in {where}, and no entry was seen: {known['reason']}"


def user(entry: Event | None) -> str | None:
    """Who came in, as far as it is known: the login, else the user that the process runs as."""
    if entry is None:
        return None
    login, process = entry["login"], entry.get("process")
    if login is not None:
        return _user(login["uid"], login["user"])
    if process is not None:
        return _user(process["uid"], process["user"])
    return _user(entry["entered_by"]["uid"], None)


def container_name(container: Mapping[str, Any] | None) -> str:
    """A container as people call it: its name, else the beginning of its id, else that it is not known."""
    if container is None:
        return "an unknown container"
    if container["name"]:
        return _name(container["name"])
    return _name(container["id"][:12]) if container["id"] else "an unknown container"


def command_line(process: Mapping[str, Any]) -> str:
    """What a process runs, as a shell would take it; what is known of it when the arguments are not."""
    argv = process["argv"]
    text = shlex.join(argv) if argv else process["filename"] or process["exe"] or "something"
    return _cut(printable(text), MAX_COMMAND)


def _who(entry: Event, host: str, principal: Mapping[str, Any] | None) -> tuple[str, str]:
    """Who it was, and where: the host stands beside the person if he was on it, else beside the container."""
    process, login = entry.get("process"), entry["login"]
    as_user = None if process is None else _user(process["uid"], process["user"])
    if entry["means"] == "probe":
        return "a health check", f" on {host}" + (f" as {as_user}" if as_user else "")
    name = who = None
    if principal is not None and principal["name"]:
        name, who = principal["name"], named(principal)
        if principal["kind"] == "kubernetes":
            return who, f" on {host}" + (f" as {as_user}" if as_user else "")
    elif principal is not None and principal["candidates"]:
        who = " or ".join(_name(each) for each in principal["candidates"][:MAX_CANDIDATES])
    elif entry["means"] in _CALLER_IS_OUTSIDE:
        name = _user(login["uid"], login["user"]) if login else _user(entry["entered_by"]["uid"], None)
        who = name
    role = "" if as_user in {None, name} else f" as {as_user}"
    return (f"{who} on {host}", role) if who is not None else ("somebody", f" on {host}{role}")


def _record(means: str, record: Mapping[str, Any] | None) -> str:
    if means == "probe":
        return "declared by the container itself"
    if record is not None and record["status"] == "recorded":
        return f"{'perhaps ' if record['confidence'] == 'weak' else ''}recorded by {record['source']}"
    if record is not None and record["status"] != "unchecked":
        return "record awaited" if record["status"] == "awaited" else "no record of it"
    return "no record of it" if means in UNASKED else "record not checked"


def _asked(api: Mapping[str, Any] | None) -> str:
    """What is known of the request to the API server, beside the record."""
    if api is not None and api["status"] == "unrecorded":
        return ", not asked of the API server"
    if api is None or api["status"] != "recorded" or api["request"] is None:
        return ""
    request = api["request"]
    perhaps = "perhaps " if api["confidence"] == "weak" else ""
    whom = f" as {_name(request['impersonated'])}" if request["impersonated"] else ""
    return f", {perhaps}asked of the API server by {_name(request['user'])}{whom}"


def _what(entry: Event) -> str:
    container = entry["container"]
    what = f"container {container_name(container)}" if container["id"] else "a container that is not known"
    if not container["id"] and entry["missing"].get("container.id") == "pending":
        what += " yet"
    if container["image"]:
        what += f" (image {_name(container['image'])})"
    return what


def _left(escape: Event) -> str:
    joined = escape["namespaces"]
    if not joined:
        return f"got out of {_what(escape)} to the files of the host"
    by = _name(_joiner(escape["entered_by"]))
    plural = "s" if len(joined) > 1 else ""
    return f"got out of {_what(escape)} into the {' and '.join(joined)} namespace{plural} of the host by {by}"


def _entered(entry: Event) -> str:
    what = _what(entry)
    joined = entry["namespaces"]
    if entry["means"] == "ns-join" and joined and "mnt" not in joined:
        what = f"the {' and '.join(joined)} namespace{'s' if len(joined) > 1 else ''} of {what}"
    if entry["kind"] == "attempt":
        return f"tried to enter {what}"
    verb = "entered" if entry["witnessed"] else "was found inside"
    return f"{verb} {what}"


def _by(entry: Event) -> str:
    means, outside = entry["means"], entry["entered_by"]
    if means == "probe":
        return ""
    by = f" {_BY[means]}" if means in _BY else f" by {_name(_joiner(outside))}"
    if entry.get("reach") in _REACHED:
        by = f" {_REACHED[entry['reach']]}"
    above = _origin(entry) if means in _CALLER_IS_OUTSIDE else None
    return f"{by} from {_name(above)}" if above else by


def _joiner(outside: Mapping[str, Any]) -> str:
    """The tool that joined; of one that is not called nsenter it is said what it did: any name will do."""
    name = _base_name(outside)
    argv = outside["argv"] or []
    if name == "nsenter":
        return name
    if "nsenter" in [word.rpartition("/")[2] for word in argv[:2]]:
        return f"nsenter ({name})"
    return f"a namespace join with {name}"


def _origin(entry: Event) -> str | None:
    """The program on the host from which the tool was started: the first ancestor above it."""
    outside = entry["entered_by"]
    above = (
        each
        for each in entry["ancestry"]
        if each["side"] == "host" and (each["pid"], each["start"]) != (outside["pid"], outside["start"])
    )
    first = next((each for each in above if each["pid"] != 1 and each["comm"] != outside["comm"]), None)
    return None if first is None else _base_name(first)


def _ran(entry: Event) -> str:
    process = entry.get("process")
    if process is None:
        return ", but executed nothing"
    terminal = " with a terminal" if process["tty"] is not None and entry["means"] in ADMIN_MEANS else ""
    return f", ran {command_line(process)}{terminal}"


def _base_name(process: Mapping[str, Any]) -> str:
    path = process["exe"]
    # runtimes and some tools run from a sealed copy of themselves, whose path says nothing
    sealed = path is None or path.startswith(("memfd:", "/memfd:", "/proc/", "/dev/fd/"))
    return (
        str(process["comm"]) if sealed or path is None else path.removesuffix(" (deleted)").rpartition("/")[2]
    )


def _user(uid: int, name: str | None) -> str:
    if name:
        return _name(name)
    return "root" if uid == 0 else f"uid {uid}"


def _name(text: str) -> str:
    return _cut(printable(text), MAX_NAME)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
