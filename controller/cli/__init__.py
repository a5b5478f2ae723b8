# SPDX-License-Identifier: Apache-2.0
"""`nsentry-controller`: the collector's command line.

Commands are imported when they are used: reading a list must not wait for the web server to load.
"""

from __future__ import annotations

from pathlib import Path

import click

from controller.cli.group import Program
from controller.cli.state import State

COMMANDS = {
    "init": "controller.cli.serve:init",
    "serve": "controller.cli.serve:serve",
    "doctor": "controller.cli.doctor:doctor",
    "login-link": "controller.cli.login:login_link",
    "token": "controller.cli.token:token",
    "api-tokens": "controller.cli.api_tokens:api_tokens",
    "sensors": "controller.cli.sensors:sensors",
    "entries": "controller.cli.entries:entries",
    "sessions": "controller.cli.sessions:sessions",
    "containers": "controller.cli.containers:containers",
    "files": "controller.cli.files:files",
    "records": "controller.cli.records:records",
    "baseline": "controller.cli.baseline:baseline",
    "kubernetes": "controller.cli.kubernetes:kubernetes",
    "coverage": "controller.cli.coverage:coverage",
    "alerts": "controller.cli.alerts:alerts",
    "detections": "controller.cli.detections:detections",
    "exceptions": "controller.cli.exceptions:exceptions",
    "approvals": "controller.cli.approvals:approvals",
    "knobs": "controller.cli.knobs:knobs",
    "audit": "controller.cli.audit:audit",
    "emulate": "controller.cli.emulate:emulate",
    "report": "controller.cli.report:report",
    "export": "controller.cli.export:export",
    "exports": "controller.cli.exports:exports",
    "sigma": "controller.cli.sigma:sigma",
    "version": "controller.cli.serve:version",
}


class _Controller(Program):
    by_name = COMMANDS


@click.group(cls=_Controller, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="State folder. Default: $NSENTRY_CONTROLLER_STATE, else ./var/controller if there is one, "
    "else /var/lib/nsentry/controller.",
)
@click.pass_context
def main(context: click.Context, state: Path | None) -> None:
    r"""Collects what sensors see, detects, alerts, and shows who entered which container.

    \b
    Examples:
      nsentry-controller init && nsentry-controller serve
      nsentry-controller token create > token        (then, on a host: nsentry-sensor enroll)
      nsentry-controller alerts tail
      nsentry-controller entries list --json

    Exit codes: 0 ok, 1 failure, 2 usage, 69 unreachable, 77 missing privilege, 78 bad configuration.
    """
    context.obj = State(state)
