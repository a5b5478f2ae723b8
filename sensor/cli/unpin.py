# SPDX-License-Identifier: Apache-2.0
"""`unpin`: the end of what records on without a sensor."""

from __future__ import annotations

import click

from sensor.cli.group import examples
from sensor.cli.options import Load, configured
from sensor.fault import ExitCode, Fault
from sensor.probe import pins


@click.command(epilog=examples("nsentry-sensor unpin", "nsentry-sensor unpin --set pins=/sys/fs/bpf/nsentry"))
@configured
def unpin(load: Load) -> None:
    """Take the pinned programs, maps and ring out of the kernel. For uninstalling: nothing records after it.

    What no sensor has read yet is gone with them. A sensor that runs goes on seeing, but would not outlive a kill.
    """
    folder = load().pins
    if folder is None:
        click.echo("nothing is pinned: 'pins' is off")
        return
    try:
        count = pins.unpin(folder)
    except OSError as error:
        raise Fault(
            f"{folder} cannot be cleared: {error.strerror or error}",
            exit_code=ExitCode.PRIVILEGE if isinstance(error, PermissionError) else ExitCode.FAILURE,
            fix="run it as root",
        ) from error
    click.echo(f"{count} pins were taken away from {folder}")
