# SPDX-License-Identifier: Apache-2.0
"""`doctor`: what is wrong with this controller, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@output.as_json
@click.pass_context
def doctor(context: click.Context, *, json_: bool) -> None:
    r"""Checks state folder, certificate, database, the serving process and the sensors.

    Exit code: 0 when nothing fails, 77 missing privilege, 78 bad configuration, 69 not running, else 1.

    \b
    Example:
      nsentry-controller doctor
    """
    from controller import checks, settings  # noqa: PLC0415 - help does not wait for it

    state: State = context.obj
    found = list(checks.run(settings.load(state.folder)))
    if json_:
        output.json_lines(each.as_dict() for each in found)
    else:
        for each in found:
            verdict = click.style(f"{each.verdict:<4}", fg=_COLOURS[each.verdict])
            output.line(f"{verdict}  {each.name:<12}  {output.text(each.found)}")
            if each.mend is not None:
                output.line(f"{'':20}mend: {output.text(each.mend)}")
    context.exit(checks.exit_code(found))
