# SPDX-License-Identifier: Apache-2.0
"""`export`: what is stored, in the formats of other systems, one object a line on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.export.destination import Destination

PAGE = 500
FORMATS = ("json", "ocsf", "ecs", "cef")

_format = click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="json",
    show_default=True,
    help="The form of a line.",
)


@click.group()
def export() -> None:
    r"""Alerts or events for other systems, on standard output. What is sent to them by itself: 'exports'.

    \b
    Examples:
      nsentry-controller export alerts --format ocsf --since 7d
      nsentry-controller export events --format ecs --since 1h
      nsentry-controller export stored > events.jsonl
    """


@export.command()
@_format
@click.option(
    "--severity",
    type=click.Choice(("low", "medium", "high", "critical")),
    default="low",
    show_default=True,
    help="The least that an alert must have had.",
)
@output.since
@click.pass_obj
def alerts(state: State, *, format_: str, severity: str, since: int | None) -> None:
    r"""Each change of each alert: raised, graver, closed. Ids are those that destinations get.

    \b
    Examples:
      nsentry-controller export alerts --format ocsf --since 7d
      nsentry-controller export alerts --format cef --severity high
    """
    from controller.export.destination import Destination  # noqa: PLC0415 - help does not wait for it

    wanted = Destination("pull", "stdout", severity=severity)  # type: ignore[arg-type]
    _print(state, wanted, format_, since)


@export.command()
@_format
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind. May be given several times."
)
@output.since
@click.pass_obj
def events(state: State, *, format_: str, kinds: tuple[str, ...], since: int | None) -> None:
    r"""Each stored event, completed by what was learned later, in the order of arrival.

    \b
    Examples:
      nsentry-controller export events --format ocsf --since 1h
      nsentry-controller export events --format json --kind entry --kind command
    """
    from controller.export.destination import Destination  # noqa: PLC0415 - help does not wait for it
    from sensor import wire  # noqa: PLC0415 - as above

    unknown = sorted(set(kinds) - set(wire.EVENT_TYPES))
    if unknown:
        raise click.UsageError(f"no such kind: {', '.join(unknown)}; there are {', '.join(wire.EVENT_TYPES)}")
    _print(state, Destination("pull", "stdout", what="events", kinds=kinds), format_, since)


@export.command()
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only events after this number."
)
@click.pass_obj
def stored(state: State, *, after: int) -> None:
    r"""Every event as its sensor sent it, with its number, host and time of arrival: a copy of what is stored.

    \b
    Examples:
      nsentry-controller export stored > events.jsonl
      nsentry-controller export stored --after 5000 | jq .body
    """
    from controller.store import events as reads  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        while page := reads.after(connection, after, PAGE):
            for row in page:
                output.json_line(row._asdict())
            after = page[-1].seq


def _print(state: State, wanted: Destination, format_: str, since: int | None) -> None:
    from controller.export.feed import steps  # noqa: PLC0415 - help does not wait for it
    from controller.export.formats import FORMATS as ENCODERS  # noqa: PLC0415 - as above
    from controller.store.exports import before  # noqa: PLC0415 - as above

    encode = ENCODERS[format_]
    with state.reading() as connection:
        after = before(connection, wanted.what, since) if since is not None else 0
        while page := steps(connection, wanted, after, PAGE):
            for step in page:
                if step.item is not None and (since is None or step.time >= since):
                    click.echo(encode(step.item))
            after = page[-1].seq
