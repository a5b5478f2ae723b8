# SPDX-License-Identifier: Apache-2.0
"""`export`: the stored events as the sensors sent them, one JSON object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State

PAGE = 500


@click.command()
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only events after this number."
)
@click.pass_obj
def export(state: State, *, after: int) -> None:
    r"""Every stored event in the order of its arrival, with the number it arrived as, as JSON lines.

    \b
    Examples:
      nsentry-controller export > events.jsonl
      nsentry-controller export --after 41230 >> events.jsonl
    """
    from controller.store import events as reads  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        while page := reads.after(connection, after, PAGE):
            for row in page:
                output.json_line(row._asdict())
            after = page[-1].seq
