# SPDX-License-Identifier: Apache-2.0
"""`nsentry-sensor`: the agent's command line. Answers go to stdout, what happens to stderr.

Commands are imported when they are used: asking for the version must not wait for the HTTP client to load.
"""

from __future__ import annotations

import click

from sensor.cli.group import Program, examples

COMMANDS = {
    "run": "sensor.cli.run:run",
    "enroll": "sensor.cli.enroll:enroll",
    "status": "sensor.cli.status:status",
    "tail": "sensor.cli.status:tail",
    "doctor": "sensor.cli.doctor:doctor",
    "replay": "sensor.cli.run:replay",
    "unpin": "sensor.cli.unpin:unpin",
    "config": "sensor.cli.config:config",
    "version": "sensor.cli.version:version",
}


class _Sensor(Program):
    by_name = COMMANDS


@click.group(
    epilog=examples(
        "nsentry-sensor enroll --url https://controller:8443 --token-file token",
        "nsentry-sensor doctor",
        "nsentry-sensor run",
        "nsentry-sensor tail --json",
        "",
        "Exit codes: 0 ok, 1 failure, 2 usage, 69 unreachable, 77 missing privilege, 78 bad configuration.",
    ),
    cls=_Sensor,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def main() -> None:
    """Watches the door of every container on this host, and tells the controller who came in."""
