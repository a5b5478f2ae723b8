# SPDX-License-Identifier: Apache-2.0
"""`audit`: who changed what in how nsentry judges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def audit() -> None:
    """Who changed exceptions, approvals and knobs, and when. What is done with an alert is in its history."""


@audit.command("list")
@click.option("--action", metavar="NAME", help="Only these: exception, exception.add, approval, knob, ...")
@click.option("--actor", metavar="NAME", help="Only by this person.")
@click.option("--object", "object_", metavar="NAME", help="Only about this exception, approval or knob.")
@output.since
@output.limit
@output.as_json
@click.pass_obj
def list_(
    state: State,
    action: str | None,
    actor: str | None,
    object_: str | None,
    since: int | None,
    limit: int,
    *,
    json_: bool,
) -> None:
    r"""The changes, the latest first.

    \b
    Examples:
      nsentry-controller audit list --since 7d
      nsentry-controller audit list --action approval --json
    """
    from controller.store import audit as store  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = store.list_(
            connection, action=action, actor=actor, object_=object_, since=since, limit=limit + 1
        )
    columns = {
        "TIME": lambda row: when(row["at"]),
        "ACTOR": lambda row: text(row["actor"]),
        "ACTION": lambda row: text(row["action"]),
        "OBJECT": lambda row: text(row["object"]),
        "DETAIL": lambda row: text(json.dumps({k: v for k, v in row["detail"].items() if v is not None})),
    }
    empty = output.nothing("Nothing was changed so far.", (action, actor, object_, since))
    output.listing(rows, columns, empty, limit=limit, json_=json_)
