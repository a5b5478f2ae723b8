# SPDX-License-Identifier: Apache-2.0
"""`coverage`: where we are blind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State

CAUSES = ("unexplained", "hooks", "sensor_down", "lost", "no_sensor", "sandboxed", "not_started", "failed")


@click.group()
def coverage() -> None:
    """Where nobody watches: execs that a runtime told of and no sensor saw."""


@coverage.command("list")
@output.host
@output.container
@click.option("--cause", type=click.Choice(CAUSES), help="Only of this likely cause.")
@click.option(
    "--status",
    type=click.Choice(("unseen", "failed", "seen")),
    help="unseen: blind; failed: the exec failed, no blind spot; seen: its entry came later.",
)
@output.since
@output.until
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, /, *, limit: int, json_: bool, **wanted: str | int | None) -> None:
    r"""Records without an entry, the newest first, each with its likely cause.

    \b
    Examples:
      nsentry-controller coverage list --status unseen --since 24h
      nsentry-controller coverage list --json | jq -r .cause | sort | uniq -c
    """
    from controller.store import coverage as reads  # noqa: PLC0415 - help does not wait for it

    filters = reads.UnseenFilter(**wanted)  # type: ignore[arg-type]
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1)
    columns = {
        "TIME": lambda row: when(row["time"]),
        "HOST": lambda row: text(row["host"]),
        "CONTAINER": lambda row: text(row["container_name"] or row["container"][:12]),
        "SOURCE": lambda row: text(row["source"]),
        "EXEC": lambda row: text((row["exec_id"] or "")[:12] or None),
        "STATUS": lambda row: text(row["status"]),
        "CAUSE": lambda row: text(row["cause"]),
        "WHY": lambda row: text(row["reason"]),
    }
    none = output.nothing("Nothing: each exec that a runtime told of was seen.", wanted.values())
    output.listing(rows, columns, none, limit=limit, json_=json_)


@coverage.command("hosts")
@output.as_json
@click.pass_obj
def hosts(state: State, *, json_: bool) -> None:
    r"""How many records without an entry are kept of each host, by likely cause.

    \b
    Examples:
      nsentry-controller coverage hosts
      nsentry-controller coverage hosts --json
    """
    from controller.store import coverage as reads  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = [{"host": name, "counts": found} for name, found in reads.counts(connection).items()]
    columns = {
        "HOST": lambda row: text(row["host"]),
        "WITHOUT AN ENTRY": lambda row: text(
            ", ".join(f"{what} {many}" for what, many in sorted(row["counts"].items()))
        ),
    }
    output.listing(
        rows, columns, "Nothing: no record of any host is without its entry.", limit=100_000, json_=json_
    )
