# SPDX-License-Identifier: Apache-2.0
"""`sensors`: the hosts that are watched, and how well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.fleet_views import HostView

SILENT_AFTER_S: Final = 120


@click.group()
def sensors() -> None:
    """Hosts and their sensors."""


@sensors.command("list")
@click.option("--replaced", is_flag=True, help="Also hosts that were enrolled again since, under a new id.")
@output.as_json
@click.pass_obj
def list_(state: State, *, replaced: bool, json_: bool) -> None:
    r"""Every host that was enrolled: when it last spoke, what it lost, what of it was refused.

    \b
    Examples:
      nsentry-controller sensors list
      nsentry-controller sensors list --json | jq 'select(.revoked == null)'
    """
    from controller.store import counters, hosts  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        every = hosts.list_(connection)
        refused = counters.all_(connection, "refused.")
    rows = [row for row in every if replaced or row["replaced_by"] is None]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: text(row["name"]),
        "ID": lambda row: text(row["id"]),
        "STATE": _state,
        "LAST SEEN": lambda row: when(row["last_seen"]),
        "SENSOR": lambda row: text(row["sensor"]),
        "LOADER": lambda row: text((row["heartbeat"] or {}).get("loader")),
        "LOST": lambda row: _counts(row["losses"]),
        "REFUSED": lambda row: _counts(row["refused"]),
    }
    output.table(columns, rows, "No sensors: make a token with 'nsentry-controller token create'.")
    strangers = {
        cause: count - sum(row["refused"].get(cause, 0) for row in every)
        for cause, count in ((name.removeprefix("refused."), count) for name, count in refused.items())
        if "/" not in cause
    }
    told = _counts({cause: count for cause, count in strangers.items() if count > 0})
    if told != output.UNKNOWN:
        output.line(f"Refused of strangers: {told}")
    if len(rows) < len(every):
        click.echo(f"Replaced hosts that are not shown: {len(every) - len(rows)}, see --replaced.", err=True)


@sensors.command()
@click.argument("host")
@output.as_json
@click.pass_obj
def show(state: State, host: str, *, json_: bool) -> None:
    r"""One host (name or id): how it is, what was lost and of which containers, and what its sensor noted.

    \b
    Examples:
      nsentry-controller sensors show web-3
      nsentry-controller sensors show web-3 --json | jq .losses_by_container
    """
    from controller.store import hosts  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = hosts.show(connection, host)
    if found is None:
        raise _none(host)
    if json_:
        output.json_line(found)
    else:
        _page(found)


def _page(found: HostView) -> None:
    beat = found["heartbeat"]
    why = f": {text(beat['loader_reason'])}" if beat else ""
    output.fields(
        [
            ("name", text(found["name"])),
            ("id", text(found["id"])),
            ("state", _state(found)),
            ("system", text(f"{found['os']}, {found['kernel']}, {found['arch']}")),
            ("sensor", text(found["sensor"])),
            ("loader", text(beat["loader"] if beat else None) + why),
            ("enrolled", when(found["enrolled"])),
            ("revoked", when(found["revoked"])),
            ("replaced by", text(found["replaced_by"])),
            ("last seen", when(found["last_seen"])),
            ("last event", when(found["last_event"])),
            ("open alerts", str(found["open_alerts"])),
            ("lost", _counts(found["losses"])),
            ("refused", _counts(found["refused"])),
            *(("degraded", text(sentence)) for sentence in _amiss(found)),
        ]
    )
    if found["losses_by_container"]:
        output.line("")
        columns = {
            "LOST": lambda each: str(each["count"]),
            "CONTAINER": lambda each: text(each["name"]),
            "ID": lambda each: text(each["container"]),
        }
        output.table(columns, found["losses_by_container"], "")
    if found["losses_of_other_containers"]:
        output.line(f"... and {found['losses_of_other_containers']} of other containers")
    if found["notes"]:
        output.line("")
    for note in found["notes"]:
        output.line(f"{when(note['time'])}  {text(note['sentence'])}")


@sensors.command()
@click.argument("host")
@click.pass_obj
def revoke(state: State, host: str) -> None:
    r"""Ends the credential of HOST (name or id): from now on its sensor is answered 401.

    \b
    Example:
      nsentry-controller sensors revoke web-3
    """
    from controller.store import enrolment, hosts  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = hosts.show(connection, host)
    if found is None:
        raise _none(host)
    if not state.write(lambda connection: enrolment.revoke(connection, found["id"], time.time_ns())):
        raise FailedError(f"{text(host)} was revoked already, at {when(found['revoked'])}")
    output.line(f"revoked {text(found['name'])} ({found['id']})")


def _none(host: str) -> FailedError:
    advice = "no host, or several, of this name or id: see 'nsentry-controller sensors list'"
    return FailedError(f"{text(host)}: {advice}")


def _state(row: HostView) -> str:
    if row["revoked"] is not None:
        return "revoked" if row["replaced_by"] is None else "replaced"
    if row["last_seen_ns"] is None:
        return "enrolled"
    if time.time_ns() - row["last_seen_ns"] > SILENT_AFTER_S * 1_000_000_000:
        return "silent"
    return "degraded" if _amiss(row) else "ok"


def _amiss(row: HostView) -> list[str]:
    """What its sensor says of itself, and what is amiss with the records that it hears."""
    heartbeat = row["heartbeat"]
    return [*(heartbeat["degraded"] if heartbeat else ()), *row["sources_amiss"]]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{text(name)} {count}" for name, count in counts.items()) or output.UNKNOWN
