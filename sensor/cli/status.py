# SPDX-License-Identifier: Apache-2.0
"""`status` and `tail`: what the running sensor says over its socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from sensor import status as socket
from sensor.cli.group import examples
from sensor.cli.options import Load, as_json, configured
from sensor.wire import printable


@click.command(
    epilog=examples(
        "nsentry-sensor status",
        "nsentry-sensor status --json | jq .counters",
    )
)
@as_json
@configured
def status(load: Load, *, as_json: bool) -> None:
    """How the running sensor is: loader, hooks, backlog, counters, what does not work.

    Exit code 69 when no sensor runs.
    """
    beat = next(socket.ask(load().state_dir, "status"), {})
    if as_json:
        click.echo(json.dumps(beat))
        return
    for line in describe(beat):
        click.echo(printable(line))


@click.command(
    epilog=examples(
        "nsentry-sensor tail",
        "nsentry-sensor tail --json | jq 'select(.kind == \"entry\") | .process.argv'",
    )
)
@as_json
@configured
def tail(load: Load, *, as_json: bool) -> None:
    """Each event of the running sensor, as it happens, until interrupted."""
    # An interrupt is how a person ends it.
    with suppress(KeyboardInterrupt):
        for event in socket.ask(load().state_dir, "tail"):
            click.echo(json.dumps(event) if as_json else printable(one_line(event)))


def describe(beat: Mapping[str, Any]) -> Iterator[str]:
    """A heartbeat in lines, what is wrong first."""
    for sentence in beat.get("degraded", []):
        yield f"DEGRADED  {sentence}"
    host = beat.get("host", {})
    yield f"host      {host.get('name')} ({host.get('id')}), {host.get('os')}, kernel {host.get('kernel')}"
    yield f"sensor    {beat.get('sensor')}, since {_time(beat.get('started', 0))}"
    yield f"loader    {beat.get('loader')}: {beat.get('loader_reason')}"
    yield f"pinned    {beat.get('pins')}"
    for purpose, hook in beat.get("hooks", {}).items():
        yield f"hook      {purpose}: {hook}"
        if hook.startswith("tracepoint syscalls:"):
            yield "          (costs every system call on this host about 30 ns; 32-bit callers do not pass there)"
    for title in ("gauges", "counters"):
        for name, value in beat.get(title, {}).items():
            yield f"{title[:-1]:9} {name}: {value:.15g}"


def one_line(event: Mapping[str, Any]) -> str:
    """An event for a person."""
    if "dropped" in event:
        return f"({event['dropped']} events were not shown: this terminal is too slow)"
    parts = [_time(event.get("time", 0)), f"{event.get('kind', '?'):11}"]
    container = event.get("container")
    if container:
        parts.append(container.get("name") or (container.get("id") or "")[:12] or "unknown container")
    if "means" in event:
        parts.append(f"by {event['means']}")
    process = event.get("process")
    if process:
        said = " ".join(process.get("argv") or []) or process.get("exe") or process.get("comm") or "?"
        who = process.get("user") or f"uid {process.get('uid')}"
        parts.append(f"{who} ran {said}")
    parts += [
        f"{name} {event[name]}"
        for name in ("code", "signal", "cause", "count", "action", "target")
        if event.get(name) is not None
    ]
    return "  ".join(parts)


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
