# SPDX-License-Identifier: Apache-2.0
"""`knobs`: ATT&CK's mutable elements of T1609, as they are set here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def knobs() -> None:
    """AuthorizedAdminUsers, ExecFrequencyThreshold, SourceIPRange, NamespaceScope and DeployedByLabels."""


@knobs.command("list")
@output.as_json
@click.pass_obj
def list_(state: State, *, json_: bool) -> None:
    r"""Every knob: its value, where that is from, what it takes.

    \b
    Examples:
      nsentry-controller knobs list
      nsentry-controller knobs list --json | jq 'select(.value == null).name'
    """
    from controller.store import knobs as store  # noqa: PLC0415 - help does not wait for it

    settings = state.settings().knobs
    with state.reading() as connection:
        rows = store.list_(connection, settings)
    if json_:
        output.json_lines(rows)
        return
    columns = {
        "NAME": lambda row: row["name"],
        "VALUE": lambda row: text("not set" if row["value"] is None else " ".join(row["value"])),
        "FROM": lambda row: text(row["origin"]),
        "BY": lambda row: text(row["author"]),
        "SINCE": lambda row: when(row["at"]),
        "TAKES": lambda row: row["takes"],
    }
    output.table(columns, rows, "")


@knobs.command("set")
@click.argument("name")
@click.argument("values", nargs=-1, required=True)
@click.pass_obj
def set_(state: State, name: str, values: tuple[str, ...]) -> None:
    r"""Sets a knob, at once and before what controller.toml says.

    \b
    Examples:
      nsentry-controller knobs set AuthorizedAdminUsers jane 'kubernetes:system:serviceaccount:ci:*'
      nsentry-controller knobs set ExecFrequencyThreshold 20/5m
      nsentry-controller knobs set SourceIPRange 10.0.0.0/8 2001:db8::/32
      nsentry-controller knobs set NamespaceScope shop 'kube-*'
    """
    from controller.store import knobs as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    try:
        state.write(lambda connection: store.set_(connection, name, values, output.actor(), now))
    except ValueError as error:
        raise FailedError(f"not set: {error}") from error
    output.line(f"set {text(name)}")


@knobs.command()
@click.argument("name")
@click.pass_obj
def unset(state: State, name: str) -> None:
    r"""Takes back what was set by command: what controller.toml says counts again.

    \b
    Example:
      nsentry-controller knobs unset NamespaceScope
    """
    from controller.store import knobs as store  # noqa: PLC0415 - as above

    now = time.time_ns()
    try:
        done = state.write(lambda connection: store.unset(connection, name, output.actor(), now))
    except ValueError as error:
        raise FailedError(str(error)) from error
    if not done:
        raise FailedError(f"{text(name)} was not set by command")
    output.line(f"unset {text(name)}")
