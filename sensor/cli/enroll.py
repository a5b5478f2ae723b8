# SPDX-License-Identifier: Apache-2.0
"""`enroll`: a token of the controller becomes this host's identity."""

from __future__ import annotations

import json
from typing import TextIO

import click

from sensor.cli.group import examples
from sensor.cli.options import Load, as_json, configured
from sensor.wire import MAX_TOKEN_TEXT, printable


@click.command(
    epilog=examples(
        "nsentry-sensor enroll --url https://controller:8443 --token-file token",
        "ssh controller nsentry-controller token create | nsentry-sensor enroll --url ... --token-file -",
    )
)
@click.option("--url", required=True, metavar="ADDRESS", help="The controller, as https://HOST:PORT.")
@click.option(
    "--token-file",
    required=True,
    metavar="FILE",
    type=click.File(encoding="utf-8", errors="replace"),
    help="File with the token; - for stdin. Never an argument: those can be read by everybody on the host.",
)
@as_json
@configured
def enroll(load: Load, *, url: str, token_file: TextIO, as_json: bool) -> None:
    """Get this host an identity of its own from the controller, and trust its CA from now on.

    Enrolling again gets a new identity; what waits in the spool is kept, and delivered under it.
    """
    from sensor.enroll import enroll as enrol_with  # noqa: PLC0415 - brings urllib3 with it

    config = load()
    token = token_file.read(MAX_TOKEN_TEXT + 2)
    enrolled = enrol_with(
        config.state_dir, url, token, timeout_s=config.controller.timeout_s, proxy=config.controller.proxy
    )
    host = enrolled["host"]
    if as_json:
        click.echo(json.dumps({"host": host, "url": url, "state_dir": str(config.state_dir)}))
    else:
        click.echo(f"enrolled at {url} as host {printable(host)}; identity in {config.state_dir}")
