# SPDX-License-Identifier: Apache-2.0
"""`login-link`: the way into the dashboard."""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING

import click

from controller.cli import output

if TYPE_CHECKING:
    from controller.cli.state import State


@click.command("login-link")
@click.option("--user", metavar="NAME", help="Who it is for. Default: you, sudo or not.")
@output.as_json
@click.pass_obj
def login_link(state: State, *, user: str | None, json_: bool) -> None:
    r"""Prints a link that opens the dashboard once, within the next 10 minutes.

    What is done in the dashboard is recorded under the name of its user.

    \b
    Example:
      nsentry-controller login-link
    """
    from controller import server  # noqa: PLC0415 - help does not wait for it
    from controller.store import logins  # noqa: PLC0415 - as above

    who = (user or os.environ.get("SUDO_USER") or getpass.getuser()).strip()
    if not 0 < len(who) <= 128 or not who.isprintable():
        raise click.BadParameter("a name has 1 to 128 printable characters", param_hint="--user")
    settings = state.settings()
    running = server.running(settings.lock_file)
    secret = state.write(lambda connection: logins.new_link(connection, who, time.time_ns()))
    link = f"{(running.url if running else settings.url)}/login?link={secret}"
    if json_:
        output.json_line({"link": link, "user": who, "ttl_s": logins.LINK_TTL_S})
        return
    click.echo(link)
    if running is None:
        click.echo("The controller does not run: start it with 'nsentry-controller serve'.", err=True)
