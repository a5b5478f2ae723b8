# SPDX-License-Identifier: Apache-2.0
"""`run` and `replay`: the pipeline, from the kernel or from a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from sensor import doctor, logs
from sensor.cli.group import examples
from sensor.cli.options import Load, configured
from sensor.identity import Identity


@click.command(
    epilog=examples(
        "nsentry-sensor run",
        "nsentry-sensor run --loader core --dry-run",
        "nsentry-sensor run --log-format json --set spool.max_bytes=67108864",
    )
)
@click.option(
    "--loader",
    type=click.Choice(["auto", "bcc", "core"]),
    help="How programs get into the kernel. auto: core where it loads, else bcc.",
)
@click.option(
    "--hook",
    type=click.Choice(["auto", "fentry", "kprobe", "tracepoint"]),
    help="The best kind of hook that is tried for setns. auto: fentry, else kprobe, else the tracepoint.",
)
@click.option("--dry-run", is_flag=True, help="Load and attach the programs, say which, and end.")
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the kernel's events in this file too, unredacted, for replay.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The least important lines that are logged.",
)
@click.option("--log-format", type=click.Choice(["plain", "json"]), help="Lines for people, or JSON lines.")
@configured
def run(
    load: Load,
    *,
    loader: str | None,
    hook: str | None,
    log_level: str | None,
    log_format: str | None,
    record: Path | None,
    dry_run: bool,
) -> None:
    """Watch this host until interrupted. Logs to stderr."""
    config = load({"loader": loader, "hook": hook, "log.level": log_level, "log.format": log_format})
    logs.setup(config.log.level, config.log.format)
    doctor.require(config.loader)
    identity = None if dry_run else Identity.load(config.state_dir)
    from sensor import agent  # noqa: PLC0415 - nothing of the programs before all that they need is known to be there

    if identity is None:
        sys.exit(agent.dry_run(config, config.loader))
    sys.exit(agent.run(config, identity, config.loader, record))


@click.command(
    epilog=examples(
        "nsentry-sensor replay visit.events",
        "nsentry-sensor replay visit.events | jq 'select(.kind == \"entry\")'",
    )
)
@click.argument("recording", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@configured
def replay(load: Load, *, recording: Path) -> None:
    """Put recorded kernel events through the real pipeline.

    The events go to stdout, one JSON object a line. Needs no privilege, no programs and no controller.
    """
    from sensor.replay import replay as put_through  # noqa: PLC0415

    for event in put_through(recording, load().redact.patterns):
        click.echo(json.dumps(event))
