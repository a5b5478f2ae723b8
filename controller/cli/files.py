# SPDX-License-Identifier: Apache-2.0
"""`files`: what was changed in the runtimes' own configuration on their hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.host_files import FileChangeView


@click.group()
def files() -> None:
    """Configuration files of runtimes on their hosts, and daemons' command lines: what was changed."""


@files.command("list")
@output.host
@click.option("--difference", is_flag=True, help="With the lines that differ.")
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, *, host: str | None, difference: bool, limit: int, json_: bool) -> None:
    r"""Changes, the latest first: what became of the file, by whom, and whether that was authorised.

    Which files are watched says the sensor's setting files.paths.

    \b
    Examples:
      nsentry-controller files list --host n1 --difference
      nsentry-controller files list --json | jq -r 'select(.path | endswith("daemon.json")).difference[]'
    """
    from controller.store import host_files  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = host_files.list_(connection, host, limit + 1)
    if difference and not json_:
        for row in rows[:limit]:
            _whole(row)
        return
    columns = {
        "TIME": lambda row: when(row["time"]),
        "HOST": lambda row: text(row["host"]),
        "OF": lambda row: text(row["runtime"]),
        "FILE": lambda row: text(row["path"]),
        "WHAT": lambda row: text(row["what"] + (" unwatched" if row["unwatched"] else "")),
        "BY": lambda row: text(_by(row)),
        "AUTHORISED": lambda row: text(row["authorised_by"] if row["authorised"] else "no"),
    }
    none = output.nothing("No file of a runtime was changed, as far as sensors saw.", (host,))
    output.listing(rows, columns, none, limit=limit, json_=json_)


def _by(row: FileChangeView) -> str:
    from controller.detect.principal import said_of  # noqa: PLC0415 - as above

    return said_of(row["principal"]) if row["principal"] else "-"


def _whole(row: FileChangeView) -> None:
    reason = row["principal"]["reason"] if row["principal"] else ""
    authorised = "authorised" if row["authorised"] else "not authorised"
    output.fields(
        [
            ("file", f"{text(row['path'])} on {text(row['host'])} {row['what']} {when(row['time'])}"),
            ("by", text(f"{_by(row)}: {reason}")),
            ("authorised", text(f"{authorised}: {row['authority']}")),
        ]
    )
    for line in row["difference"]:
        output.line(text(line))
    if row["difference_cut"]:
        output.line("... (more differs)")
    output.line("")
