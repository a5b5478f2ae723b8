# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share. Those of the configuration win over everything else that sets it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sensor.config import Config

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the configuration, and a `load` that reads it: load(flags) -> Config."""

    @click.option(
        "--config",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False, readable=False),
        help="Configuration file. Default: $NSENTRY_SENSOR_CONFIG, else ./var/sensor/sensor.toml, "
        "else /etc/nsentry/sensor.toml.",
    )
    @click.option("--state-dir", metavar="DIR", help="Folder of identity, spool and status socket.")
    @click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="Any setting of 'config show'; may be given several times.",
    )
    @wraps(command)
    def with_options(
        *args: object, file: Path | None, state_dir: str | None, settings: tuple[str, ...], **more: object
    ) -> None:
        def load(flags: dict[str, Any] | None = None) -> Config:
            given: dict[str, Any] = dict(_pair(one) for one in settings)
            given |= {name: value for name, value in (flags or {}).items() if value is not None}
            if state_dir is not None:
                given["state_dir"] = state_dir
            return Config.load(given, file)

        command(*args, load=load, **more)

    return with_options


Load = Callable[..., Config]


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set takes KEY=VALUE, not {text!r}")
    return name.strip(), value
