# SPDX-License-Identifier: Apache-2.0
"""`records`: what container runtimes, and the API servers of Kubernetes, said happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State
    from controller.store.records import RecordView


@click.group()
def records() -> None:
    """What container runtimes, and API servers, said happened. By their word, not the kernel's."""


@records.command("list")
@output.host
@output.container
@click.option("--source", metavar="NAME", help="Only of docker, podman, containerd or kubernetes.")
@click.option(
    "--action", metavar="NAME", help="Only of this kind: exec_create, exec_start, attach, copy_in, ..."
)
@click.option("--exec-id", metavar="ID", help="Only of this exec, by the runtime's own id or the audit's.")
@click.option("--pod", metavar="NAME", help="Only of requests about this pod: NAME or NAMESPACE/NAME.")
@click.option("--user", metavar="NAME", help="Only of requests of this user of Kubernetes.")
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
      nsentry-controller records list --source kubernetes --pod shop/cart-0
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
        "CONTAINER": lambda row: output.text(_container(row)),
        "EXEC": lambda row: output.text((row["exec_id"] or "")[:12] or None),
        "SAID": _said,
    }
    none = output.nothing("No records: no container runtime said anything.", wanted.values())
    output.listing(rows, columns, none, limit=limit, json_=json_)


def _container(row: RecordView) -> str | None:
    asked = row["request"]
    if asked is not None:
        about = "/".join(part for part in (asked["namespace"], asked["pod"], asked["container"]) if part)
        return about if asked["pod"] else None
    return row["container_name"] or (row["container"] or "")[:12] or None


def _asked(row: RecordView) -> list[str]:
    """What a request to an API server tells beside its command."""
    asked = row["request"]
    if asked is None:
        return []
    who = asked["user"] + (f" as {asked['impersonated']}" if asked["impersonated"] else "")
    what = f"({asked['absent']})" if asked["absent"] else ""
    parts = [f"user={who}", what, f"from={asked['addresses'][0]}" if asked["addresses"] else ""]
    if asked["pod"] is None and asked["name"] is not None:
        parts.append(f"{asked['resource']}={asked['name']}")
    if asked["role"]:
        parts.append(f"role={asked['role']}")
    parts += [f"to={each}" for each in asked["subjects"]]
    parts += [f"allows='{each}'" for each in asked["grants"]]
    return [*parts, f"status={asked['code']}" if asked["code"] is not None else ""]


def _said(row: RecordView) -> str:
    parts = [
        row["command"] or "",
        *_asked(row),
        *(f"{name}={value}" for name, value in row["detail"].items()),
    ]
    if row["pid"] is not None:
        parts.append(f"pid={row['pid']}")
    if row["code"] is not None:
        parts.append(f"exit={row['code']}")
    return output.text(" ".join(part for part in parts if part))


@records.command("sources")
@output.host
@output.as_json
@click.pass_obj
def sources(state: State, *, host: str | None, json_: bool) -> None:
    r"""Each record source of each host: since when it is heard, what was missed, how late it is, its clock.

    DELAY is from its saying to the sensor's reading: half of the latest, and 99 of 100.

    \b
    Examples:
      nsentry-controller records sources
      nsentry-controller records sources --json | jq 'select(.degraded != [])'
    """
    from controller.store import coverage  # noqa: PLC0415 - help does not wait for it

    with state.reading() as connection:
        rows = coverage.sources(connection, host)
    columns = {
        "HOST": lambda row: output.text(row["host"]),
        "SOURCE": lambda row: output.text(row["source"]),
        "PLACE": lambda row: output.text(row["place"]),
        "HEARD SINCE": lambda row: output.when(row["since"]),
        "AWAY SINCE": lambda row: output.when(row["away"]),
        "LAST": lambda row: output.when(row["last"]),
        "TOLD": lambda row: str(row["told"]),
        "AWAYS": lambda row: str(row["restarts"]),
        "GAPS": lambda row: str(row["gaps"]),
        "DELAY": lambda row: f"{_ms(row['delay_p50_ns'])} {_ms(row['delay_p99_ns'])}",
        "AHEAD": lambda row: _ms(row["ahead_ns"]),
    }
    none = output.nothing("No sources: no sensor has found a container runtime's daemon.", [host])
    output.listing(rows, columns, none, limit=100_000, json_=json_)


def _ms(duration: int | None) -> str:
    return output.UNKNOWN if duration is None else f"{duration / 1e6:.1f}ms"
