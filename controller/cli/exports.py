# SPDX-License-Identifier: Apache-2.0
"""`exports`: where alerts and events are sent to, and how that goes."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.export.destination import Destination


@click.group()
def exports() -> None:
    """Destinations of alerts and events: the [[export]] tables of controller.toml."""


@exports.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""Each destination: how far behind, what was sent, what failed and why.

    \b
    Examples:
      nsentry-controller exports list
      nsentry-controller exports list --json | jq -r 'select(.state == "failing") | .last_error'
    """
    from controller.export.exporter import status  # noqa: PLC0415 - help does not wait for it

    destinations = state.settings().exports
    with state.reading() as connection:
        rows = status(connection, destinations)
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: output.text(row["name"]),
        "KIND": lambda row: row["kind"],
        "WHAT": lambda row: row["what"],
        "FORMAT": lambda row: row["format"],
        "STATE": lambda row: row["state"],
        "BEHIND": lambda row: output.text(row["behind"]),
        "SENT": lambda row: str(row["sent"]),
        "FAILED": lambda row: str(row["failed"]),
        "GIVEN UP": lambda row: str(row["given_up"]),
        "LAST SENT": lambda row: output.when(row["last_sent"]),
        "LAST ERROR": lambda row: output.text(row["last_error"]),
    }
    output.table(columns, rows, "No exports: add an [[export]] table to controller.toml (docs/exports.md).")


@exports.command()
@click.argument("name")
@output.as_json
@click.pass_obj
def show(state: State, *, name: str, json_: bool) -> None:
    r"""One destination, and its dead letters: messages that it does not take, which held nothing up.

    \b
    Examples:
      nsentry-controller exports show siem
      nsentry-controller exports show siem --json | jq -r '.dead_letters[].message'
    """
    from controller.export.exporter import status  # noqa: PLC0415 - help does not wait for it
    from controller.store.exports import letters  # noqa: PLC0415 - as above

    destination = _known(state, name)
    with state.reading() as connection:
        (row,), dead = status(connection, [destination]), letters(connection, name)
    if json_:
        output.json_line({**row, "dead_letters": dead})
        return
    output.fields([(key.replace("_", " "), output.text(value)) for key, value in row.items()])
    output.line("")
    columns = {
        "AT": lambda each: output.when(each["at"]),
        "MESSAGE": lambda each: output.text(each["message"]),
        "REASON": lambda each: output.text(each["reason"]),
    }
    output.table(columns, dead, "No dead letters.")


@exports.command()
@click.argument("name")
@output.as_json
@click.pass_obj
def test(state: State, *, name: str, json_: bool) -> None:
    r"""Sends a marked test alert to one destination, now, by this process; the cursor stays where it is.

    \b
    Example:
      nsentry-controller exports test siem
    """
    from controller.export.exporter import test_item  # noqa: PLC0415 - help does not wait for it
    from controller.export.sender import SendError, open_sender  # noqa: PLC0415 - as above

    destination = _known(state, name)
    item = test_item(socket.gethostname(), time.time_ns())
    sender = open_sender(destination)
    try:
        sender.send(item)
        sender.flush()
    except SendError as error:
        raise FailedError(f"export {name}: {output.text(error)}") from error
    finally:
        sender.close()
    if json_:
        output.json_line({"name": name, "id": item.id, "sent": True})
    elif destination.kind != "stdout":
        output.line(f"sent to {output.text(destination.place)}: look there for {item.id}")


def _known(state: State, name: str) -> Destination:
    known = {each.name: each for each in state.settings().exports}
    if name not in known:
        raise click.UsageError(f"there is no export {name!r}; there are: {', '.join(known) or 'none'}")
    return known[name]
