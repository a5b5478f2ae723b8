# SPDX-License-Identifier: Apache-2.0
"""`containers`: as far as sensors have seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def containers() -> None:
    """Containers that sensors have seen start, stop, or be entered."""


@containers.command("list")
@output.host
@click.option("--name", metavar="NAME", help="Only of this name.")
@click.option("--image", metavar="NAME", help="Only of this image.")
@click.option("--running", "running_only", is_flag=True, help="Only those that were not seen to stop.")
@output.limit
@output.as_json
@click.pass_obj
def list_(
    state: State,
    *,
    host: str | None,
    name: str | None,
    image: str | None,
    running_only: bool,
    limit: int,
    json_: bool,
) -> None:
    r"""Containers, the latest seen first.

    \b
    Examples:
      nsentry-controller containers list --running
      nsentry-controller containers list --image busybox:demo --json
    """
    from controller.store import containers as reads  # noqa: PLC0415 - help does not wait for it

    filters = reads.ContainerFilter(host, name, image, running_only)
    with state.reading() as connection:
        rows = reads.list_(connection, filters, limit + 1)
    columns = {
        "LAST SEEN": lambda row: when(row["last_seen"]),
        "HOST": lambda row: text(row["host"]),
        "NAME": lambda row: text(row["name"]),
        "ID": lambda row: text(row["id"][:12]),
        "IMAGE": lambda row: text(row["image"]),
        "RUNTIME": lambda row: text(row["runtime"]),
        "STARTED": lambda row: when(row["started"]),
        "STOPPED": lambda row: when(row["stopped"]),
        "SESSIONS": lambda row: str(row["sessions"]),
    }
    none = output.nothing("No containers: no sensor has seen one.", (host, name, image, running_only))
    output.listing(rows, columns, none, limit=limit, json_=json_)


@containers.command()
@click.argument("container")
@output.host
@output.as_json
@click.pass_obj
def show(state: State, container: str, *, host: str | None, json_: bool) -> None:
    r"""One container, by name, by id or by the first 12 characters of its id.

    \b
    Example:
      nsentry-controller containers show web
    """
    from controller.store import containers as reads  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = reads.show(connection, container, host)
    if found is None:
        known = "see 'nsentry-controller containers list'"
        raise FailedError(f"there is no container {text(container)}: {known}")
    if json_:
        output.json_line(found)
        return
    labels = ", ".join(f"{name}={value}" for name, value in found["labels"].items())
    privileged = {True: "yes", False: "no", None: None}[found["privileged"]]
    output.fields(
        [
            ("name", text(found["name"])),
            ("id", text(found["id"])),
            ("host", f"{text(found['host'])} ({text(found['host_id'])})"),
            ("image", text(found["image"])),
            ("runtime", text(found["runtime"])),
            ("user", "root (not set)" if found["user"] == "" else text(found["user"])),
            ("privileged", text(privileged)),
            ("capabilities", text(found["caps"])),
            ("first process", text(found["init_pid"])),
            ("labels", text(labels)),
            ("started", when(found["started"])),
            ("stopped", when(found["stopped"])),
            ("seen", f"{when(found['first_seen'])} to {when(found['last_seen'])}"),
            ("sessions", str(found["sessions"])),
        ]
    )
