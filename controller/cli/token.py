# SPDX-License-Identifier: Apache-2.0
"""`token`: what a new sensor needs to enrol."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli import output, times
from sensor import wire

if TYPE_CHECKING:
    from controller.cli.state import State


@click.group()
def token() -> None:
    """Enrolment tokens: short-lived, for one host or a few."""


@token.command()
@click.option("--ttl", type=times.Duration(), default="1h", show_default=True, help="How long it is good.")
@click.option(
    "--uses", type=click.IntRange(1, 1000), default=1, show_default=True, help="For how many hosts."
)
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@output.as_json
@click.pass_obj
def create(state: State, *, ttl: int, uses: int, note: str, json_: bool) -> None:
    r"""Prints a new enrolment token. It holds a secret and this controller's CA: pass it on as a file.

    \b
    Examples:
      nsentry-controller token create > token
      nsentry-controller token create --ttl 15m --uses 20 --note "rack 4" > token
    On the host then:
      nsentry-sensor enroll --url https://CONTROLLER:8443 --token-file token
    """
    from controller import server  # noqa: PLC0415 - help does not wait for it
    from controller.pki import Pki  # noqa: PLC0415 - as above
    from controller.store import enrolment  # noqa: PLC0415 - as above
    from controller.store.views import rfc3339  # noqa: PLC0415 - as above

    settings = state.settings()
    running = server.running(settings.lock_file)
    url = running.url if running else settings.url
    now = time.time_ns()
    ca_pem = Pki(settings.state_dir).ca_pem()
    secret = state.write(lambda connection: enrolment.new_token(connection, now, ttl, uses, note))
    made = wire.encode_token(secret, ca_pem)
    expires = rfc3339(now + ttl * 1_000_000_000)
    if json_:
        output.json_line({"token": made, "url": url, "expires": expires, "uses": uses})
        return
    click.echo(made)
    click.echo(f"Good for {uses} host(s) until {output.when(expires)}. On the host:", err=True)
    click.echo(f"  nsentry-sensor enroll --url {url} --token-file FILE", err=True)
