# SPDX-License-Identifier: Apache-2.0
"""`containers`: as far as sensors have seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import configuration, output
from controller.cli.group import FailedError
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.fleet_views import ActivityView, ContainerView


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
        "PROBES": lambda row: str(row["probes"]),
        "ACTIVITIES": _kinds,
    }
    none = output.nothing("No containers: no sensor has seen one.", (host, name, image, running_only))
    output.listing(rows, columns, none, limit=limit, json_=json_)


@containers.command()
@click.argument("container")
@output.host
@output.limit
@output.as_json
@click.pass_obj
def show(state: State, container: str, *, host: str | None, limit: int, json_: bool) -> None:
    r"""One container, by name, by id or by the first 12 characters of its id; and what it does of itself.

    Its configuration is what the documents of its runtime say, with each change since. Its activities are its
    own execs and connects, without those of visits: what is new first, each with how often it was seen since.

    \b
    Examples:
      nsentry-controller containers show web
      nsentry-controller containers show web --json | jq -r '.activity[] | select(.what == "connect").address'
    """
    from controller.store import activities, configurations  # noqa: PLC0415 - as above
    from controller.store import containers as reads  # noqa: PLC0415 - as above

    with state.reading() as connection:
        found = reads.show(connection, container, host)
        configured = configurations.list_(connection, found["host_id"], found["id"]) if found else []
        kinds = activities.list_(connection, found["host_id"], found["id"], limit=limit) if found else []
    if found is None:
        known = "see 'nsentry-controller containers list'"
        raise FailedError(f"there is no container {text(container)}: {known}")
    if json_:
        output.json_line({**found, "configuration": configured, "activity": kinds})
        return
    _page(found)
    configuration.page(configured)
    _activities(found, kinds)


@containers.command()
@output.host
@output.limit
@output.as_json
@click.pass_obj
def changes(state: State, *, host: str | None, limit: int, json_: bool) -> None:
    r"""Containers that came to be configured otherwise than before, or otherwise than the one they replaced.

    Each with what differs, by whom, and whether that was authorised: by an approval, by the list
    AuthorizedAdminUsers, or by a label of DeployedByLabels.

    \b
    Examples:
      nsentry-controller containers changes --host n1
      nsentry-controller containers changes --json | jq -r 'select(.authorised | not) | .authority'
    """
    from controller.store import configurations  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = configurations.fleet(connection, host, limit + 1)
    configuration.fleet(rows, limit, json_=json_)


def _page(found: ContainerView) -> None:
    labels = ", ".join(f"{name}={value}" for name, value in found["labels"].items())
    privileged = {True: "yes", False: "no", None: None}[found["privileged"]]
    lost = ", ".join(f"{cause} {count}" for cause, count in found["losses"].items())
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
            ("probes", str(found["probes"])),
            ("lost", text(lost)),
            ("activities", _kinds(found)),
        ]
    )


def _activities(found: ContainerView, kinds: list[ActivityView]) -> None:
    if not kinds:
        return
    output.line("")
    columns = {
        "FIRST SEEN": lambda kind: when(kind["first"]),
        "LAST SEEN": lambda kind: when(kind["last"]),
        "COUNT": lambda kind: str(kind["count"]),
        "UID": lambda kind: str(kind["uid"]),
        "WHAT": lambda kind: kind["what"],
        "OF": _of,
    }
    output.table(columns, kinds, "")
    if len(kinds) < found["activities"]:
        click.echo(f"Only the first {len(kinds)} are shown, there are more: see --limit.", err=True)


def _kinds(row: ContainerView) -> str:
    left_out = f" ({row['activities_left_out']} left out)" if row["activities_left_out"] else ""
    return f"{row['activities']}{left_out}"


def _of(kind: ActivityView) -> str:
    if kind["what"] == "exec":
        return output.command_line(kind)
    address = f"[{kind['address']}]" if ":" in (kind["address"] or "") else kind["address"]
    return text(f"{address}:{kind['port']} by {kind['exe'] or kind['comm']}")
