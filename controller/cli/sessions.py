# SPDX-License-Identifier: Apache-2.0
"""`sessions`: who is or was inside, and what was run there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output, page
from controller.cli.group import FailedError

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def sessions() -> None:
    """Visits: an entry and all that came of it, until its last process ended."""


@sessions.command("list")
@output.host
@output.container
@output.means
@output.principal
@click.option("--open", "open_only", is_flag=True, help="Only those that have not ended.")
@output.since
@output.until
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, /, *, limit: int, json_: bool, **wanted: str | int | None) -> None:
    r"""Sessions, the newest first.

    \b
    Examples:
      nsentry-controller sessions list --open
      nsentry-controller sessions list --container web --since 7d --json
    """
    from controller.store import sessions as reads  # noqa: PLC0415 - help does not wait for it

    filters = reads.SessionFilter(**output.with_probes(wanted))
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1)
        probes = 0 if wanted["means"] else reads.probes(connection, filters)
    columns = {
        "BEGAN": lambda row: output.when(row["began"]),
        "HOST": lambda row: output.text(row["host"]),
        "CONTAINER": lambda row: page.container(row["container"]),
        "WHO": lambda row: page.principal(row["principal"]),
        "MEANS": lambda row: output.text(row["means"]),
        "USER": lambda row: output.user(row["process"]),
        "COMMANDS": lambda row: str(row["commands"]),
        "ENDED": page.session_end,
        "ALERT": lambda row: output.text(row["alert"]),
        "ID": lambda row: output.text(row["id"]),
    }
    none = output.nothing("No sessions: nobody was seen inside a container.", wanted.values())
    output.listing(rows, columns, none, limit=limit, json_=json_)
    output.probes_left_out(probes)


@sessions.command()
@click.argument("session_id", metavar="ID")
@output.as_json
@click.pass_obj
def show(state: State, session_id: str, *, json_: bool) -> None:
    r"""One session: how it was entered, and every command in order with how it ended.

    \b
    Example:
      nsentry-controller sessions show "$(nsentry-controller sessions list --json --limit 1 | jq -r .id)"
    """
    from controller.store import sessions as reads  # noqa: PLC0415 - as above

    with state.reading() as connection:
        session = reads.show(connection, session_id)
    if session is None:
        known = "see 'nsentry-controller sessions list'"
        raise FailedError(f"there is no session {output.text(session_id)}: {known}")
    if json_:
        output.json_line(session)
        return
    if session["opened_by"] is not None:
        page.entry(session["opened_by"])
    else:
        output.line(session["sentence"])
    page.session(session)
