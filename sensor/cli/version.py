# SPDX-License-Identifier: Apache-2.0
"""`version`: of the sensor, and of the contract with the controller."""

from __future__ import annotations

import json

import click

from sensor import __version__, wire
from sensor.cli.group import examples
from sensor.cli.options import as_json


@click.command(epilog=examples("nsentry-sensor version --json"))
@as_json
def version(*, as_json: bool) -> None:
    """Print the versions of the sensor and of the wire."""
    if as_json:
        click.echo(json.dumps({"sensor": __version__, "wire": wire.VERSION}))
    else:
        click.echo(f"nsentry-sensor {__version__}, wire version {wire.VERSION}")
