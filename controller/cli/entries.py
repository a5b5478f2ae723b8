# SPDX-License-Identifier: Apache-2.0
"""`entries`: who crossed into which container, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output, page
from controller.cli.group import FailedError

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.views import EntryView


@click.group()
def entries() -> None:
    """Crossings into running containers, attempts that executed nothing, and escapes out of containers."""


@entries.command("list")
@output.host
@output.container
@click.option("--image", metavar="NAME", help="Only into containers of this image.")
@output.means
@output.principal
@click.option(
    "--kind", type=click.Choice(["entry", "attempt", "escape"]), help="Only entries, attempts or escapes."
)
@output.since
@output.until
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, /, *, limit: int, json_: bool, **wanted: str | int | None) -> None:
    r"""Entries, attempts and escapes, the newest first.

    \b
    Examples:
      nsentry-controller entries list --since 1h
      nsentry-controller entries list --means ns-join --json
    """
    from controller.store import entries as reads  # noqa: PLC0415 - help does not wait for it

    filters = reads.EntryFilter(**output.with_probes(wanted))
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1)
        probes = 0 if wanted["means"] else reads.probes(connection, filters)
    columns = {
        "TIME": lambda row: output.when(row["time"]),
        "HOST": lambda row: output.text(row["host"]),
        "CONTAINER": lambda row: page.container(row["container"]),
        "IMAGE": lambda row: output.text(row["container"]["image"]),
        "WHO": lambda row: page.principal(row["principal"]),
        "MEANS": lambda row: output.text(row["means"]) + _mark(row),
        "USER": lambda row: output.user(row["process"]),
        "ID": lambda row: output.text(row["id"]),
        "COMMAND": lambda row: output.command_line(row["process"]),
    }
    none = output.nothing("No entries: nobody was seen entering a container.", wanted.values())
    output.listing(rows, columns, none, limit=limit, json_=json_)
    output.probes_left_out(probes)


def _mark(row: EntryView) -> str:
    if row["kind"] != "entry":
        return f" ({row['kind']})"
    return "" if row["witnessed"] else " (found inside)"


@entries.command()
@click.argument("entry_id", metavar="ID")
@output.as_json
@click.pass_obj
def show(state: State, entry_id: str, *, json_: bool) -> None:
    r"""One entry: who, what, where, how, and what was run in its session.

    \b
    Example:
      nsentry-controller entries show h0123456789abcdef/5f2c.../17
    """
    from controller.store import entries as reads  # noqa: PLC0415 - as above
    from controller.store import sessions  # noqa: PLC0415 - as above

    with state.reading() as connection:
        entry = reads.show(connection, entry_id)
        session = sessions.show(connection, entry["session"]) if entry else None
    if entry is None:
        raise FailedError(f"there is no entry {output.text(entry_id)}: see 'nsentry-controller entries list'")
    if json_:
        output.json_line(entry)
        return
    page.entry(entry)
    if session is not None:
        page.session(session)
