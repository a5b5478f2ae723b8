# SPDX-License-Identifier: Apache-2.0
"""`records`: what container runtimes said happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.records import RecordView


@click.group()
def records() -> None:
    """What container runtimes said happened: execs, starts, copies, changes. By their word, not the kernel's."""


@records.command("list")
@output.host
@output.container
@click.option("--source", metavar="NAME", help="Only of docker, podman or containerd.")
@click.option(
    "--action", metavar="NAME", help="Only of this kind: exec_create, exec_start, attach, copy_in, ..."
)
@click.option("--exec-id", metavar="ID", help="Only of this exec, by the runtime's own id.")
@output.since
@output.until
@output.limit
@output.as_json
@click.pass_obj
def list_(state: State, /, *, limit: int, json_: bool, **wanted: str | int | None) -> None:
    r"""Records, the newest first. TIME is by the runtime's clock.

    \b
    Examples:
      nsentry-controller records list --action exec_create --since 1h
      nsentry-controller records list --container web --json
    """
    from controller.store import records as reads  # noqa: PLC0415 - help does not wait for it

    filters = reads.RecordFilter(**wanted)  # type: ignore[arg-type]
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1)
    columns = {
        "TIME": lambda row: output.when(row["time"]),
        "HOST": lambda row: output.text(row["host"]),
        "SOURCE": lambda row: output.text(row["source"]),
        "ACTION": lambda row: output.text(row["action"]),
        "CONTAINER": lambda row: output.text(row["container_name"] or (row["container"] or "")[:12] or None),
        "EXEC": lambda row: output.text((row["exec_id"] or "")[:12] or None),
        "SAID": _said,
    }
    none = output.nothing("No records: no container runtime said anything.", wanted.values())
    output.listing(rows, columns, none, limit=limit, json_=json_)


def _said(row: RecordView) -> str:
    parts = [row["command"] or "", *(f"{name}={value}" for name, value in row["detail"].items())]
    if row["pid"] is not None:
        parts.append(f"pid={row['pid']}")
    if row["code"] is not None:
        parts.append(f"exit={row['code']}")
    return output.text(" ".join(part for part in parts if part))
