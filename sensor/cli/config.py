# SPDX-License-Identifier: Apache-2.0
"""`config`: what is set, and where."""

from __future__ import annotations

import json

import click

from sensor.cli.group import examples
from sensor.cli.options import Load, as_json, configured
from sensor.wire import printable


@click.group(
    epilog=examples(
        "nsentry-sensor config show",
        "nsentry-sensor config check --config sensor.toml",
    )
)
def config() -> None:
    """Show and check the configuration."""


@config.command(
    epilog=examples(
        "nsentry-sensor config show",
        "nsentry-sensor config show --json | jq 'select(.origin != \"default\")'",
    )
)
@as_json
@configured
def show(load: Load, *, as_json: bool) -> None:
    """Each setting, its value, and where that comes from: flag, environment, file, or default."""
    loaded = load()
    for name, value in loaded.values().items():
        origin = loaded.origins[name]
        if as_json:
            click.echo(json.dumps({"name": name, "value": value, "origin": origin}))
        else:
            click.echo(printable(f"{name:22} = {_said(value):44} ({origin})"))


@config.command(epilog=examples("nsentry-sensor config check --config /etc/nsentry/sensor.toml"))
@configured
def check(load: Load) -> None:
    """Read the configuration and say whether all of it is understood; exit code 78 when not."""
    loaded = load()
    click.echo(f"the configuration is good ({loaded.file or 'there is no file'})")


def _said(value: object) -> str:
    return "(not set)" if value is None else json.dumps(value)
