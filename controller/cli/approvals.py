# SPDX-License-Identifier: Apache-2.0
"""`approvals`: who may come in where, until when, for which change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, get_args

import click

from controller.cli import output, times
from controller.cli.exceptions import withheld_table
from controller.cli.group import FailedError
from controller.cli.output import text, when
from sensor import wire

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def approvals() -> None:
    """Approval windows: a visit within one is recorded and shown, and not alerted."""


@approvals.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(("open", "planned", "over", "revoked")),
    help="Only those. May be given again. Default: all.",
)
@output.as_json
@click.pass_obj
def list_(state: State, states: tuple[str, ...], *, json_: bool) -> None:
    r"""The windows, the latest end first, with how many visits were within each.

    \b
    Examples:
      nsentry-controller approvals list --state open
      nsentry-controller approvals list --json | jq -r .sentence
    """
    from controller.store import approvals as store  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = store.list_(connection, time.time_ns(), states)  # type: ignore[arg-type]
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "ID": lambda row: str(row["id"]),
        "STATE": lambda row: row["state"],
        "BEGINS": lambda row: when(row["begins"]),
        "VISITS": lambda row: str(row["visits"]),
        "OUTLIVED": lambda row: str(row["outlived"]),
        "BY": lambda row: text(row["author"]),
        "APPROVAL": lambda row: text(row["sentence"]),
    }
    output.table(columns, rows, "No approvals.")


@approvals.command()
@click.argument("principal")
@click.option("--pod", metavar="GLOB", help="Pods, as namespace/name: shop/*.")
@click.option("--container", metavar="GLOB", help="Containers, by name.")
@click.option("--image", metavar="GLOB", help="Containers, by image.")
@click.option("--host", metavar="GLOB", help="Hosts, by name.")
@click.option(
    "--means",
    multiple=True,
    type=click.Choice(get_args(wire.Means)),
    help="Only by this means. May be given again.",
)
@click.option("--from", "begins", type=times.Later(), metavar="TIME", help="From when on. Default: now.")
@click.option(
    "--until",
    type=times.Later(),
    required=True,
    metavar="TIME",
    help="RFC 3339, 17:00 (the next, UTC), or 2h from now.",
)
@click.option("--change", required=True, metavar="NUMBER", help="The change, ticket or incident it is for.")
@click.option("--reason", metavar="TEXT", help="More words.")
@click.pass_obj
def add(state: State, /, principal: str, *, begins: int | None, until: int, **wanted: Any) -> None:  # noqa: ANN401
    r"""PRINCIPAL may come in. Every target that is given must fit; at least one is needed.

    A visit must begin and end within the window, and who comes in must be known. What gets out to the host is
    alerted all the same.

    \b
    Examples:
      nsentry-controller approvals add jane --pod 'shop/*' --until 17:00 --change 4711
      nsentry-controller approvals add kubernetes:jane --pod shop/db-0 --means cri-exec --until 2h --change INC-9
    """
    from controller.store import approvals as store  # noqa: PLC0415 - as above

    window = {**wanted, "principal": principal, "begins_ns": begins, "until_ns": until}
    now = time.time_ns()
    try:
        number = state.write(lambda connection: store.add(connection, window, output.actor(), now))
    except ValueError as error:
        raise FailedError(f"not added: {error}") from error
    with state.reading() as connection:
        made = store.show(connection, number, now)
    output.line(f"approval {number}: {text(made and made['sentence'])}")


@approvals.command()
@click.argument("number", type=int)
@output.as_json
@click.pass_obj
def show(state: State, number: int, *, json_: bool) -> None:
    r"""One window: the visits within it, and what was found in them.

    \b
    Examples:
      nsentry-controller approvals show 3
      nsentry-controller approvals show 3 --json | jq .visits_within
    """
    from controller.store import approvals as store  # noqa: PLC0415 - as above
    from controller.store import withheld  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = store.show(connection, number, time.time_ns())
        visits = [{"session": name, "standing": how} for name, how in store.visits(connection, number)]
        kept = withheld.by(connection, "approval", str(number))
    if found is None:
        raise _none(number)
    if json_:
        output.json_line({**found, "visits_within": visits, "withheld": kept})
        return
    shown = [(key, value) for key, value in found.items() if not key.endswith("_ns") and key != "means"]
    output.fields([(key.replace("_", " "), text(value)) for key, value in shown])
    for each in visits:
        output.line(f"{each['standing']}  {text(each['session'])}")
    output.line("")
    withheld_table(kept)


@approvals.command()
@click.argument("number", type=int)
@click.option("--reason", metavar="TEXT", help="Why. It is kept in the audit log.")
@click.pass_obj
def revoke(state: State, number: int, reason: str | None) -> None:
    r"""Ends a window now. A visit that goes on is none that was approved from then on, and is alerted.

    \b
    Example:
      nsentry-controller approvals revoke 3 --reason "the change was called off"
    """
    from controller.store import approvals as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    if not state.write(lambda connection: store.revoke(connection, number, output.actor(), reason, now)):
        raise _none(number)
    output.line(f"revoked approval {number}")


def _none(number: int) -> FailedError:
    return FailedError(f"there is no open approval {number}: see 'nsentry-controller approvals list'")
