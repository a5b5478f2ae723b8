# SPDX-License-Identifier: Apache-2.0
"""One entry, session or alert as a page in the terminal: who, what, where, how, and the commands in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.cli import output
from controller.cli.output import text
from controller.detect.principal import named
from controller.store.connections import WORDS, far_end, known_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.store.views import AlertView, EntryView, Execution, SessionRow, SessionView


def container(reference: Mapping[str, Any]) -> str:
    """A container as a list shows it: its name, else the beginning of its id."""
    return text(reference["name"] or (reference["id"] or "")[:12])


def session_end(session: SessionRow) -> str:
    """How a session ended, and how long it took."""
    if session["ended"] is None:
        return "running"
    how = output.ended(session["code"], session["signal"])
    seconds = f" after {session['duration_ns'] / 1e9:.1f} s" if session["duration_ns"] is not None else ""
    return f"{'ended' if how == 'running' else how}{seconds}"


def entry(shown: EntryView) -> None:
    """Who, what, where, how of an entry or attempt."""
    output.line(shown["sentence"])
    output.line("")
    place, process, outside = shown["container"], shown["process"], shown["entered_by"]
    pairs = [
        ("when", f"{shown['time']} ({shown['kind']} {text(shown['id'])})"),
        ("host", f"{text(shown['host'])} ({text(shown['host_id'])})"),
        ("container", f"{container(place)} ({text(place['id'])}), image {text(place['image'])}"),
        ("runtime", text(place["runtime"]) + _pod(place)),
        ("means", text(shown["means"])),
        ("namespaces", ", ".join(shown["namespaces"]) or output.UNKNOWN),
        ("verdict", _verdict(shown)),
        ("entered by", f"{_named(outside)}, uid {outside['uid']}, pid {outside['pid']}"),
        ("principal", principal(shown["principal"])),
        ("because", _evidence(shown["principal"])),
        ("login", _login(shown["login"])),
        ("record", _record(shown)),
    ]
    if process is not None:
        pairs += [
            ("ran", output.command_line(process) + (" (redacted)" if process["argv_redacted"] else "")),
            ("executable", text(process["exe"])),
            ("as", f"{output.user(process)} (uid {process['uid']}, gid {process['gid']})"),
            ("capabilities", f"{process['caps']} (the container's bound: {text(place['caps'])})"),
            ("folder", text(process["cwd"])),
            ("terminal", text(process["tty"])),
        ]
    pairs.append(("ancestry", " < ".join(_named(each) for each in shown["ancestry"]) or output.UNKNOWN))
    pairs += [(f"{name}?", state) for name, state in shown["missing"].items()]
    output.fields((text(name), value) for name, value in pairs)


def session(shown: SessionView) -> None:
    """The commands of a session in order, each with how it ended."""
    output.line("")
    alert = f", alert {shown['alert']}" if shown["alert"] else ""
    output.line(f"Session {text(shown['id'])}: {session_end(shown)}{alert}")
    columns = {
        "TIME": lambda each: each["time"][11:23],
        "PID": lambda each: str(each["process"]["pid"]),
        "PARENT": lambda each: text(each["parent"]),
        "USER": lambda each: output.user(each["process"]),
        "ENDED": _ended,
        "COMMAND": lambda each: output.command_line(each["process"]),
    }
    output.table(columns, shown["executions"], "Nothing was executed in it.")
    _network(shown)
    if shown["events_left_out"]:
        output.line(f"... and {shown['events_left_out']} more events, which are not shown")


def _network(shown: SessionView) -> None:
    """What it did on the network, where it did anything."""
    if not shown["connections"]:
        return
    output.line("")
    columns = {
        "TIME": lambda each: each["time"][11:23],
        "PID": lambda each: str(each["pid"]),
        "PROGRAM": lambda each: text(each["comm"]),
        "FILE": lambda each: text(each["exe"]),
        "NETWORK": lambda each: f"{WORDS[each['what']]} {text(far_end(each))}",
        "TIMES": lambda each: str(each["count"]),
        "KNOWN AS": lambda each: text(known_as(each)),
    }
    output.table(columns, shown["connections"], "")


def alert(shown: AlertView) -> None:
    """An alert with its findings, its visit and what was done about it."""
    output.line(f"{output.severity(shown['severity'])}  {text(shown['title'])}")
    output.line(text(shown["sentence"]))
    output.line("")
    state = text(shown["state"].replace("_", " "))
    output.fields(
        [
            ("alert", shown["id"]),
            ("state", state + (f": {text(shown['close_reason'])}" if shown["close_reason"] else "")),
            ("assignee", text(shown["assignee"])),
            ("seen", f"{shown['first_seen']} to {shown['last_seen']}, {shown['events']} events"),
        ]
    )
    output.line("")
    columns = {
        "SEVERITY": lambda each: output.severity(each["severity"]),
        "DETECTION": lambda each: text(each["detection"]),
        "BECAUSE": lambda each: text(each["reason"]),
    }
    output.table(columns, shown["findings"], "It has no findings.")
    visit = shown["visit"]
    if visit is not None:
        if visit["opened_by"] is not None:
            output.line("")
            entry(visit["opened_by"])
        session(visit)
    output.line("")
    for step in shown["history"]:
        detail = ", ".join(f"{name} {text(value)}" for name, value in step["detail"].items())
        output.line(
            f"{output.when(step['at'])}  {text(step['actor'])}: {text(step['action'])} {detail}".rstrip()
        )


def _ended(execution: Execution) -> str:
    if execution["replaced_by"] is not None:
        return "replaced"
    if execution["ended"] is None:
        return output.UNKNOWN
    how = output.ended(execution["code"], execution["signal"])
    return "ended" if how == "running" else how


def _named(process: Mapping[str, Any]) -> str:
    return f"{text(process['comm'])} ({text(process['exe'])})"


def _pod(place: Mapping[str, Any]) -> str:
    pod = place["pod"]
    return f", pod {text(pod['namespace'])}/{text(pod['name'])}" if pod else ""


def _verdict(shown: EntryView) -> str:
    if shown["verdict"] is None:
        return output.UNKNOWN
    by = f"namespaces: {text(shown['ns_container'])}, cgroup: {text(shown['cgroup_container'])}"
    return f"{shown['verdict']} ({by})"


def _record(shown: EntryView) -> str:
    record = shown["record"]
    if record is None:
        return output.UNKNOWN
    named = f", exec {text(record['exec_id'])}" if record["exec_id"] else ""
    return f"{record['status']}, confidence {record['confidence']}: {text(record['reason'])}{named}"


def principal(found: Mapping[str, Any] | None) -> str:
    """Who it was, as a list shows it."""
    if found is None:
        return output.UNKNOWN
    if found["candidates"]:
        return text(" or ".join(found["candidates"]))
    return text(named(found))


def _evidence(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return output.UNKNOWN
    return text("; ".join([f"confidence {found['confidence']}: {found['reason']}", *found["evidence"]]))


def _login(login: Mapping[str, Any] | None) -> str:
    if login is None:
        return output.UNKNOWN
    return f"{text(login['user'] or login['uid'])}, audit session {text(login['session'])}"
