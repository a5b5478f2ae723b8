# SPDX-License-Identifier: Apache-2.0
"""What the commands print: one JSON object a line, or aligned text that cannot steer the terminal."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from controller.cli import times
from controller.store.views import MANY_PROBES
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

UNKNOWN: Final = "-"
"""Stands in a column for what is not known."""

FIRST_TOLD_S: Final = 2.0
TOLD_EVERY_S: Final = 5.0

_COLOURS: Final = {"critical": "red", "high": "red", "medium": "yellow", "low": "cyan"}

as_json = click.option("--json", "json_", is_flag=True, help="One JSON object a line, with stable keys.")
limit = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most."
)


def json_line(value: Mapping[str, Any]) -> None:
    """One line. Everything beyond ASCII is escaped: JSON's own escapes cannot steer a terminal."""
    click.echo(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


def json_lines(values: Iterable[Mapping[str, Any]]) -> None:
    """A line for each."""
    for value in values:
        json_line(value)


def text(value: object) -> str:
    """Any value as one printable word or phrase; None as a dash."""
    return UNKNOWN if value is None or value == "" else wire.printable(str(value))


def command_line(process: Mapping[str, Any] | None) -> str:
    """The command line of a process, quoted, or what else is known of what it ran."""
    if process is None:
        return UNKNOWN
    line = shlex.join(process["argv"]) if process["argv"] else process["filename"] or process["exe"]
    return text(line) + (" ..." if process["argv_cut"] else "")


def user(process: Mapping[str, Any] | None) -> str:
    """The name of the user that a process runs as, else the number."""
    return UNKNOWN if process is None else text(process["user"] or process["uid"])


def when(time_: str | None) -> str:
    """An RFC 3339 time, to the second: enough for a list."""
    return UNKNOWN if time_ is None else time_[:19] + "Z"


def ended(code: int | None, signal: int | None) -> str:
    """How a process ended."""
    if signal is not None:
        return f"signal {signal}"
    return "running" if code is None else f"exit {code}"


def severity(label: str) -> str:
    """A severity, coloured where that is wanted: the word is always there."""
    return click.style(label, fg=_COLOURS.get(label), bold=label == "critical")


def line(words: str) -> None:
    """One line of output, without colours where NO_COLOR is set or stdout is no terminal."""
    click.echo(words, color=False if os.environ.get("NO_COLOR") else None)


def table(columns: Mapping[str, Callable[[Any], str]], rows: Sequence[Any], empty: str) -> None:
    """Aligned columns under their names; `empty` says on stderr that there is nothing, and why not."""
    if not rows:
        click.echo(empty, err=True)
        return
    cells = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(click.unstyle(each[at])) for each in cells) for at in range(len(columns))]
    for each in cells:
        padded = (
            word + " " * (width - len(click.unstyle(word))) for word, width in zip(each, widths, strict=True)
        )
        line("  ".join(padded).rstrip())


def actor() -> str:
    """Who types this: what is done is recorded under the name."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Tells how far long work has come, on stderr: nothing for work of seconds, then a line every few seconds."""
    told = time.monotonic() + FIRST_TOLD_S

    def tell(count: int) -> None:
        nonlocal told
        if time.monotonic() >= told:
            click.echo(f"... {count} {what}", err=True)
            told = time.monotonic() + TOLD_EVERY_S

    yield tell


def nothing(unasked: str, filters: Iterable[object]) -> str:
    """What an empty list means: `unasked` only where nothing was filtered out."""
    return "Nothing matches these filters." if any(filters) else unasked


def listing(
    rows: Sequence[Any], columns: Mapping[str, Callable[[Any], str]], empty: str, *, limit: int, json_: bool
) -> None:
    """The first `limit` of `rows`, as JSON lines or as a table; stderr says so when there are more of them."""
    shown = rows[:limit]
    if json_:
        json_lines(shown)
    else:
        table(columns, shown, empty)
    if len(rows) > limit:
        click.echo(f"Only the first {limit} are shown, there are more: see --limit.", err=True)


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, aligned; the values are printable already."""
    kept = list(pairs)
    width = max(len(name) for name, _ in kept)
    for name, value in kept:
        line(f"{name:<{width}}  {value}")


since = click.option(
    "--since", type=times.Moment(), metavar="TIME", help="From then on: RFC 3339, or 15m, 2h, 7d ago."
)
until = click.option("--until", type=times.Moment(), metavar="TIME", help="Before then.")
host = click.option("--host", metavar="NAME", help="Only of this host (name or id).")
principal = click.option("--principal", metavar="NAME", help="Only by the principal of this name.")
ALL: Final = "all"
means = click.option(
    "--means",
    type=click.Choice((ALL, *get_args(wire.Means))),
    help="Only by this means. Default: by any but probe (health checks); all: by any.",
)


def with_probes(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a filter, with what `--means` says of probes in the terms of the store."""
    chosen = wanted["means"]
    return {**wanted, "means": None if chosen == ALL else chosen, "probes": chosen == ALL}


def probes_left_out(count: int) -> None:
    """Says on stderr how many health checks a list does not show; nothing where there are none."""
    if count:
        many = f"{count} or more" if count >= MANY_PROBES else str(count)
        click.echo(f"Health checks (means probe) that are not shown: {many}, see --means.", err=True)


container = click.option(
    "--container", metavar="NAME", help="Only of this container: name, id, or 12 characters of its id."
)
