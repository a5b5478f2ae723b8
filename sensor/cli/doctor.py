# SPDX-License-Identifier: Apache-2.0
"""`doctor`: what is missing on this host, and the command that mends each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from sensor import doctor as checks
from sensor.cli.group import examples
from sensor.cli.options import Load, as_json, configured
from sensor.config import Config
from sensor.doctor import Check
from sensor.fault import Fault
from sensor.wire import printable

_SIGN = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command(
    epilog=examples(
        "nsentry-sensor doctor",
        "nsentry-sensor doctor --json | jq 'select(.state != \"ok\")'",
    )
)
@as_json
@configured
def doctor(load: Load, *, as_json: bool) -> None:
    """Check this host: privilege, kernel, loaders, runtimes, enrolment, controller, spool.

    Changes nothing. The exit code is that of the worst that failed: 77, 78, 69, else 1; 0 when nothing did.
    """
    found = []
    for check in _checks(load):
        found.append(check)
        click.echo(json.dumps(asdict(check)) if as_json else _lines(check))
    sys.exit(checks.exit_code(found))


def _checks(load: Load) -> Iterator[Check]:
    """A configuration that cannot be read is one check that failed; the host is looked at all the same."""
    try:
        config = load()
    except Fault as fault:
        yield Check.of_fault("configuration", fault)
        yield from checks.preconditions("auto")
        return
    yield Check.ok("configuration", _source(config))
    yield from checks.everything(config)


def _source(config: Config) -> str:
    return str(config.file) if config.file else "defaults: there is no file"


def _lines(check: Check) -> str:
    line = f"{_SIGN[check.state]}  {check.name:14}  {printable(check.said)}"
    if check.state != "ok" and check.fix:
        line += f"\n      to mend it: {printable(check.fix)}"
    return line
